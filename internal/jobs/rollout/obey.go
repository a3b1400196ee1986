package rollout

import (
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// obey takes in the orders that came since the last delivery, in the order in which they were given. A queue may bring an older one
// later: then the newer one stands.
func (r *rollout) obey(turn *jobs.Turn) {
	p := &r.progress
	verbs := slices.Clone(jobs.Verbs)
	slices.SortStableFunc(verbs, func(a, b jobs.Verb) int { return turn.Job.Orders[a].At.Compare(turn.Job.Orders[b].At) })
	for _, verb := range verbs {
		order, given := turn.Job.Orders[verb]
		if !given || !order.At.After(p.Obeyed[verb]) || verb == jobs.Approve { // an approval is looked at when it is asked for
			continue
		}
		if p.Obeyed == nil {
			p.Obeyed = map[jobs.Verb]time.Time{}
		}
		p.Obeyed[verb] = order.At
		turn.Note("ordered: %s", verb)
		switch verb {
		case jobs.Pause:
			p.Paused = p.Paused || turn.Job.Paused()
		case jobs.Resume:
			r.resume(turn)
		case jobs.Revert:
			if !p.Back && !p.Turning {
				r.revert(turn, "a person asked for it")
			}
			p.Held, p.Paused = "", turn.Job.Paused()
		}
	}
}

// resume ends a hold, and a pause that is no newer. What failed is tried again; a gate that failed is asked again, never passed
// over.
func (r *rollout) resume(turn *jobs.Turn) {
	p := &r.progress
	p.Paused = turn.Job.Paused()
	if p.Held == "" {
		return
	}
	p.Held = ""
	if p.Back {
		return
	}
	p.again()
	p.Why, p.Failed = "", ordinals.Set{}
	if p.Stage != rolling {
		r.enter(turn, gating)
	}
	if p.Wave < len(p.Waves) && !p.todo().Empty() {
		r.enter(turn, rolling)
	}
}

// again puts servers that failed in waves before into the one that is under way, so that they are tried, and asked about, with it.
func (p *progress) again() {
	if p.Wave >= len(p.Waves) {
		return
	}
	for i := range p.Waves[:p.Wave] {
		failed := common(p.Waves[i].Ordinals, p.Failed)
		p.Waves[i].Ordinals = p.Waves[i].Ordinals.Minus(failed)
		p.Waves[p.Wave].Ordinals = p.Waves[p.Wave].Ordinals.Plus(failed)
	}
}

// await waits for a person's approval of the wave: one that names it, or one that was given since it is asked for.
func (r *rollout) await(turn *jobs.Turn) jobs.Move {
	p := &r.progress
	w := p.Waves[p.Wave]
	order := turn.Job.Orders[jobs.Approve]
	if order.Value == w.Name || order.Value == "" && !order.At.Before(p.Since.Truncate(time.Millisecond)) && !order.At.IsZero() {
		r.outcome(turn, "approve", true, "approved at "+order.At.UTC().Format(time.RFC3339))
		r.next(turn)
		return jobs.Done()
	}
	return jobs.Wait(personPoll, "a person's approval of wave %s: stampmill rollout approve %s", w.Name, r.fleet())
}
