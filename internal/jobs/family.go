package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// childPoll is how often a parent looks by itself for children that never came to be; their ends wake it at once.
const childPoll = 5 * time.Minute

// fanOut saves the list of children with the digests of their specs before the first is sent, sends them, and waits.
func (s *stint) fanOut(ctx context.Context, step Step, move Move) (Move, error) {
	job := s.turn.Job
	if len(move.children) == 0 {
		return Done(), nil
	}
	number := job.Fans + 1
	if err := s.inspectChildren(move.children); err != nil {
		return Move{}, err
	}
	if s.turn.open > 0 {
		return Move{}, &Error{Class: Fatal, Op: "fan out", Thing: step.Name, Message: fmt.Sprintf("%d children of the step have not ended", s.turn.open)}
	}
	list := make([]FanChild, len(move.children))
	for i, child := range move.children {
		key := childKey(job.Incarnation, job.Run, number, i)
		digest, err := Digest(child.Spec)
		if err != nil {
			return Move{}, &Error{Class: Fatal, Op: "fan out", Thing: child.Name, Err: err}
		}
		list[i] = FanChild{Child: child, Key: key, Digest: digest, ID: Identity(child.Kind, child.Name, child.target(job), key)}
	}
	job.Fans = number
	job.Fan = &Fan{Number: number, Step: step.Name, Count: len(list), Beside: move.beside, Passed: job.beganPassed()}
	s.turn.children = nil
	s.turn.Note("fans out %s", Count(len(list), "child"))
	if err := s.turn.encode(); err != nil {
		return Move{}, err
	}
	job.Claims = 1 // the one under way
	cancel, err := s.engine.Store.Save(ctx, job, Saving{Seq: job.Seq, Fan: list})
	if err != nil {
		s.turn.lost = err
		return Move{}, err
	}
	job.Cancel = max(cancel, job.Cancel)
	s.turn.dirty = false
	return s.sendChildren(ctx, list)
}

// childKey is the key of a child: it comes from the parent's incarnation and run, so that a child is sent twice but made once.
func childKey(incarnation string, run, fan, index int) string {
	return fmt.Sprintf("%s-r%d-f%d-%d", incarnation, run, fan, index)
}

func (c Child) target(parent *Job) Target {
	if c.Target != nil {
		return *c.Target
	}
	return parent.Target
}

func (c Child) labels(parent *Job) map[string]string {
	if c.Labels != nil {
		return c.Labels
	}
	return parent.Labels
}

func (c Child) submission(parent *Job) *Message {
	target := c.target(parent)
	return &Message{Schema: SchemaVersion, Type: Submit, Kind: c.Kind, Name: c.Name, Role: target.Role, Region: target.Region,
		Priority: parent.Priority, Labels: c.labels(parent), Spec: c.Spec}
}

// inspectChildren refuses a fan-out with a child that no worker would take: its submission would go to the dead letters, and
// the parent wait for ever.
func (s *stint) inspectChildren(children []Child) error {
	for _, child := range children {
		m := child.submission(s.turn.Job)
		var reason string
		if err := m.check(); err != nil {
			reason = err.Error()
		} else {
			reason = (&admission{engine: s.engine, message: m}).inspect()
		}
		if reason != "" {
			return &Error{Class: Fatal, Op: "fan out", Thing: clip(child.Kind + " " + child.Name), Message: reason}
		}
	}
	return nil
}

