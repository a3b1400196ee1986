package launch

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// undoServers terminates what this launch launched: what carries its tags, and what the ledger says is its own. Its
// children have ended by now. Servers that were there before are neither.
func (l *launch) undoServers(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	return jobs.Unmake(ctx, turn, "servers", func(ctx context.Context) (bool, error) {
		tagged, err := l.ec2().InstancesTagged(ctx, mine(turn.Job), everyState...)
		if err != nil {
			return false, err
		}
		doomed, leaving := living(tagged)
		if l.progress.Owned {
			recorded, err := l.recorded(ctx, tagged)
			if err != nil {
				return false, err
			}
			doomed = append(doomed, recorded...)
		}
		if len(doomed) > 0 {
			if err := detach(ctx, l.TargetGroups(l.job.Target), l.progress.TargetGroups, doomed); err != nil {
				return false, err
			}
			if err := terminate(ctx, l.ec2(), doomed); err != nil {
				return false, err
			}
			turn.Note("terminates %d servers", len(doomed))
		}
		return len(doomed) == 0 && leaving == 0, nil
	})
}

// living splits instances into those that are to be terminated and those on their way out.
func living(instances []cloud.Instance) (doomed []string, leaving int) {
	for _, instance := range instances {
		switch instance.State {
		case "terminated":
		case "shutting-down":
			leaving++
		default:
			doomed = append(doomed, instance.ID)
		}
	}
	return doomed, leaving
}

// recorded are servers of this launch that the ledger names and that the look by tags did not show yet.
func (l *launch) recorded(ctx context.Context, tagged []cloud.Instance) ([]string, error) {
	servers, err := l.servers(ctx, l.progress.Planned)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, instance := range tagged {
		seen[instance.ID] = true
	}
	unseen := servers[:0:0]
	for _, server := range servers {
		if server.InstanceID != "" && !seen[server.InstanceID] {
			unseen = append(unseen, server)
		}
	}
	instances, err := describe(ctx, l.ec2(), unseen)
	if err != nil {
		return nil, err
	}
	var doomed []string
	for _, instance := range instances {
		if !gone(instance) {
			doomed = append(doomed, instance.ID)
		}
	}
	return doomed, nil
}

// undoLedger frees the ordinals.
func (l *launch) undoLedger(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if !l.progress.Owned {
		return jobs.Done(), nil
	}
	servers, err := l.servers(ctx, l.progress.Planned)
	if err != nil || len(servers) == 0 {
		return jobs.Done(), err
	}
	list := make([]int, len(servers))
	for i, server := range servers {
		list[i] = server.Ordinal
	}
	return jobs.Done(), l.Ledger.DeleteServers(ctx, turn.Guard(), l.fleet(), list)
}

// undoFleet gives the fleet up, or its place in the line. A fleet that no launch ever completed, that has no server and
// that nobody waits for goes.
func (l *launch) undoFleet(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	fleet, known, err := l.Ledger.GetFleet(ctx, l.fleet())
	if err != nil || !known {
		return jobs.Done(), err
	}
	if fleet.Owner == turn.Job.ID && len(fleet.Spec) == 0 && onlyOneInLine(fleet.Line, turn.Job.ID) {
		servers, err := l.Ledger.Servers(ctx, l.fleet())
		if err != nil {
			return jobs.Move{}, err
		}
		if len(servers) == 0 {
			return jobs.Done(), l.Ledger.DeleteFleet(ctx, turn.Guard(), l.fleet())
		}
	}
	return l.release(ctx, turn)
}

func onlyOneInLine(line []string, job string) bool {
	for _, other := range line {
		if other != job {
			return false
		}
	}
	return true
}
