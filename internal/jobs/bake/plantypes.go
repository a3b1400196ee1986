package bake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
)

// planTypes tells where EC2 does not offer what the builder would be launched as, and types that its source does not run on.
func (b *program) planTypes(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	if err := b.planKey(ctx, plan); err != nil || b.spec.direct() {
		return err
	}
	var types []string
	for _, pool := range d.Pools {
		if pool.Type != "" && !slices.Contains(types, pool.Type) {
			types = append(types, pool.Type)
		}
	}
	if len(types) == 0 {
		return nil
	}
	offered, err := b.ec2().TypesOffered(ctx, types)
	if err != nil {
		return err
	}
	about, err := b.ec2().Types(ctx, types)
	if err != nil {
		return err
	}
	wrong := func(message, hint, name string) {
		finding := jobs.Finding{Field: []any{"builder", "types"}, Message: message, Hint: hint}
		if at := slices.Index(b.spec.Builder.Types, name); at >= 0 {
			finding.Field = append(finding.Field, at)
		}
		plan.Findings = append(plan.Findings, finding)
	}
	for _, name := range types {
		has, runs := about[name].Architectures, b.progress.Source.Architecture
		switch {
		case len(offered[name]) == 0:
			wrong("EC2 does not offer "+name+" in "+b.region, "choose another type", name)
		case runs != "" && len(has) > 0 && !slices.Contains(has, runs):
			wrong(fmt.Sprintf("%s is %s, the source %s is %s", name, strings.Join(has, " and "), b.progress.Source.AMI, runs),
				"choose types of the source's architecture", name)
		case !slices.ContainsFunc(d.Pools, func(p PlannedPool) bool {
			return p.Type == name && (p.Zone == "" || slices.Contains(offered[name], p.Zone))
		}):
			wrong(fmt.Sprintf("EC2 offers %s in %s, and in none of the subnets' zones", name, strings.Join(offered[name], ", ")),
				"choose other types or subnets", name)
		}
	}
	return nil
}

func (b *program) planKey(ctx context.Context, plan *jobs.Plan) error {
	name := b.spec.Builder.KeyName
	if name == "" {
		return nil
	}
	exists, err := b.ec2().KeyPair(ctx, name)
	if err == nil && !exists {
		plan.Findings = append(plan.Findings, jobs.Finding{Field: []any{"builder", "keyName"},
			Message: "there is no key pair " + name + " in " + b.region, Hint: "check its name and region"})
	}
	return err
}

func (b *program) planProfile(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, _ *Planned) error {
	name := b.spec.Builder.InstanceProfile
	if name == "" || b.kind.Profiles == nil || b.spec.direct() {
		return nil
	}
	findings, _ := preflight.Profile(ctx, b.kind.Profiles(b.job.Target), name, "builder", "instanceProfile")
	plan.Findings = append(plan.Findings, findings...)
	return ctx.Err()
}
