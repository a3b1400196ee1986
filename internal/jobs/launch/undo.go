package launch

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
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
		if len(doomed) > 0 {
			turn.Note("terminates %d servers", len(doomed))
		}
		if l.progress.Owned {
			recorded, err := l.recorded(ctx, turn, tagged)
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

// recorded are servers of this launch that the ledger names and that the look by tags did not show. One that EC2 does not
// show at all may only not have propagated: it is terminated by its id, again and again until the propagation limit.
func (l *launch) recorded(ctx context.Context, turn *jobs.Turn, tagged []cloud.Instance) ([]string, error) {
	servers, err := l.servers(ctx, l.progress.Planned)
	if err != nil {
		return nil, err
	}
	return unseen(ctx, l.ec2(), turn.Now(), servers, tagged)
}

func unseen(ctx context.Context, ec2 Servers, now time.Time, servers []ledger.Server, tagged []cloud.Instance) ([]string, error) {
	seen := map[string]bool{}
	for _, instance := range tagged {
		seen[instance.ID] = true
	}
	rest := servers[:0:0]
	for _, server := range servers {
		if server.InstanceID != "" && !seen[server.InstanceID] {
			rest = append(rest, server)
		}
	}
	instances, err := describe(ctx, ec2, rest)
	if err != nil {
		return nil, err
	}
	var doomed []string
	for _, server := range rest {
		instance, known := instances[server.InstanceID]
		if known && !gone(instance) || !known && now.Sub(server.Launched) < jobs.PropagationLimit {
			doomed = append(doomed, server.InstanceID)
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
	return jobs.Done(), l.Ledger.DeleteServers(ctx, turn.Guard(), l.fleet(), held(servers).List())
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
