package rollout

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// room is how many servers may be stopped now: what runs and is not parked, less the floor. Where too many servers are gone for
// good, the rollout gives its fleet up: nobody else may fill it before.
func (r *replace) room(ctx context.Context, turn *jobs.Turn, servers []ledger.Server) (int, jobs.Move, error) {
	instances, err := r.instances(ctx, servers)
	if err != nil {
		return 0, jobs.Move{}, err
	}
	running, there := 0, 0
	var gone []ledger.Server
	for _, server := range servers {
		instance, seen := instances[server.InstanceID]
		switch {
		case server.State == ledger.Parked:
			there++
		case ended(instance, seen, turn.Now().Sub(server.Launched)):
			gone = append(gone, server)
		default:
			there++
			if instance.State == "running" {
				running++
			}
		}
	}
	floor := r.progress.Count - r.progress.Spare
	if there <= floor && len(gone) > 0 {
		r.progress.Back = false // it does not come all the way back
		return 0, jobs.Fail("ordinals %s have lost their servers, and no fewer than %d of %d may run: it cannot go on; %d servers run %s. "+
			"Have the fleet filled, by a Launch or a policy that heals, and submit the rollout again", held(gone), floor, r.progress.Count,
			r.progress.Rolled.Len(), r.progress.Image.Ref), nil
	}
	if running <= floor {
		return 0, jobs.Wait(30*time.Second, "more than %d servers to run: no fewer may, and %d do", floor, running), nil
	}
	return running - floor, jobs.Done(), nil
}

// park takes the old servers out of their target groups, lets them drain, and stops them. They are marked first, so that
// whoever tidies knows which ones to start again.
func (r *replace) park(ctx context.Context, turn *jobs.Turn, _ lot) (jobs.Move, error) {
	c := r.state.Chunk
	servers, move, err := r.takenOut(ctx, turn, c)
	if err != nil || !move.IsDone() {
		return move, err
	}
	instances, err := r.instances(ctx, servers)
	if err != nil {
		return jobs.Move{}, err
	}
	var up []ledger.Server
	left := 0
	for _, server := range servers {
		switch instance, seen := instances[server.InstanceID]; {
		case ended(instance, seen, turn.Now().Sub(c.Since)), instance.State == "stopped":
		case instance.State == "stopping":
			left++
		case seen:
			left++
			up = append(up, server)
		default:
			left++
		}
	}
	if len(up) > 0 {
		if err := r.ec2().Stop(ctx, ledger.InstanceIDs(up)...); err != nil {
			return jobs.Move{}, err
		}
	}
	if left > 0 {
		return jobs.Look(r.poll(turn, c.Since), "%d old servers to stop", left), nil
	}
	r.enterStage(turn, launching)
	return jobs.Done(), turn.Save(ctx)
}

// takenOut marks the chunk's servers as parked, takes them out of their target groups, and is done when those have let go of
// their connections.
func (r *replace) takenOut(ctx context.Context, turn *jobs.Turn, c *chunk) ([]ledger.Server, jobs.Move, error) {
	servers, err := r.holders(ctx, c.Ordinals)
	if err != nil {
		return nil, jobs.Move{}, err
	}
	var marked []ledger.Server
	for _, server := range servers {
		if server.State != ledger.Parked {
			server.State = ledger.Parked
			marked = append(marked, server)
		}
	}
	if len(marked) > 0 {
		if err := r.Ledger.PutServers(ctx, turn.Guard(), marked); err != nil {
			return nil, jobs.Move{}, err
		}
		c.Since = turn.Now()
		if err := turn.Save(ctx); err != nil {
			return nil, jobs.Move{}, err
		}
	}
	if _, err := r.detach(ctx, servers); err != nil {
		return nil, jobs.Move{}, err
	}
	move, err := r.drained(ctx, turn, servers, c.Since)
	return servers, move, err
}

// unpark has the old servers serve again whose successors did not pass.
func (r *replace) unpark(ctx context.Context, turn *jobs.Turn, _ lot) (jobs.Move, error) {
	c := r.state.Chunk
	servers, err := r.holders(ctx, c.Ordinals.Minus(c.Passed))
	if err != nil {
		return jobs.Move{}, err
	}
	if move, err := r.handBack(ctx, servers); err != nil || !move.IsDone() {
		return move, err
	}
	move, err := r.restore(ctx, turn, servers, c.Since)
	if err != nil || !move.IsDone() {
		return move, err
	}
	if c.Passed.Empty() {
		r.state.Chunk = nil
	} else {
		r.enterStage(turn, leaving)
	}
	return jobs.Done(), nil
}

// restore starts parked servers, registers them again, and marks them as they were once the target groups say that they are
// healthy, or their time for that is over. One that has lost its root volume stays parked: a person was told.
func (r *replace) restore(ctx context.Context, turn *jobs.Turn, servers []ledger.Server, since time.Time) (jobs.Move, error) {
	var parked []ledger.Server
	for _, server := range servers {
		if server.State == ledger.Parked {
			parked = append(parked, server)
		}
	}
	if len(parked) == 0 {
		return jobs.Done(), nil
	}
	instances, err := r.instances(ctx, parked)
	if err != nil {
		return jobs.Move{}, err
	}
	var up, stopped, restored []ledger.Server
	left := 0
	for _, server := range parked {
		if instance := instances[server.InstanceID]; instance.State == "stopped" && instance.RootDevice != "" && instance.Volumes[instance.RootDevice] == "" {
			continue
		}
		restored = append(restored, server)
		switch instance, seen := instances[server.InstanceID]; {
		case ended(instance, seen, turn.Now().Sub(since)): // somebody ended it: its ordinal is Launch's
		case instance.State == "running":
			up = append(up, server)
		case instance.State == "stopped":
			left++
			stopped = append(stopped, server)
		default:
			left++
		}
	}
	if len(stopped) > 0 {
		if err := r.ec2().Start(ctx, ledger.InstanceIDs(stopped)...); err != nil {
			return jobs.Move{}, err
		}
	}
	if left > 0 {
		return jobs.Look(r.poll(turn, since), "%d old servers to run again", left), nil
	}
	if move, err := r.readmit(ctx, turn, up, since); err != nil || !move.IsDone() {
		return move, err
	}
	if len(restored) == 0 {
		return jobs.Done(), nil
	}
	for i := range restored {
		restored[i].State = ledger.Healthy
	}
	return jobs.Done(), r.Ledger.PutServers(ctx, turn.Guard(), restored)
}

// readmit registers servers with their target groups and waits until they are healthy there.
func (r *replace) readmit(ctx context.Context, turn *jobs.Turn, servers []ledger.Server, since time.Time) (jobs.Move, error) {
	groups, waiting := ledger.Attached(servers), 0
	for _, arn := range slices.Sorted(maps.Keys(groups)) {
		if err := r.TargetGroups(r.progress.Target).Register(ctx, arn, groups[arn]...); err != nil {
			return jobs.Move{}, err
		}
		states, err := r.TargetGroups(r.progress.Target).Health(ctx, arn, groups[arn]...)
		if err != nil {
			return jobs.Move{}, err
		}
		for _, state := range states {
			if state.State != "healthy" && state.State != "unused" {
				waiting++
			}
		}
	}
	if waiting > 0 && turn.Now().Sub(since) < DefaultWithin {
		return jobs.Look(r.poll(turn, since), "%d old servers to be healthy again", waiting), nil
	}
	if waiting > 0 {
		turn.Warn("%d old servers that serve again are not healthy in their target groups", waiting)
	}
	return jobs.Done(), nil
}
