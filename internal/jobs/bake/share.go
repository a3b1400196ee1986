package bake

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/copies"
)

// amis are the version's AMIs by region, in the order of the regions.
func (b *program) amis() []struct{ region, id string } {
	regions := b.regions()
	var all []struct{ region, id string }
	for _, region := range sortedKeys(regions) {
		all = append(all, struct{ region, id string }{region, regions[region].AMI})
	}
	return all
}

// share opens the verified AMIs.
func (b *program) share(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	s := b.spec.Share
	with := c.Share{Accounts: s.Accounts, Organizations: s.Organizations, OUs: s.OUs, Public: s.Public}
	for region, copied := range b.regions() {
		why, err := copies.Unshareable(ctx, b.ec2In(region), region, copied.Snapshots, s.Public)
		if err != nil {
			return jobs.Move{}, err
		}
		if why != "" {
			return jobs.Fail("%s", why), nil
		}
	}
	for _, ami := range b.amis() {
		if err := b.ec2In(ami.region).ShareImage(ctx, ami.id, with, c.Share{}); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

func (b *program) deprecate(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	at := b.job.Created.Add(time.Duration(b.spec.DeprecateAfter)).UTC().Truncate(time.Minute)
	for _, ami := range b.amis() {
		if err := b.ec2In(ami.region).DeprecateAt(ctx, ami.id, at); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

func (b *program) protect(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	for _, ami := range b.amis() {
		if err := b.ec2In(ami.region).Protect(ctx, ami.id, b.spec.Protect.Cooldown); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}
