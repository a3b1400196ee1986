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
	opened, _, err := r.opened(ctx, *v)
	if err != nil {
		return "", err
	}
	waits := ""
	for _, ami := range opened {
		by, _, err := r.Others(ctx, turn, v, ami)
		if err != nil {
			return "", err
		}
		if by != "" {
			waits = by
		}
	}
	return waits, nil
}

// opened are the version's AMIs that others may launch from, and who they are: by what its Bake or a Distribute says, by what EC2
// forgets when it disables one, and by what a person opened by hand. Copies that other accounts own are left out: the account was
// asked itself, and we opened them to nobody.
func (r Line) opened(ctx context.Context, v l.Version) (amis []l.Located, to []string, err error) {
	said := release.Of(v).Share.Principals()
	if v.Recall != nil {
		for _, shares := range v.Recall.Shares {
			said = append(said, shares...)
		}
	}
	for _, ami := range v.AMIs() {
		if ami.Role != "" {
			continue
		}
		who := said
		if len(who) == 0 {
			open, err := r.EC2("", ami.Region).ImageShares(ctx, ami.AMI)
			if err != nil && !jobs.IsClass(err, jobs.NotFound, jobs.Propagating) { // one that is gone is open to nobody
				return nil, nil, err
			}
			who = open.Principals()
		}
		if len(who) > 0 {
			amis, to = append(amis, ami), append(to, who...)
		}
	}
	slices.Sort(to)
	return amis, slices.Compact(to), nil
}

// Others says who in other accounts uses one AMI of the version. It is told by a report of EC2's, which is asked for where
// there is none; until it is there the answer is pending.
func (r Line) Others(ctx context.Context, turn *jobs.Turn, v *l.Version, ami l.Located) (by string, pending bool, err error) {
	by, pending, err = r.reported(ctx, turn, v, ami)
	switch {
	case jobs.IsClass(err, jobs.NotFound):
		return "", false, nil // the AMI is gone there
	case jobs.IsClass(err, jobs.Fatal):
		turn.Warn("what other accounts do with %s in %s could not be asked: %v", v.Ref(), ami.Region, err)
		return "what the accounts that it is shared with do is not known", false, nil
	}
	return by, pending, err
}

func (r Line) reported(ctx context.Context, turn *jobs.Turn, v *l.Version, ami l.Located) (by string, pending bool, err error) {
	var asked l.UsageReport
	region, key := ami.Region, ami.Region
	if ami.Leaving {
		key = ami.AMI // its region may have another one
	}
	if v.Retirement != nil {
		asked = v.Retirement.Reports[key]
	}
	ec2, now := r.EC2(ami.Role, region), turn.Now().UTC()
	if asked.ID != "" && now.Sub(asked.Asked) < reportLasts {
		usage, ready, known, err := ec2.Usage(ctx, asked.ID)
		switch {
		case err != nil:
			return "", false, err
		case ready:
			for _, u := range usage {
				if u.Count > 0 {
					return fmt.Sprintf("the account %s has %d of %s in %s", u.Account, u.Count, u.Kind, region), false, nil
				}
			}
			return "", false, nil
		case known && now.Sub(asked.Asked) < reportTakes:
			return "EC2 still makes the report on other accounts' use in " + region, true, nil
		}
	}
	thing := fmt.Sprintf("usage-%d-%s", v.Number, key)
	id, err := ec2.AskUsage(ctx, ami.AMI, turn.Token(thing), turn.Tags(thing))
	if err != nil {
		return "", false, err
	}
	err = r.note(ctx, turn, *v, func(stage *l.Retirement) {
		stage.Reports = maps.Clone(stage.Reports)
		if stage.Reports == nil {
			stage.Reports = map[string]l.UsageReport{}
		}
		stage.Reports[key] = l.UsageReport{ID: id, Asked: now}
	})
	return "EC2 was asked what other accounts do with it in " + region + "; the next look reads the report", true, err
}
