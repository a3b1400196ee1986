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

const (
	// firstLook is how long after the last batch the servers are looked at first: pending takes about 5 s (aws-facts "Times
	// seen in the field"), and a look that finds all of them running is the only one.
	firstLook = 8 * time.Second
	// nextLook is between looks in the first minute, laterLook after it.
	nextLook  = 5 * time.Second
	laterLook = 15 * time.Second
)

var everyState = []string{"pending", "running", "shutting-down", "terminated", "stopping", "stopped"}

// mine are the tags that the servers of this run carry, whichever batch launched them.
func mine(job *jobs.Job) map[string]string {
	return map[string]string{jobs.TagIncarnation: job.Incarnation, jobs.TagRun: fmt.Sprint(job.Run)}
}

// watch waits until every launched server runs. Those that died after EC2 accepted them free their ordinals: what has no
// entry in the ledger any more was buried by a delivery that did not come to its save.
func (l *launch) watch(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &l.progress
	if p.Watched || p.Launched.Empty() {
		return jobs.Done(), nil
	}
	now := turn.Now()
	if rest := p.LaunchedAt.Add(l.firstLook()).Sub(now); rest > 0 {
		return jobs.Wait(rest, "%d servers to run", p.Launched.Len()), nil
	}
	servers, err := l.servers(ctx, p.Launched)
	if err != nil {
		return jobs.Move{}, err
	}
	byID, err := l.seen(ctx, turn, servers)
	if err != nil {
		return jobs.Move{}, err
	}
	up, dead, pending := l.sort(servers, byID, now)
	if err := l.bury(ctx, turn, dead); err != nil {
		return jobs.Move{}, err
	}
	p.Up = up
	p.Launched = held(servers).Minus(deaths(dead))
	if pending.Empty() {
		p.Watched = true
		turn.Note("%d servers run", up.Len())
		return jobs.Done(), nil
	}
	if l.late(now) {
		for _, server := range servers {
			if pending.Has(server.Ordinal) {
				p.fail(server.Ordinal, server.InstanceID, "it did not run within "+l.spec.within().String())
			}
		}
		p.Watched = true
		return jobs.Done(), nil
	}
	return jobs.Look(l.pause(now), "%d of %d servers to run", pending.Len(), p.Launched.Len()), nil
}

// seen gives the servers' instances by id. Successions are small and many: looks by id share calls with those of others.
func (l *launch) seen(ctx context.Context, turn *jobs.Turn, servers []ledger.Server) (map[string]cloud.Instance, error) {
	if l.progress.Heirs != nil {
		return describe(ctx, l.ec2(), servers)
	}
	instances, err := l.ec2().InstancesTagged(ctx, mine(turn.Job), everyState...)
	byID := make(map[string]cloud.Instance, len(instances))
	for _, instance := range instances {
		byID[instance.ID] = instance
	}
	return byID, err
}

func (l *launch) firstLook() time.Duration {
	return time.Duration(float64(firstLook) / max(l.Pace, 1))
}

// late: the servers' time is over.
func (l *launch) late(now time.Time) bool {
	return now.Sub(l.progress.LaunchedAt) >= l.spec.within()
}

// pause is how long until the next look, and never beyond the servers' time.
func (l *launch) pause(now time.Time) time.Duration {
	if now.Sub(l.progress.LaunchedAt) > time.Minute {
		return l.inTime(now, laterLook)
	}
	return l.inTime(now, nextLook)
}

func (l *launch) inTime(now time.Time, pause time.Duration) time.Duration {
	return max(min(pause, l.spec.within()-now.Sub(l.progress.LaunchedAt)), time.Second)
}

// servers are the holders of the ordinals, as the ledger has them.
func (l *launch) servers(ctx context.Context, set ordinals.Set) ([]ledger.Server, error) {
	all, err := l.Ledger.Servers(ctx, l.fleet())
	if err != nil {
		return nil, err
	}
	var servers []ledger.Server
	for _, server := range all {
		if set.Has(server.Ordinal) && (l.anyone || server.Incarnation == l.job.Incarnation) {
			servers = append(servers, server)
		}
	}
	return servers, nil
}

// death is a server that died, and why.
type death struct {
	server ledger.Server
	reason string
}

func deaths(dead []death) ordinals.Set {
	servers := make([]ledger.Server, len(dead))
	for i, d := range dead {
		servers[i] = d.server
	}
	return held(servers)
}

// held are the servers' ordinals.
func held(servers []ledger.Server) ordinals.Set {
	list := make([]int, len(servers))
	for i, server := range servers {
		list[i] = server.Ordinal
	}
	return ordinals.Of(list...)
}

// sort tells servers that run from those that died and those that are still to come. What EC2 does not show may not have
// propagated.
func (l *launch) sort(servers []ledger.Server, byID map[string]cloud.Instance, now time.Time) (up ordinals.Set, dead []death, pending ordinals.Set) {
	var running, waiting []int
	for _, server := range servers {
		instance, seen := byID[server.InstanceID]
		switch {
		case l.progress.Failed.Has(server.Ordinal):
		case seen && gone(instance):
			dead = append(dead, death{server, orWord(instance.StateReason, instance.State)})
		case seen && instance.State == "running":
			running = append(running, server.Ordinal)
		case !seen && now.Sub(l.progress.LaunchedAt) >= jobs.PropagationLimit:
			dead = append(dead, death{server, "EC2 does not know it"})
		default:
			waiting = append(waiting, server.Ordinal)
		}
	}
	return ordinals.Of(running...), dead, ordinals.Of(waiting...)
}

// bury frees the ordinals of servers that died.
func (l *launch) bury(ctx context.Context, turn *jobs.Turn, dead []death) error {
	if len(dead) == 0 {
		return nil
	}
	set := deaths(dead)
	if err := l.rememberDeaths(ctx, turn, dead); err != nil {
		return err
	}
	if err := l.Ledger.DeleteServers(ctx, turn.Guard(), l.fleet(), set.List()); err != nil {
		return err
	}
	for _, d := range dead {
		l.progress.mention(d.server.Ordinal, d.server.InstanceID, "died: "+d.reason)
	}
	turn.Note("died after EC2 accepted them: %s: %s", set, dead[0].reason)
	return nil
}
