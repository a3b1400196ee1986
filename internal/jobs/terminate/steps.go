package terminate

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// terminateSize is how many instances a call names (aws-facts "Launching").
const terminateSize = 1000

// chosen are the servers that still have an entry in the ledger.
func (t *termination) chosen(ctx context.Context) ([]ledger.Server, error) {
	all, err := t.Ledger.Servers(ctx, t.spec.Fleet)
	if err != nil {
		return nil, err
	}
	servers := all[:0:0]
	for _, server := range all {
		if t.progress.Chosen.Has(server.Ordinal) {
			servers = append(servers, server)
		}
	}
	return servers, nil
}

// deregister takes the servers out of their target groups.
func (t *termination) deregister(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	servers, err := t.chosen(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	for arn, list := range ledger.Attached(servers) {
		err := t.TargetGroups(t.progress.Target).Deregister(ctx, arn, list...)
		if err != nil && !jobs.IsClass(err, jobs.NotFound) { // a target group that is gone has let go of its servers
			return jobs.Move{}, err
		}
		turn.Note("%d servers deregistered from %s", len(list), arn)
	}
	return jobs.Done(), nil
}

// drain waits until the target groups have let go of the servers' connections.
func (t *termination) drain(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	servers, err := t.chosen(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	draining := 0
	for arn, list := range ledger.Attached(servers) {
		states, err := t.TargetGroups(t.progress.Target).Health(ctx, arn, list...)
		for _, state := range states {
			if state.State == "draining" {
				draining++
			}
		}
		if err != nil && !jobs.IsClass(err, jobs.NotFound) {
			return jobs.Move{}, err
		}
	}
	limit := t.spec.Drain.Or(DefaultDrain)
	waited := turn.Now().Sub(turn.StepSince())
	switch {
	case draining == 0:
		return jobs.Done(), nil
	case waited >= limit:
		turn.Warn("%d servers were still draining after %s and are terminated all the same", draining, limit)
		return jobs.Done(), nil
	}
	return jobs.Wait(min(10*time.Second, limit-waited), "%d servers to drain", draining), nil
}

// terminate asks EC2, a thousand servers a call, and keeps which were asked for: a throttled call does not repeat others.
func (t *termination) terminate(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	servers, err := t.chosen(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	byOrdinal := map[int]string{}
	for _, server := range servers {
		if server.InstanceID != "" {
			byOrdinal[server.Ordinal] = server.InstanceID
		}
	}
	for _, chunk := range t.progress.Chosen.Minus(t.progress.Sent).Chunks(terminateSize) {
		if turn.Job.Cancel == turn.Job.Run {
			return jobs.Wait(time.Second, "its cancellation"), nil
		}
		var ids []string
		for ordinal := range chunk.All() {
			if id := byOrdinal[ordinal]; id != "" {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			if err := t.EC2(t.progress.Target).Terminate(ctx, ids...); err != nil && !jobs.IsClass(err, jobs.NotFound) {
				return jobs.Move{}, err
			}
		}
		t.progress.Sent = t.progress.Sent.Plus(chunk)
		if err := turn.Save(ctx); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

// gone forgets servers as EC2 says that they are terminated. A server that EC2 does not know may not have propagated: it
// is asked for until the propagation limit after its launch.
func (t *termination) gone(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	servers, err := t.chosen(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	left, err := t.see(ctx, turn, servers, t.progress.Chosen)
	if err != nil {
		return jobs.Move{}, err
	}
	if left > 0 {
		return jobs.Wait(5*time.Second, "%d servers to be terminated", left), nil
	}
	t.progress.Gone = t.progress.Chosen
	return jobs.Done(), nil
}

// forget sees the servers gone that EC2 was asked to terminate before the cancel, or that go all the same: of a call whose
// answer was lost, EC2 knows more than the progress.
func (t *termination) forget(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if !t.progress.Owned || t.progress.Chosen.Empty() {
		return jobs.Done(), nil
	}
	servers, err := t.chosen(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	left, err := t.see(ctx, turn, servers, t.progress.Sent)
	if err != nil {
		return jobs.Move{}, err
	}
	if left > 0 {
		return jobs.Wait(5*time.Second, "%d servers to be terminated", left), nil
	}
	return jobs.Done(), nil
}

// see forgets the servers that EC2 says are terminated, and tells how many are still on their way. Those of doomed that are
// not are asked for again: EC2 did not know them, or somebody's stop came between.
func (t *termination) see(ctx context.Context, turn *jobs.Turn, servers []ledger.Server, doomed ordinals.Set) (left int, err error) {
	states, err := t.states(ctx, servers)
	if err != nil {
		return 0, err
	}
	var finished []int
	var again []string
	for _, server := range servers {
		state, seen := states[server.InstanceID]
		switch {
		case state == "terminated", doomed.Has(server.Ordinal) && (server.InstanceID == "" || !seen && turn.Now().Sub(server.Launched) >= jobs.PropagationLimit):
			finished = append(finished, server.Ordinal)
		case state == "shutting-down":
			left++
		case doomed.Has(server.Ordinal):
			left++
			again = append(again, server.InstanceID)
		}
	}
	if len(finished) > 0 {
		if err := t.Ledger.DeleteServers(ctx, turn.Guard(), t.spec.Fleet, finished); err != nil {
			return 0, err
		}
		t.progress.Gone = t.progress.Gone.Plus(ordinals.Of(finished...))
		t.progress.Left -= len(finished)
		if err := turn.Save(ctx); err != nil {
			return 0, err
		}
	}
	if len(again) == 0 {
		return left, nil
	}
	if err := t.EC2(t.progress.Target).Terminate(ctx, again...); err != nil && !jobs.IsClass(err, jobs.NotFound) {
		return 0, err
	}
	return left, nil
}

func (t *termination) states(ctx context.Context, servers []ledger.Server) (map[string]string, error) {
	instances, err := t.EC2(t.progress.Target).Instances(ctx, ledger.InstanceIDs(servers)...)
	states := make(map[string]string, len(instances))
	for _, instance := range instances {
		states[instance.ID] = instance.State
	}
	return states, err
}

// record lowers the fleet's count, never raises it: what a person terminated is not wanted any more, and no heal brings it back.
func (t *termination) record(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	fleet, known, err := t.Ledger.GetFleet(ctx, t.spec.Fleet)
	if err != nil || !known {
		return jobs.Done(), err
	}
	count := max(t.progress.Wanted-t.progress.Chosen.Len(), 0)
	switch {
	case t.spec.All:
		count = 0
	case t.spec.To != nil:
		count = *t.spec.To
	}
	fleet.Count, fleet.Updated = min(fleet.Count, count), turn.Now()
	return jobs.Done(), t.Ledger.PutFleet(ctx, turn.Guard(), fleet)
}

// release gives the fleet to the next in line. A fleet that lost all its servers is forgotten, unless somebody waits for it.
func (t *termination) release(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	fleet, known, err := t.Ledger.GetFleet(ctx, t.spec.Fleet)
	if err != nil {
		return jobs.Move{}, err
	}
	if !known {
		return jobs.Done(), nil // forgotten by a delivery before this one
	}
	waiting := false
	for _, job := range fleet.Line {
		waiting = waiting || job != turn.Job.ID
	}
	if t.spec.All && !waiting {
		servers, err := t.Ledger.Servers(ctx, t.spec.Fleet)
		if err != nil {
			return jobs.Move{}, err
		}
		if len(servers) == 0 {
			return jobs.Done(), t.Ledger.DeleteFleet(ctx, turn.Guard(), t.spec.Fleet)
		}
	}
	return t.leave(ctx, turn)
}

// unmark takes the marks of servers that EC2 was not asked to terminate back.
func (t *termination) unmark(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if !t.progress.Owned || t.progress.Chosen.Empty() {
		return jobs.Done(), nil
	}
	servers, err := t.chosen(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	var spared []ledger.Server
	var list []int
	for _, server := range servers {
		if server.State == ledger.Leaving && !t.progress.Sent.Has(server.Ordinal) {
			server.State = ledger.Launched
			spared, list = append(spared, server), append(list, server.Ordinal)
		}
	}
	if len(spared) == 0 {
		return jobs.Done(), nil
	}
	turn.Warn("not terminated: %s; they may be deregistered from their target groups", ordinals.Of(list...))
	return jobs.Done(), t.Ledger.PutServers(ctx, turn.Guard(), spared)
}

// leave gives the fleet up, or the place in the line.
func (t *termination) leave(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	_, known, err := t.Ledger.GetFleet(ctx, t.spec.Fleet)
	if err != nil || !known {
		return jobs.Done(), err
	}
	return jobs.Done(), t.Ledger.Release(ctx, turn.Guard(), t.spec.Fleet, turn.Job.ID)
}
