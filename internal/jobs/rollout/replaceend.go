package rollout

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// swap makes the successors that passed the holders of their ordinals. The old servers stand in the second slots from then
// on, and are marked as leaving.
func (r *replace) swap(ctx context.Context, turn *jobs.Turn, _ lot) (jobs.Move, error) {
	c := r.state.Chunk
	if c.Passed.Empty() {
		return r.afterSwap(turn), nil
	}
	seconds, err := r.seconds(ctx, c.Passed)
	if err != nil {
		return jobs.Move{}, err
	}
	holders, err := r.holders(ctx, c.Passed)
	if err != nil {
		return jobs.Move{}, err
	}
	old := map[int]ledger.Server{}
	for _, holder := range holders {
		old[holder.Ordinal] = holder
	}
	var swaps []ledger.Swap
	for _, successor := range seconds {
		holder, known := old[successor.Ordinal]
		if successor.State == ledger.Leaving || !known {
			continue // swapped by a delivery before this one
		}
		holder.State, successor.State = ledger.Leaving, ledger.Healthy
		swaps = append(swaps, ledger.Swap{New: successor, Old: holder})
	}
	if len(swaps) > 0 {
		if devices := c.Outliving; len(devices) > 0 { // they become somebody's data with the swap
			if move, err := launch.KeepVolumes(ctx, r.ec2(), devices, incoming(swaps), turn.Now().Sub(c.Since)); err != nil || !move.IsDone() {
				return move, err
			}
		}
		if err := r.Ledger.Swap(ctx, turn.Guard(), swaps); err != nil {
			return jobs.Move{}, err
		}
	}
	r.passed(c.Passed)
	return r.afterSwap(turn), turn.Save(ctx)
}

// incoming are the ids of the servers that become holders.
func incoming(swaps []ledger.Swap) (ids []string) {
	for _, swap := range swaps {
		ids = append(ids, swap.New.InstanceID)
	}
	return ids
}

func (r *replace) afterSwap(turn *jobs.Turn) jobs.Move {
	c := r.state.Chunk
	switch {
	case c.Parks && !c.Ordinals.Minus(c.Passed).Empty():
		r.enterStage(turn, unparking)
	case c.Passed.Empty():
		r.state.Chunk = nil
	default:
		r.enterStage(turn, leaving)
	}
	return jobs.Done()
}

// old are the servers whose successors hold their ordinals now.
func (r *replace) old(ctx context.Context) ([]ledger.Server, error) {
	seconds, err := r.seconds(ctx, r.state.Chunk.Passed)
	var old []ledger.Server
	for _, second := range seconds {
		if second.State == ledger.Leaving {
			old = append(old, second)
		}
	}
	return old, err
}

