package jobs

import (
	"context"
	"hash/fnv"
	"time"
)

// Waits that only look are of company: jobs that wait in one account and region look at common instants, so that one call
// serves many of them. Each target has a phase of its own within the grid, so that an installation's accounts and regions
// do not all call at once, and two installations of one account neither.
const (
	// alone is up to how long a wait is kept to the second: company would lengthen it too much, and queues delay by whole
	// seconds, so that no finer instant can be met.
	alone = 10 * time.Second
	// Up to a minute waits end on the fine grid, up to five on the coarse one. Looks that are further off stand behind
	// events mostly.
	fineGrid, coarseGrid, seldomGrid = 5 * time.Second, 15 * time.Second, time.Minute
)

// Look is a wait that only looks: its length matters less than its company. The engine moves its end to the nearest tick
// that the jobs of the target have in common; Wait's is moved to the next one.
func Look(d time.Duration, format string, args ...any) Move {
	move := Wait(d, format, args...)
	move.looks = true
	return move
}

// tick is when a wait ends that would end after d.
func tick(now time.Time, d, phase time.Duration, looks bool) time.Time {
	d = max(d, time.Second)
	grid := coarseGrid
	switch {
	case d < alone, d == alone && !looks:
		return now.Add((d + time.Second - 1).Truncate(time.Second))
	case d <= time.Minute:
		grid = fineGrid
	case looks && d > 5*time.Minute:
		grid = seldomGrid
	}
	until := now.Add(d)
	below := until.Add(-phase).Truncate(grid).Add(phase)
	switch {
	case below.Equal(until), looks && until.Sub(below) < grid/2:
		return below
	}
	return below.Add(grid)
}

// phase is by how much the target's ticks are off the full grid: whole seconds, the same for all of its jobs and workers.
func (e *Engine) phase(target Target) time.Duration {
	if target.Region == "" {
		target.Region = e.Region
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(e.Installation + " " + target.Role + " " + target.Region)) // a hash never fails to write
	return time.Duration(hash.Sum32()%uint32(coarseGrid/time.Second)) * time.Second
}

type newsKey struct{}

// withNews marks the steps of a delivery that came because something happened, and not because its wait was over.
func withNews(ctx context.Context) context.Context { return context.WithValue(ctx, newsKey{}, true) }

// KnowsNews reports whether the call is made because something happened just now: what was seen before does not serve it.
func KnowsNews(ctx context.Context) bool { return ctx.Value(newsKey{}) != nil }
