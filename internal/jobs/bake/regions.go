package bake

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
)

// lookRegions finds regions for copies that do not exist, or that the account has not enabled: an image that is baked for an
// hour would fail there.
func (b *program) lookRegions(ctx context.Context) ([]jobs.Finding, error) {
	return preflight.Regions(ctx, b.ec2(), b.publishedRegions()[1:], "copyTo")
}

// mayCopy refuses regions that the copies could not go to, before anything is made.
func (b *program) mayCopy(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	findings, err := b.lookRegions(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if why := preflight.Refusal(turn, findings); why != "" {
		return jobs.Fail("%s", why), nil
	}
	return jobs.Done(), nil
}

// planRegions tells the same of a plan, and of keys that are named in another region than where they are used.
func (b *program) planRegions(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, _ *Planned) error {
	findings, err := b.lookRegions(ctx)
	plan.Findings = append(plan.Findings, findings...)
	builder := b.spec.Builder
	if root := builder.RootVolume; root != nil {
		plan.Findings = append(plan.Findings, preflight.Key(root.KMSKey, b.region, "builder", "rootVolume", "kmsKey")...)
	}
	for _, device := range sortedKeys(builder.Volumes) {
		plan.Findings = append(plan.Findings, preflight.Key(builder.Volumes[device].KMSKey, b.region, "builder", "volumes", device, "kmsKey")...)
	}
	return err
}
