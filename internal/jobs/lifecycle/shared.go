package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

const (
	// reportLasts is how old a report may be that is believed.
	reportLasts = 48 * time.Hour
	// reportTakes is how long one may take before another is asked for.
	reportTakes = 24 * time.Hour
)

// shared says why a version that is open to other accounts stays: they use it, or what they do is not known yet. A report
// that is asked for now is read by a later look; EC2 does not know of the last day's launches.
func (r Line) shared(ctx context.Context, turn *jobs.Turn, v *l.Version) (string, error) {
	if release.Of(*v).Share.IsZero() && (v.Recall == nil || len(v.Recall.Shares) == 0) {
		return "", nil
	}
	waits := ""
	for _, region := range slices.Sorted(maps.Keys(v.Regions)) {
		by, err := r.sharedIn(ctx, turn, v, region)
		switch {
		case jobs.IsClass(err, jobs.NotFound):
			continue // the AMI is gone there
		case jobs.IsClass(err, jobs.Fatal):
			turn.Warn("what other accounts do with %s in %s could not be asked: %v", v.Ref(), region, err)
			return "what the accounts that it is shared with do is not known", nil
		case err != nil:
			return "", err
		case by != "":
			waits = by
		}
	}
	return waits, nil
}

func (r Line) sharedIn(ctx context.Context, turn *jobs.Turn, v *l.Version, region string) (string, error) {
	var asked l.UsageReport
	if v.Retirement != nil {
		asked = v.Retirement.Reports[region]
	}
	ec2, now := r.EC2(region), turn.Now().UTC()
	if asked.ID != "" && now.Sub(asked.Asked) < reportLasts {
		usage, ready, known, err := ec2.Usage(ctx, asked.ID)
		switch {
		case err != nil:
			return "", err
		case ready:
			for _, u := range usage {
				if u.Count > 0 {
					return fmt.Sprintf("the account %s has %d of %s in %s", u.Account, u.Count, u.Kind, region), nil
				}
			}
			return "", nil
		case known && now.Sub(asked.Asked) < reportTakes:
			return "EC2 still makes the report on other accounts' use in " + region, nil
		}
	}
	ami, thing := v.Regions[region].AMI, fmt.Sprintf("usage-%d-%s", v.Number, region)
	id, err := ec2.AskUsage(ctx, ami, turn.Token(thing), turn.Tags(thing))
	if err != nil {
		return "", err
	}
	err = r.note(ctx, turn, *v, func(stage *l.Retirement) {
		stage.Reports = maps.Clone(stage.Reports)
		if stage.Reports == nil {
			stage.Reports = map[string]l.UsageReport{}
		}
		stage.Reports[region] = l.UsageReport{ID: id, Asked: now}
	})
	return "EC2 was asked what other accounts do with it in " + region + "; the next look reads the report", err
}
