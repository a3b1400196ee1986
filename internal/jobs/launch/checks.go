package launch

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// pendingServers are those that have passed everything but the check that is under way.
func (l *launch) pendingServers(ctx context.Context) ([]ledger.Server, error) {
	pending := l.progress.Up.Minus(l.progress.Stage)
	if pending.Empty() {
		return nil, nil
	}
	return l.servers(ctx, pending)
}

// conclude ends a check once all servers passed it or their time is over; else it waits for the next look. Reasons tell, by
// ordinal, why a server has not passed.
func (l *launch) conclude(turn *jobs.Turn, pending []ledger.Server, pause time.Duration, what string, reasons map[int]string) jobs.Move {
	p, now := &l.progress, turn.Now()
	var left []ledger.Server
	for _, server := range pending {
		if !p.Stage.Has(server.Ordinal) {
			left = append(left, server)
		}
	}
	if len(left) > 0 && !l.late(now) {
		return jobs.Look(pause, "%d of %d servers: %s", len(left), p.Up.Len(), what)
	}
	for _, server := range left {
		p.fail(server.Ordinal, server.InstanceID, fmt.Sprintf("%s: not within %s%s", what, l.spec.within(), because(reasons[server.Ordinal])))
	}
	turn.Note("%s: %d passed, %d did not", what, p.Stage.Len(), len(left))
	p.Stage, p.Probes, p.Reasons = ordinals.Set{}, nil, nil
	return jobs.Done()
}

// statusChecks waits for EC2's status checks.
func (l *launch) statusChecks(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	pending, err := l.pendingServers(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if len(pending) > 0 {
		ok, err := l.ec2().StatusOK(ctx, ids(pending)...)
		if err != nil {
			return jobs.Move{}, err
		}
		var passed []int
		for _, server := range pending {
			if ok[server.InstanceID] {
				passed = append(passed, server.Ordinal)
			}
		}
		l.progress.Stage = l.progress.Stage.Plus(ordinals.Of(passed...))
	}
	return l.conclude(turn, pending, l.pause(turn.Now()), "status checks", nil), nil
}

// attach registers the servers that passed with the target groups. Registering twice is harmless; a server that has died
// meanwhile would fail the whole call.
func (l *launch) attach(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	servers, err := l.servers(ctx, l.progress.Up)
	if err != nil {
		return jobs.Move{}, err
	}
	if l.progress.Heirs == nil { // successions are many, and were looked at just now: their look comes after a refusal only
		if servers, err = l.running(ctx, servers); err != nil {
			return jobs.Move{}, err
		}
	}
	err = l.register(ctx, servers)
	if l.progress.Heirs != nil && jobs.IsClass(err, jobs.Fatal, jobs.NotFound) {
		if servers, err = l.running(ctx, servers); err != nil {
			return jobs.Move{}, err
		}
		err = l.register(ctx, servers)
	}
	if err != nil {
		return jobs.Move{}, err
	}
	turn.Note("%d servers registered with %d target groups", len(servers), len(l.progress.TargetGroups))
	return jobs.Done(), nil
}

func (l *launch) register(ctx context.Context, servers []ledger.Server) error {
	for _, arn := range l.progress.TargetGroups {
		if err := l.TargetGroups(l.job.Target).Register(ctx, arn, ids(servers)...); err != nil {
			return err
		}
	}
	return nil
}

// running leaves out, as failed, what does not run any more.
func (l *launch) running(ctx context.Context, servers []ledger.Server) ([]ledger.Server, error) {
	instances, err := describe(ctx, l.ec2(), servers)
	if err != nil {
		return nil, err
	}
	kept := servers[:0:0]
	for _, server := range servers {
		if state := instances[server.InstanceID].State; state == "running" {
			kept = append(kept, server)
		} else {
			l.progress.fail(server.Ordinal, server.InstanceID, "it ran, and then was "+orWord(state, "gone"))
		}
	}
	return kept, nil
}

// targetHealth waits until the servers are healthy in every target group.
func (l *launch) targetHealth(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	pending, err := l.pendingServers(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	reasons := map[int]string{}
	for _, arn := range l.progress.TargetGroups {
		states, err := l.targetStates(ctx, arn, ids(pending))
		if err != nil {
			return jobs.Move{}, err
		}
		for _, server := range pending {
			if state := states[server.InstanceID]; state.State != "healthy" {
				reasons[server.Ordinal] = fmt.Sprintf("%s in %s%s", orWord(state.State, "not registered"), arn, because(state.Reason))
			}
		}
	}
	var passed []int
	for _, server := range pending {
		if _, waits := reasons[server.Ordinal]; !waits {
			passed = append(passed, server.Ordinal)
		}
	}
	l.progress.Stage = l.progress.Stage.Plus(ordinals.Of(passed...))
	return l.conclude(turn, pending, l.pause(turn.Now()), "healthy in the target groups", reasons), nil
}

// targetStates asks for the group's servers by id; an empty list would mean all of them.
func (l *launch) targetStates(ctx context.Context, arn string, list []string) (map[string]cloud.TargetHealth, error) {
	states := make(map[string]cloud.TargetHealth, len(list))
	if len(list) == 0 {
		return states, nil
	}
	found, err := l.TargetGroups(l.job.Target).Health(ctx, arn, list...)
	for _, state := range found {
		states[state.InstanceID] = state
	}
	return states, err
}

func ids(servers []ledger.Server) []string {
	list := make([]string, 0, len(servers))
	for _, server := range servers {
		if server.InstanceID != "" {
			list = append(list, server.InstanceID)
		}
	}
	return list
}
