package bake

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
)

// planBudget tells of EC2's budgets that would hold the bake up. A bake takes little of each, so most hold up none.
func (b *program) planBudget(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	budgets := b.kind.Budgets
	if budgets == nil {
		budgets = preflight.Full{}
	}
	all, findings, err := preflight.Reckon(ctx, budgets, b.job.Target, jobs.ClassFor(b.job.Priority), b.needs())
	if err != nil {
		return err
	}
	plan.Findings = append(plan.Findings, findings...)
	about := "budget now"
	for _, of := range all {
		if of.Seconds == 0 {
			continue
		}
		d.Budgets = append(d.Budgets, of)
		plan.Say(about, "%s: its turn comes in about %s", of.Text(), of.Wait())
		about = ""
	}
	return nil
}

// needs is what the bake takes of what EC2 limits most.
func (b *program) needs() []preflight.Need {
	captures := preflight.Need{Action: "CreateImage", Region: b.region, Requests: 1}
	if b.spec.From.Server != "" && !b.spec.direct() {
		captures.Requests++
	}
	needs := []preflight.Need{captures}
	servers := 0.
	if !b.spec.direct() {
		servers++
	}
	if b.spec.bootTests() {
		servers++
	}
	if servers > 0 {
		needs = append(needs, preflight.Need{Action: "RunInstances", Region: b.region, Requests: servers, Resources: servers})
	}
	for _, region := range b.publishedRegions()[1:] {
		needs = append(needs, preflight.Need{Action: "CopyImage", Region: region, Requests: 1})
	}
	return needs
}
