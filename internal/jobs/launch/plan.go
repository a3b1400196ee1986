package launch

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// describeSize is how many ids a call takes (aws-facts "Launching").
const describeSize = 1000

// own waits in line for the fleet.
func (l *launch) own(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	fleet, owned, err := l.Ledger.Own(ctx, turn.Guard(), ledger.Fleet{Name: l.fleet(), Target: l.job.Target, Labels: l.job.Labels}, l.job.ID)
	if err != nil {
		return jobs.Move{}, err
	}
	if !owned {
		return waitInLine(fleet, l.job.ID), nil
	}
	l.progress.Owned, l.progress.Promised = true, fleet.Count
	if l.spec.Heals && (fleet.Count != l.spec.Count || fleet.Image != "" && fleet.Image != l.progress.Image.Ref) {
		return jobs.Fail("the fleet was changed meanwhile, to %d servers of %q: what is missing of %d servers of %s is missing no more",
			fleet.Count, fleet.Image, l.spec.Count, l.progress.Image.Ref), nil
	}
	return jobs.Done(), nil
}

func waitInLine(fleet ledger.Fleet, job string) jobs.Move {
	before := 1
	for _, other := range fleet.Line {
		if other == job {
			break
		}
		if other != fleet.Owner {
			before++
		}
	}
	return jobs.Wait(10*time.Second, "the fleet %s: %s works on it, %d in line before this job", fleet.Name, fleet.Owner, before)
}

// plan finds the ordinals to fill: the lowest that have no living server, as many as the count lacks.
func (l *launch) plan(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	servers, err := l.Ledger.Servers(ctx, l.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	now := turn.Now()
	instances, err := describe(ctx, l.ec2(), servers)
	if err != nil {
		return jobs.Move{}, err
	}
	var living, dead []int
	for _, server := range servers {
		instance, seen := instances[server.InstanceID]
		switch {
		case seen && !gone(instance):
			living = append(living, server.Ordinal)
		case !seen && server.InstanceID != "" && now.Sub(server.Launched) < jobs.PropagationLimit:
			return jobs.Wait(10*time.Second, "EC2 to tell of %s, which was launched at %s", server.InstanceID, server.Launched.Format(time.TimeOnly)), nil
		default:
			dead = append(dead, server.Ordinal)
		}
	}
	if len(dead) > 0 {
		if err := l.Ledger.DeleteServers(ctx, turn.Guard(), l.fleet(), dead); err != nil {
			return jobs.Move{}, err
		}
		turn.Note("ordinals without a living server: %s", ordinals.Of(dead...))
	}
	l.progress.Existing = ordinals.Of(living...)
	l.progress.Planned = missing(l.progress.Existing, l.spec.Count)
	have, promised := l.progress.Existing.Len(), l.progress.Promised
	switch {
	case have > l.spec.Count:
		turn.Warn("the fleet has %d servers, more than the %d asked for; a launch never removes any: see Terminate", have, l.spec.Count)
	case promised > l.spec.Count:
		turn.Warn("the fleet is to have %d servers, more than the %d asked for, and stays so: to make it smaller, submit a Terminate with `to: %d`", promised, l.spec.Count, l.spec.Count)
	}
	turn.Note("%d servers are there, %d are to be launched: %s", len(living), l.progress.Planned.Len(), orWord(l.progress.Planned.String(), "none"))
	return l.checkRows(ctx)
}

// missing are the lowest ordinals that nobody holds, as many as count lacks.
func missing(held ordinals.Set, count int) ordinals.Set {
	lacking := count - held.Len()
	if lacking <= 0 {
		return ordinals.Set{}
	}
	return ordinals.Between(0, count-1).Minus(held).Lowest(lacking)
}

// gone: its ordinal is free.
func gone(instance cloud.Instance) bool {
	return instance.State == "terminated" || instance.State == "shutting-down"
}

// describe gives the servers' instances by id.
func describe(ctx context.Context, ec2 Servers, servers []ledger.Server) (map[string]cloud.Instance, error) {
	instances, err := ec2.Instances(ctx, ledger.InstanceIDs(servers)...)
	found := make(map[string]cloud.Instance, len(instances))
	for _, instance := range instances {
		found[instance.ID] = instance
	}
	return found, err
}

// rows are the settings by ordinal, from the spec or from the bucket.
func (l *launch) rows(ctx context.Context) (map[int]spec.Row, error) {
	each := l.spec.Settings.Each
	list := each.Rows
	if each.IsStored() {
		content, found, err := l.Files.Get(ctx, each.Key)
		if err != nil {
			return nil, err
		}
		if !found || !each.Matches(content) {
			return nil, jobs.Fatalf("read the settings", each.Key, "they are not in the bucket as they were submitted", "submit again")
		}
		if list, err = spec.ParseRows(content); err != nil {
			return nil, jobs.Fatalf("read the settings", each.Key, err.Error(), "")
		}
	}
	rows, err := spec.ByOrdinal(list, 0)
	if err != nil {
		return nil, jobs.Fatalf("read the settings", each.Path, err.Error(), "")
	}
	return rows, nil
}

// checkRows refuses settings that leave a new server without its row.
func (l *launch) checkRows(ctx context.Context) (jobs.Move, error) {
	if l.spec.Settings.Each.IsZero() {
		return jobs.Done(), nil
	}
	rows, err := l.rows(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	for ordinal := range l.progress.Planned.All() {
		if rows[ordinal] == nil {
			return jobs.Fail("settings.each has no row for ordinal %d, which is to be launched; it has %d rows", ordinal, len(rows)), nil
		}
	}
	return jobs.Done(), nil
}
