package jobs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Overseer is a Program whose orders are meant for its children too.
type Overseer interface {
	// PassesOn reports whether an order with the verb goes to children of that kind.
	PassesOn(child string, verb Verb) bool
}

const (
	// orderPoll is how soon a parent looks again for children that an order has to reach and that are not there yet.
	orderPoll = 2 * time.Second
	// orderTries bounds how often their poll doubles; then their submissions are sent again.
	orderTries = 5
)

// unpassed are the orders that came since the children were last told, in the order in which they were given.
func (s *stint) unpassed() []Verb {
	job := s.turn.Job
	if _, oversees := s.program.(Overseer); !oversees || job.Fan == nil || job.Phase != Forward {
		return nil
	}
	verbs := slices.DeleteFunc(slices.Collect(maps.Keys(job.Orders)), func(verb Verb) bool {
		return !job.Orders[verb].At.After(job.Fan.Passed[verb])
	})
	slices.SortFunc(verbs, func(a, b Verb) int {
		return cmp.Or(job.Orders[a].At.Compare(job.Orders[b].At), cmp.Compare(a, b))
	})
	return verbs
}

// beganPassed are the orders that a new fan-out's children need not be told: all, unless the job is paused now.
func (j *Job) beganPassed() map[Verb]time.Time {
	if j.Paused() {
		return nil
	}
	return j.passedNow()
}

// passOn sends new orders to the children that have not ended, with the instant at which they were given, so that an order that
// somebody gave a child itself since then counts more, and one that was sent twice counts once. A child that is not there yet
// is waited for: an order to a job that does not exist is nobody's. What was passed on is saved only once all have been told.
func (s *stint) passOn(ctx context.Context, list []FanChild) (Move, bool, error) {
	verbs := s.unpassed()
	if len(verbs) == 0 {
		return Move{}, false, nil
	}
	job := s.turn.Job
	rows, err := s.engine.Families.Rows(ctx, childIDs(list))
	if err != nil {
		return Move{}, false, err
	}
	missing, told, err := s.tell(ctx, list, rows, verbs)
	if err != nil {
		return Move{}, false, err
	}
	fan := *job.Fan
	if missing == 0 {
		fan.Passed, fan.Missing = job.passedNow(), 0
		job.Fan, s.turn.dirty = &fan, true
		s.turn.Note("%v passed on to %s", verbs, Count(told, "child"))
		return Move{}, false, nil
	}
	wait := orderPoll << min(fan.Missing, orderTries)
	if fan.Missing++; fan.Missing > orderTries {
		fan.Sent = false // what was sent may be lost
	}
	job.Fan, s.turn.dirty = &fan, true
	return Wait(wait, "%d of %d children to be there, to be told of %v", missing, fan.Count, verbs), true, nil
}

func (j *Job) passedNow() map[Verb]time.Time {
	passed := map[Verb]time.Time{}
	for verb, order := range j.Orders {
		passed[verb] = order.At
	}
	return passed
}

// tell sends each child the orders that it does not know.
func (s *stint) tell(ctx context.Context, list []FanChild, rows map[string]*Row, verbs []Verb) (missing, told int, err error) {
	oversees, _ := s.program.(Overseer)
	for _, child := range list {
		meant := slices.DeleteFunc(slices.Clone(verbs), func(verb Verb) bool { return !oversees.PassesOn(child.Kind, verb) })
		row := rows[child.ID]
		switch {
		case len(meant) == 0:
			continue
		case row == nil:
			missing++
			continue
		case row.Job == nil || row.Job.Finished():
			continue
		}
		for _, verb := range meant {
			order := s.turn.Job.Orders[verb]
			if !order.After(row.Job.Orders[verb]) {
				continue
			}
			m := &Message{Type: Ordering, Job: child.ID, Incarnation: row.Job.Incarnation, Run: row.Job.Run, Verb: verb, Value: order.Value, At: order.At}
			if err := s.engine.Sender.Send(ctx, WakeLane(s.turn.Job.Priority), m, 0); err != nil {
				return missing, told, fmt.Errorf("pass %s on to %s: %w", verb, child.ID, err)
			}
		}
		told++
	}
	return missing, told, nil
}

// childWait is how long a parent waits for its children by itself: shorter, where they have to be told something.
func (s *stint) childWait() time.Duration {
	if len(s.unpassed()) > 0 {
		return orderPoll
	}
	return childPoll
}
