package capacity

import (
	"context"
	"slices"
	"time"
)

// Asker is one job that looks for a pool.
type Asker struct {
	Memory Memory
	Job    string
	// Since is when the job began to look: what was refused after that, to whomever, is not tried for it again. Zero: a
	// refusal is always waited for.
	Since time.Time
	Now   time.Time
	Pace  float64
}

// Choice is what an asker should do.
type Choice struct {
	// Pool is the index of the pool to ask; below 0 there is none now.
	Pool int
	// Refused is what was remembered of that pool.
	Refused Refusal
	// Wait is how long until one is worth a try; with 0 and no pool, none is left to try.
	Wait time.Duration
	// Last is the last refusal among the pools.
	Last time.Time
}

// lookAgain is how long whoever lost the race for a trial waits for what comes of it.
const lookAgain = 5 * time.Second

// Choose gives the first pool that is worth asking, in the order of the ladder, without those that were left.
func (a Asker) Choose(ctx context.Context, ladder []Pool, left func(i int) bool) (Choice, error) {
	var keys []string
	for i, pool := range ladder {
		if !left(i) {
			keys = append(keys, pool.Key())
		}
	}
	if len(keys) == 0 {
		return Choice{Pool: -1}, nil
	}
	slices.Sort(keys)
	refusals, err := a.Memory.Refusals(ctx, slices.Compact(keys))
	if err != nil {
		return Choice{}, err
	}
	none := Choice{Pool: -1}
	for i, pool := range ladder {
		if left(i) {
			continue
		}
		r := refusals[pool.Key()]
		ask, wait, err := a.may(ctx, pool, r)
		if err != nil {
			return Choice{}, err
		}
		if ask {
			return Choice{Pool: i, Refused: r}, nil
		}
		if r.At.After(none.Last) {
			none.Last = r.At
		}
		if wait > 0 && (none.Wait == 0 || wait < none.Wait) {
			none.Wait = wait
		}
	}
	return none, nil
}

// May tells whether the job may ask a pool that it has already chosen and not asked yet.
func (a Asker) May(ctx context.Context, pool Pool) (bool, Refusal, error) {
	refusals, err := a.Memory.Refusals(ctx, []string{pool.Key()})
	if err != nil {
		return false, Refusal{}, err
	}
	r := refusals[pool.Key()]
	ask, _, err := a.may(ctx, pool, r)
	return ask, r, err
}

// may tells whether the job may ask the pool now; if not, after what time, and 0 where that is too late for this job.
func (a Asker) may(ctx context.Context, pool Pool, r Refusal) (ask bool, wait time.Duration, err error) {
	switch free := r.free(a.Job); {
	case r.staleAt(a.Now):
		return true, 0, nil
	case free.After(a.Now) && !a.Since.IsZero() && !r.At.Before(a.Since):
		return false, 0, nil
	case free.After(a.Now):
		return false, min(free.Sub(a.Now), max(r.Until.Sub(a.Now), lookAgain)), nil
	}
	trial := a.Now.Add(Trial)
	won, err := a.Memory.Try(ctx, pool.Key(), a.Job, a.Now, trial)
	return won, lookAgain, err
}

// Refuse remembers that the pool had nothing more to give to a call that began then.
func (a Asker) Refuse(ctx context.Context, pool Pool, known Refusal, begun time.Time) error {
	return a.Memory.Refuse(ctx, pool.Key(), known.Next(a.Now, a.Pace), begun)
}

// Granted forgets that the pool was refused, if it was before the call that it has now granted.
func (a Asker) Granted(ctx context.Context, pool Pool, known Refusal, begun time.Time) error {
	if known.Times == 0 {
		return nil
	}
	return a.Memory.Forget(ctx, pool.Key(), begun)
}
