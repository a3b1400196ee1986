package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
)

// elsewhere is a kind whose jobs make things outside their own target: copies in other regions.
type elsewhere interface {
	Elsewhere(job *jobs.Job) []jobs.Target
}

// TargetsKnown gives the accounts and regions that the reaper looks at: the worker's own, those configured, and those of
// every job that the table still holds, of every image and of every fleet.
func (a *App) TargetsKnown(configured []jobs.Target) func(context.Context) ([]jobs.Target, error) {
	return func(ctx context.Context) ([]jobs.Target, error) {
		own := a.Clients.Region()
		seen := map[jobs.Target]bool{}
		var targets []jobs.Target
		add := func(t jobs.Target) {
			if t.Region == "" {
				t.Region = own
			}
			if !seen[t] {
				seen[t] = true
				targets = append(targets, t)
			}
		}
		add(jobs.Target{})
		for _, t := range configured {
			add(t)
		}
		list, err := a.Store.List(ctx, store.Filter{Limit: 1000})
		if unread, err := jobs.Unread(err); err != nil {
			return nil, err
		} else if unread != nil {
			slog.WarnContext(ctx, "targets of these jobs are not looked at, unless others name them: the jobs cannot be read", "error", unread)
		}
		for _, job := range list {
			add(job.Target)
			if kind, ok := a.Kinds[job.Kind].(elsewhere); ok {
				for _, t := range kind.Elsewhere(job) {
					add(t)
				}
			}
		}
		images, err := a.Ledger.ListImages(ctx)
		if _, err := jobs.Unread(err); err != nil { // Named, which needs all of them, tells which
			return nil, err
		}
		for _, image := range images {
			versions, err := a.Ledger.Versions(ctx, image.Name)
			if _, err := jobs.Unread(err); err != nil {
				return nil, err
			}
			for _, v := range versions {
				for _, ami := range v.AMIs() {
					add(jobs.Target{Role: cmp.Or(ami.Role, image.Role), Region: ami.Region})
				}
			}
		}
		fleets, err := a.Ledger.ListFleets(ctx)
		if _, err := jobs.Unread(err); err != nil {
			return nil, err
		}
		for _, fleet := range fleets {
			add(fleet.Target)
		}
		return targets, nil
	}
}

// ParseTargets reads REGION or ROLE_ARN@REGION.
func ParseTargets(list []string) ([]jobs.Target, error) {
	var targets []jobs.Target
	for _, entry := range list {
		role, region, both := strings.Cut(strings.TrimSpace(entry), "@")
		if !both {
			role, region = "", role
		}
		if region == "" || (both && !strings.HasPrefix(role, "arn:")) {
			return nil, errors.New("configuration: STAMPMILL_TARGETS has " + entry + "; expected REGION or ROLE_ARN@REGION")
		}
		targets = append(targets, jobs.Target{Role: role, Region: region})
	}
	return targets, nil
}