// deregister takes the old servers out of their target groups.
func (r *replace) deregister(ctx context.Context, turn *jobs.Turn, _ lot) (jobs.Move, error) {
	old, err := r.old(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	registered, err := r.detach(ctx, old)
	if err != nil {
		return jobs.Move{}, err
	}
	if registered && !r.state.Chunk.Parks { // those that were stopped were drained before
		r.enterStage(turn, draining)
	} else {
		r.enterStage(turn, ending)
	}
	return jobs.Done(), nil
}

// drain waits until the target groups have let go of the old servers.
func (r *replace) drain(ctx context.Context, turn *jobs.Turn, _ lot) (jobs.Move, error) {
	old, err := r.old(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	move, err := r.drained(ctx, turn, old, r.state.Chunk.Since)
	if err == nil && move.IsDone() {
		r.enterStage(turn, ending)
	}
	return move, err
}

// end has the old servers terminated. EC2 answers that they shut down: the next successors need not wait until they are gone.
func (r *replace) end(ctx context.Context, turn *jobs.Turn, _ lot) (jobs.Move, error) {
	old, err := r.old(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if err := r.terminate(ctx, old); err != nil {
		return jobs.Move{}, err
	}
	r.state.Going = r.state.Going.Plus(held(old))
	r.state.Chunk, r.state.Ended = nil, turn.Now()
	return jobs.Done(), turn.Save(ctx)
}

func (r *replace) terminate(ctx context.Context, servers []ledger.Server) error {
	ids := ledger.InstanceIDs(servers)
	if len(ids) == 0 {
		return nil
	}
	if err := r.ec2().Terminate(ctx, ids...); err != nil && !jobs.IsClass(err, jobs.NotFound) {
		return err
	}
	return nil
}

// gone forgets the old servers as EC2 says that they are terminated.
func (r *replace) gone(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if r.state.Going.Empty() {
		return jobs.Done(), nil
	}
	seconds, err := r.seconds(ctx, r.state.Going)
	if err != nil {
		return jobs.Move{}, err
	}
	ends, err := r.endings(ctx, turn, seconds)
	if err != nil {
		return jobs.Move{}, err
	}
	if err := r.forget(ctx, turn, ends.over); err != nil {
		return jobs.Move{}, err
	}
	if left := len(ends.leaving) + len(ends.living); left > 0 {
		return jobs.Look(r.poll(turn, r.state.Ended), "%d old servers to be terminated", left), r.terminate(ctx, ends.living)
	}
	r.state.Going = ordinals.Set{}
	return jobs.Done(), nil
}

// vacate frees second slots whose servers shut down: that is not to be halted any more, so that the ordinals' next successors
// need not wait for its end. Those that were never asked to go are, and it is done when it finds none of them.
func (r *replace) vacate(ctx context.Context, turn *jobs.Turn, seconds []ledger.Server, since time.Time) (jobs.Move, error) {
	ends, err := r.endings(ctx, turn, seconds)
	if err != nil {
		return jobs.Move{}, err
	}
	if err := r.forget(ctx, turn, append(ends.over, ends.leaving...)); err != nil {
		return jobs.Move{}, err
	}
	if len(ends.living) > 0 {
		return jobs.Look(r.poll(turn, since), "%d servers to shut down that hold no ordinal", len(ends.living)), r.terminate(ctx, ends.living)
	}
	return jobs.Done(), nil
}

// endings are servers by how near they are to their end.
type endings struct{ over, leaving, living []ledger.Server }

func (r *replace) endings(ctx context.Context, turn *jobs.Turn, servers []ledger.Server) (ends endings, err error) {
	instances, err := r.instances(ctx, servers)
	for _, server := range servers {
		instance, seen := instances[server.InstanceID]
		switch {
		case seen && instance.State == "terminated", !seen && turn.Now().Sub(server.Launched) >= jobs.PropagationLimit:
			ends.over = append(ends.over, server)
		case seen && instance.State == "shutting-down":
			ends.leaving = append(ends.leaving, server)
		default:
			ends.living = append(ends.living, server)
		}
	}
	return ends, err
}

// forget frees the second slots of the servers.
func (r *replace) forget(ctx context.Context, turn *jobs.Turn, servers []ledger.Server) error {
	if len(servers) == 0 {
		return nil
	}
	return r.Ledger.DeleteSeconds(ctx, turn.Guard(), r.fleet(), held(servers).List())
}

// finish sees the last old servers gone.
func (r *replace) finish(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	return r.gone(ctx, turn)
}

// detach takes servers out of their target groups, and tells whether there are any. A group that is gone has let go of them.
func (r *replace) detach(ctx context.Context, servers []ledger.Server) (registered bool, err error) {
	groups := ledger.Attached(servers)
	for _, arn := range slices.Sorted(maps.Keys(groups)) {
		if err := r.TargetGroups(r.progress.Target).Deregister(ctx, arn, groups[arn]...); err != nil && !jobs.IsClass(err, jobs.NotFound) {
			return false, err
		}
	}
	return len(groups) > 0, nil
}

// drained waits until the target groups have let go of the servers' connections, or their time is over.
func (r *replace) drained(ctx context.Context, turn *jobs.Turn, servers []ledger.Server, since time.Time) (jobs.Move, error) {
	groups, count := ledger.Attached(servers), 0
	for _, arn := range slices.Sorted(maps.Keys(groups)) {
		states, err := r.TargetGroups(r.progress.Target).Health(ctx, arn, groups[arn]...)
		if err != nil && !jobs.IsClass(err, jobs.NotFound) {
			return jobs.Move{}, err
		}
		for _, state := range states {
			if state.State == "draining" {
				count++
			}
		}
	}
	limit, waited := r.spec.Drain.Or(DefaultDrain), turn.Now().Sub(since)
	switch {
	case count == 0:
		return jobs.Done(), nil
	case waited >= limit:
		turn.Warn("%d servers were still draining after %s and go all the same", count, limit)
		return jobs.Done(), nil
	}
	return jobs.Look(min(r.poll(turn, since), limit-waited), "%d old servers to drain", count), nil
}

// ended: the server is no more. One that EC2 does not show may be shown at the next look, for a while.
func ended(instance cloud.Instance, seen bool, waited time.Duration) bool {
	if !seen {
		return waited >= jobs.PropagationLimit
	}
	return instance.State == "terminated" || instance.State == "shutting-down"
}

// conclude has nothing to do: what is launched later follows the fleet's image.
func (r *replace) conclude(context.Context, *jobs.Turn) (jobs.Move, error) { return jobs.Done(), nil }