func (s *stint) sendChildren(ctx context.Context, list []FanChild) (Move, error) {
	job := s.turn.Job
	errs := make(chan error, len(list))
	for i, child := range list {
		m := child.submission(job)
		m.Key = child.Key
		m.Parent = &Parent{ID: job.ID, Incarnation: job.Incarnation, Run: job.Run, Fan: job.Fan.Number, Index: i, Of: len(list), Priority: job.Priority}
		go func() { errs <- s.engine.Sender.Send(ctx, WakeLane(job.Priority), m, 0) }()
	}
	var failed error
	for range list {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	if failed != nil {
		return Move{}, failed
	}
	job.Fan.Sent = true
	return Wait(s.childWait(), "%s", Count(len(list), "child")), nil
}

// gather waits for the children of the step's fan-out, and gives the step their ends. Children that were never sent, or
// whose submissions were lost, are sent from the saved list.
func (s *stint) gather(ctx context.Context, step Step) (Move, bool, error) {
	job := s.turn.Job
	if job.Fan == nil || job.Fan.Step != step.Name || s.turn.children != nil {
		return Move{}, false, nil
	}
	list, err := s.engine.Families.FanList(ctx, job)
	if err != nil {
		return Move{}, false, err
	}
	if !job.Fan.Sent {
		move, err := s.sendChildren(ctx, list)
		return move, true, err
	}
	if move, waits, err := s.passOn(ctx, list); err != nil || waits {
		return move, waits, err
	}
	ended, err := s.engine.Families.Ended(ctx, Parent{ID: job.ID, Incarnation: job.Incarnation, Run: job.Run, Fan: job.Fan.Number})
	if err != nil {
		return Move{}, false, err
	}
	if ended < job.Fan.Count && time.Since(job.Updated) < childPoll/2 {
		move, waits := s.childrenLeft(job.Fan.Count - ended)
		return move, waits, nil
	}
	rows, err := s.engine.Families.Rows(ctx, childIDs(list))
	if err != nil {
		return Move{}, false, err
	}
	if ended < job.Fan.Count {
		if slices.ContainsFunc(list, func(child FanChild) bool { return rows[child.ID] == nil }) {
			job.Fan.Sent = false // the next delivery sends them all again; those that exist answer by deleting
		}
		move, waits := s.childrenLeft(job.Fan.Count - ended)
		return move, waits, nil
	}
	if err := unreadable(rows); err != nil {
		return Move{}, false, err
	}
	if open := openChildren(rows); open > 0 { // a child that had ended was retried: its next end wakes the parent
		move, waits := s.childrenLeft(open)
		return move, waits, nil
	}
	s.turn.open = 0
	s.turn.children = childResults(list, rows)
	if !job.Fan.Counted { // a step that waits after its children have ended is given them again
		fan := *job.Fan
		fan.Counted = true
		job.Fan = &fan
		job.waitedWith(s.turn.children)
	}
	return Move{}, false, nil
}

// childrenLeft waits for children that have not ended, or has their step carried out beside them.
func (s *stint) childrenLeft(open int) (Move, bool) {
	fan := s.turn.Job.Fan
	if fan.Beside {
		s.turn.open = open
		return Move{}, false
	}
	return Wait(childPoll, "%d of %d children", open, fan.Count), true
}

// endChildren is the first step of every undo: children of a fan-out are cancelled, those that do not exist yet get a
// tombstone, and all must be terminal before the parent's own things are undone.
func (s *stint) endChildren(ctx context.Context, turn *Turn) (Move, error) {
	open, err := turn.CancelChildren(ctx)
	if open > 0 && err == nil {
		return Wait(10*time.Second, "%d children to end", open), nil
	}
	return Done(), err
}

// CancelChildren asks the children of the step's fan-out to end, and tells how many have not ended yet. Those that do not exist
// yet get a tombstone.
func (t *Turn) CancelChildren(ctx context.Context) (open int, err error) {
	job := t.Job
	if job.Fan == nil {
		return 0, nil
	}
	list, err := t.engine.Families.FanList(ctx, job)
	if err != nil {
		return 0, err
	}
	rows, err := t.engine.Families.Rows(ctx, childIDs(list))
	if err != nil {
		return 0, err
	}
	for _, child := range list {
		row := rows[child.ID]
		switch {
		case row == nil:
			if _, _, err := t.engine.Store.Bury(ctx, child.ID, 1, t.Now().Add(t.engine.Retention)); err != nil {
				return 0, err
			}
			open++ // its submission may have come first: look once more
		case row.Unreadable != nil: // the others are cancelled all the same
		case row.Tombstone || row.Job.Finished():
		default:
			open++
			if row.Job.Cancel == row.Job.Run {
				continue
			}
			cancel := &Message{Type: Cancel, Job: child.ID, Incarnation: row.Job.Incarnation, Run: row.Job.Run}
			if err := t.engine.Sender.Send(ctx, WakeLane(job.Priority), cancel, 0); err != nil {
				return 0, err
			}
		}
	}
	if open > 0 {
		return open, nil
	}
	return 0, unreadable(rows)
}

// unreadable names the rows that cannot be read.
func unreadable(rows map[string]*Row) error {
	var all error
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		all = errors.Join(all, rows[id].Unreadable)
	}
	return all
}

func openChildren(rows map[string]*Row) (open int) {
	for _, row := range rows {
		if row.Job != nil && !row.Job.Finished() {
			open++
		}
	}
	return open
}

func childIDs(list []FanChild) []string {
	ids := make([]string, len(list))
	for i, child := range list {
		ids[i] = child.ID
	}
	return ids
}

func childResults(list []FanChild, rows map[string]*Row) []ChildResult {
	results := make([]ChildResult, len(list))
	for i, child := range list {
		results[i] = ChildResult{Index: i, ID: child.ID, State: Failed, Failure: "the child's record has expired"}
		if row := rows[child.ID]; row != nil && row.Job != nil {
			job := row.Job
			results[i].State, results[i].Failure, results[i].Result = job.State, job.Failure, job.Result
			results[i].Created, results[i].Ended, results[i].Waited = job.Created, job.Ended, job.Waited
		}
	}
	return results
}
