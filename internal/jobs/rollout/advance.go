package rollout

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

const (
	// personPoll is how often a rollout that waits for a person looks by itself; orders wake it.
	personPoll = time.Hour
	// backTries is how often servers that do not come back are tried before a person is asked.
	backTries = 2
)

// roll is the whole of a rollout but its beginning and its end.
func (r *rollout) roll(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	r.obey(turn)
	for {
		for !r.over() {
			move, err := r.advance(ctx, turn)
			if err != nil || !move.IsDone() {
				return move, err
			}
		}
		move, err := r.strategy().conclude(ctx, turn)
		if err != nil || !move.IsDone() || r.over() {
			return move, err
		}
	}
}

// over: the last wave has passed.
func (r *rollout) over() bool {
	p := &r.progress
	return p.Wave >= len(p.Waves) && p.Held == "" && !p.Turning && !p.Back
}

// advance is one stage's part. Done: go on with what is next.
func (r *rollout) advance(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	switch {
	case p.Turning:
		return r.turnBack(ctx, turn)
	case p.Held != "" && !r.strategy().busy():
		return jobs.Wait(personPoll, "a person's resume, rollback or cancel: %s", p.Held), nil
	case p.Back:
		return r.rollBack(ctx, turn)
	}
	switch p.Stage {
	case gating, regating:
		return r.ask(ctx, turn)
	case soaking:
		return r.soak(ctx, turn)
	case approving:
		return r.await(turn), nil
	}
	return r.rollWave(ctx, turn)
}

// rollWave rolls the wave's servers. Between those that the strategy takes at a time, it stops for a person, for the window
// and for too many failures.
func (r *rollout) rollWave(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	if !r.strategy().busy() {
		w := p.Waves[p.Wave]
		switch {
		case p.Failed.Len() > p.Budget:
			r.stop(turn, fmt.Sprintf("%d successors failed, %d may: ordinal %d: %s", p.Failed.Len(), p.Budget, p.Failures[len(p.Failures)-1].Ordinal,
				p.Failures[len(p.Failures)-1].Reason))
			return jobs.Done(), nil
		case p.barren(): // its gate would ask about servers that run something else
			r.stop(turn, fmt.Sprintf("no server of wave %s could be rolled: %s", w.Name, p.Failures[len(p.Failures)-1].Reason))
			return jobs.Done(), nil
		case p.todo().Empty():
			r.enter(turn, gating)
			return jobs.Done(), nil
		}
		if move := r.halted(turn, "in wave "+w.Name); !move.IsDone() {
			return move, nil
		}
	}
	return r.strategy().roll(ctx, turn, p.lot())
}

// halted is what a rollout waits for before it takes more servers: a person, or the window; else Done. The way back heeds no window.
func (r *rollout) halted(turn *jobs.Turn, where string) jobs.Move {
	opens, ok := r.opens(turn.Now())
	switch {
	case r.progress.Paused:
		return jobs.Wait(personPoll, "a person's resume: it is paused %s", where)
	case r.progress.Back:
		return jobs.Done()
	case !ok:
		return jobs.Fail("the window never opens")
	case opens.After(turn.Now()):
		return jobs.Wait(opens.Sub(turn.Now()), "the window, which opens at %s", opens.Format(time.RFC3339))
	}
	return jobs.Done()
}

func (r *rollout) opens(now time.Time) (time.Time, bool) {
	if r.spec.Window == nil {
		return now, true
	}
	return r.spec.Window.Opens(now)
}

// enter begins a stage of the wave.
func (r *rollout) enter(turn *jobs.Turn, next stage) {
	p := &r.progress
	p.Stage, p.Gate, p.Since = next, 0, turn.Now()
}

// next goes on to the next wave.
func (r *rollout) next(turn *jobs.Turn) {
	p := &r.progress
	turn.Note("wave %s is done: %s of %s", p.Waves[p.Wave].Name, jobs.Count(p.Rolled.Len(), "server"), p.Image.Ref)
	p.Wave++
	r.enter(turn, rolling)
}

// stop ends the way forward, as the spec says: the way back follows, or a person's decision.
func (r *rollout) stop(turn *jobs.Turn, why string) {
	if r.spec.OnFailure == Hold {
		turn.Warn("it holds: %s", why)
		r.progress.Held = why
		return
	}
	r.revert(turn, why)
}

// revert begins the way back.
func (r *rollout) revert(turn *jobs.Turn, why string) {
	p := &r.progress
	turn.Note("it goes back to %s: %s", p.Former, why)
	p.Why, p.Turning, p.Held, p.Paused = why, true, "", false
}

// turnBack tidies what is under way, and looks up what the fleet is to go back to.
func (r *rollout) turnBack(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	move, err := r.strategy().abandon(ctx, turn)
	if err != nil || !move.IsDone() {
		return move, err
	}
	if p.Rolled.Empty() {
		p.Turning, p.Back = false, true
		return jobs.Done(), nil
	}
	found, reason, err := r.former(ctx, turn)
	if err != nil {
		return jobs.Move{}, err
	}
	p.Turning = false
	if reason != "" {
		turn.Warn("it cannot go back: %s", reason)
		p.Held = fmt.Sprintf("%s; it cannot go back to %s: %s", p.Why, p.Former, reason)
		return jobs.Done(), nil
	}
	p.BackTo, p.Back, p.Stuck, p.BackTries = found, true, ordinals.Set{}, 0
	return jobs.Done(), turn.Save(ctx)
}

// former is what the fleet ran. It must be there and verified still: a version that was recalled, retired or never
// published is nothing to go back to.
func (r *rollout) former(ctx context.Context, turn *jobs.Turn) (image, string, error) {
	p := &r.progress
	if p.Former == "" {
		return image{}, "nobody knows what it ran", nil
	}
	found, findings, err := r.strategy().prepare(ctx, turn, p.Former)
	if err != nil {
		if err := jobs.Gather(&findings, err); err != nil {
			return image{}, "", err
		}
	}
	return found, tell(turn, findings), nil
}

// rollBack brings back what was rolled, whatever the window says, and fails when all of it is done.
func (r *rollout) rollBack(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	lot := p.lot()
	if !r.strategy().busy() {
		switch {
		case p.Paused:
			return jobs.Wait(personPoll, "a person's resume: its way back is paused"), nil
		case lot.Ordinals.Empty() && !p.Stuck.Empty():
			return r.retryBack(turn), nil
		case lot.Ordinals.Empty():
			move, err := r.strategy().conclude(ctx, turn)
			if err != nil || !move.IsDone() || p.Held != "" {
				return move, err
			}
			if move, err := r.strategy().finish(ctx, turn); err != nil || !move.IsDone() {
				return move, err
			}
			return jobs.Fail("%s; rolled back to %s", p.Why, p.Former), nil
		}
	}
	return r.strategy().roll(ctx, turn, lot)
}

// retryBack tries servers again that did not come back, and at last asks a person.
func (r *rollout) retryBack(turn *jobs.Turn) jobs.Move {
	p := &r.progress
	p.BackTries++
	stuck := p.Stuck
	p.Stuck = ordinals.Set{}
	if p.BackTries >= backTries {
		p.BackTries = 0
		p.Held = fmt.Sprintf("ordinals %s still run %s: %s", stuck, p.Image.Ref, p.Failures[len(p.Failures)-1].Reason)
		turn.Warn("it holds on its way back: %s", p.Held)
	}
	return jobs.Done()
}
