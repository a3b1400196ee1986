package bake

import (
	"context"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
)

// lookRegions finds regions for copies that do not exist, or that the account has not enabled: an image that is baked for an
// hour would fail there.
func (b *program) lookRegions(ctx context.Context) ([]jobs.Finding, error) {
	others := b.publishedRegions()[1:]
	if len(others) == 0 {
		return nil, nil
	}
	known, err := b.ec2().Regions(ctx, others...)
	switch {
	case jobs.IsClass(err, jobs.Fatal, jobs.Unknown):
		return []jobs.Finding{{Field: []any{"copyTo"}, Warning: true, Message: "whether the account has enabled " + strings.Join(others, ", ") +
			" could not be checked: " + err.Error()}}, nil
	case err != nil:
		return nil, err
	}
	var findings []jobs.Finding
	for _, region := range others {
		switch status, exists := known[region]; {
		case !exists:
			findings = append(findings, jobs.Finding{Field: []any{"copyTo", region}, Message: "there is no region " + region,
				Hint: "check its name; `aws ec2 describe-regions --all-regions` lists them"})
		case status == "not-opted-in":
			findings = append(findings, jobs.Finding{Field: []any{"copyTo", region}, Message: "the region " + region + " is not enabled for the account",
				Hint: "aws account enable-region --region-name " + region + ", which takes minutes to hours; or leave it out"})
		}
	}
	return findings, nil
}

// mayCopy refuses regions that the copies could not go to, before anything is made.
func (b *program) mayCopy(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	findings, err := b.lookRegions(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	var wrong []string
	for _, finding := range findings {
		if finding.Warning {
			turn.Warn("%s", finding)
		} else {
			wrong = append(wrong, finding.String())
		}
	}
	if len(wrong) > 0 {
		return jobs.Fail("%s", strings.Join(wrong, "; ")), nil
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
