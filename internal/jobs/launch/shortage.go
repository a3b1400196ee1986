package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/capacity"
)

// noCapacityAfterAll begins the StateReason of accepted launches that died for want of capacity (aws-facts "Eventual
// consistency").
const noCapacityAfterAll = "Server.Insufficient"

// pool is the rung as the memory of capacity knows it.
func (r Rung) pool(target jobs.Target, region string, template *Template) capacity.Pool {
	if target.Region == "" {
		target.Region = region
	}
	pool := capacity.Pool{Target: target, Type: r.Type, Subnet: r.Subnet, Spot: r.Spot}
	if t := template.cloud(); t != nil && (r.Type == "" || r.Subnet == "") {
		pool.Template = fmt.Sprintf("%s%s:%s", t.Name, t.ID, t.Version)
	}
	return pool
}

// choose begins an attempt at the first place that is worth asking. It leaves out those that gave this batch all that they
// had, and those that refused any job since this batch began; with all of the others refused lately, the batch waits until
// one is worth another try. Without an attempt and without a wait, no place is left.
func (b *batch) choose(ctx context.Context, turn *jobs.Turn, stamp Stamp, ladder Ladder) (capacity.Refusal, jobs.Move, error) {
	asker := b.asker(turn)
	if a := b.progress.Attempt; a != nil {
		if a.Sent || !turn.Job.Lost.IsZero() { // it may have made servers: only its token tells
			return capacity.Refusal{}, jobs.Done(), nil
		}
		may, known, err := asker.May(ctx, b.pool(stamp, a.Rung))
		if err != nil || may {
			return known, jobs.Move{}, err
		}
		b.progress.Attempt = nil
	}
	pools := make([]capacity.Pool, len(ladder))
	for i, rung := range ladder {
		pools[i] = b.pool(stamp, rung)
	}
	choice, err := asker.Choose(ctx, pools, b.progress.Left.Has)
	switch {
	case err != nil:
		return capacity.Refusal{}, jobs.Move{}, err
	case choice.Pool >= 0:
		return choice.Refused, jobs.Move{}, b.begin(ctx, turn, stamp, ladder[choice.Pool], choice.Pool)
	case choice.Wait > 0:
		return capacity.Refusal{}, jobs.Wait(choice.Wait, "capacity for %s: every place that is left was refused lately, the last one at %s",
			b.missing(), choice.Last.UTC().Format(time.TimeOnly)), nil
	case b.progress.Shortage == "" && !choice.Last.IsZero():
		b.progress.Shortage = fmt.Sprintf("every place was refused to other jobs, the last one at %s", choice.Last.UTC().Format(time.TimeOnly))
	}
	return capacity.Refusal{}, jobs.Move{}, nil
}

// remember keeps what a call tells of its place: all that was asked for, or less.
func (b *batch) remember(ctx context.Context, turn *jobs.Turn, stamp Stamp, known capacity.Refusal, begun time.Time, whole bool) error {
	pool := b.pool(stamp, b.progress.Attempt.Rung)
	if whole {
		return b.asker(turn).Granted(ctx, pool, known, begun)
	}
	return b.asker(turn).Refuse(ctx, pool, known, begun)
}

func (b *batch) asker(turn *jobs.Turn) capacity.Asker {
	return capacity.Asker{Memory: b.Capacity, Job: turn.Job.ID, Since: turn.StepSince(), Now: turn.Now(), Pace: b.Pace}
}

func (b *batch) pool(stamp Stamp, rung Rung) capacity.Pool {
	return rung.pool(b.job.Target, b.Region, stamp.Template)
}

// rememberDeaths keeps which places let launches die that EC2 had accepted: they had no capacity after all.
func (l *launch) rememberDeaths(ctx context.Context, turn *jobs.Turn, dead []death) error {
	told := map[Rung]bool{}
	for _, d := range dead {
		at := slices.IndexFunc(l.progress.Ladder, func(r Rung) bool {
			return r.Subnet == d.server.SubnetID && r.Type == d.server.Type && r.Spot == d.server.Spot
		})
		if at < 0 || told[l.progress.Ladder[at]] || !strings.HasPrefix(d.reason, noCapacityAfterAll) {
			continue
		}
		rung := l.progress.Ladder[at]
		told[rung] = true
		asker := capacity.Asker{Memory: l.Capacity, Job: turn.Job.ID, Now: turn.Now(), Pace: l.Pace}
		if err := asker.Refuse(ctx, rung.pool(l.job.Target, l.Region, l.spec.LaunchTemplate), capacity.Refusal{}, turn.Now()); err != nil {
			return err
		}
	}
	return nil
}
