package terminate

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
)

// Planned is what a termination would do, for programs.
type Planned struct {
	Fleet string `json:"fleet"`
	// DependsOn is the document that would make the fleet.
	DependsOn string `json:"dependsOn,omitempty"`
	Servers   int    `json:"servers"`
	// Chosen would go; Left is how many stay.
	Chosen       ordinals.Set `json:"chosen"`
	Left         int          `json:"left"`
	Instances    []string     `json:"instances,omitempty"`
	TargetGroups []string     `json:"targetGroups,omitempty"`
	Calls        int          `json:"calls"`
	// Budgets are how EC2's buckets stand; Seconds is until the last call is granted.
	Budgets []preflight.Planned `json:"budgets,omitempty"`
	Seconds int                 `json:"seconds"`
}

// shownServers is how many servers a plan tells one by one.
const shownServers = 10

var _ jobs.Planner = (*termination)(nil)

// Plan tells which servers would go.
func (t *termination) Plan(ctx context.Context, before jobs.Foreseen) (jobs.Plan, error) {
	var plan jobs.Plan
	d := Planned{Fleet: t.spec.Fleet, DependsOn: before.Fleets[t.spec.Fleet]}
	fleet, known, err := t.Ledger.GetFleet(ctx, t.spec.Fleet)
	switch {
	case err != nil:
		return plan, err
	case !known && d.DependsOn == "":
		plan.Say("fleet", "%s: see the problem", t.spec.Fleet)
		plan.Details = d
		plan.Findings = append(plan.Findings, jobs.Finding{Field: []any{"fleet"}, Message: "there is no fleet " + t.spec.Fleet, Hint: "see `stampmill fleet list`"})
		return plan, nil
	case !known:
		plan.Say("fleet", "%s, which is not there yet: %s makes it", t.spec.Fleet, d.DependsOn)
		plan.Say("", "a termination does not wait for it: submit this document once that launch has ended")
		plan.Details = d
		return plan, nil
	}
	servers, err := t.Ledger.Servers(ctx, t.spec.Fleet)
	if err != nil {
		return plan, err
	}
	t.progress.Target = fleet.Target
	states, err := t.states(ctx, servers)
	if err != nil {
		return plan, err
	}
	d.Servers, d.Chosen = len(servers), t.spec.choice(servers, states)
	d.Left = d.Servers - d.Chosen.Len()
	t.sayFleet(&plan, fleet, d)
	t.sayChosen(&plan, servers, &d)
	err = t.sayTime(ctx, &plan, &d)
	plan.Details = d
	return plan, err
}

func (t *termination) sayFleet(plan *jobs.Plan, fleet ledger.Fleet, d Planned) {
	plan.Say("fleet", "%s has %d servers of %s", fleet.Name, d.Servers, fleet.Image)
	if d.DependsOn != "" {
		plan.Say("", "%s changes that first", d.DependsOn)
	}
	if fleet.Owner != "" {
		plan.Say("", "%s works on it now: this job waits in line", fleet.Owner)
	}
	if t.spec.All {
		plan.Say("", "the fleet is forgotten in the end")
	}
}

func (t *termination) sayChosen(plan *jobs.Plan, servers []ledger.Server, d *Planned) {
	if d.Chosen.Empty() {
		plan.Say("terminates", "nothing: no such server is there")
		return
	}
	plan.Say("terminates", "%d: ordinals %s; %d stay", d.Chosen.Len(), d.Chosen, d.Left)
	chosen := slices.DeleteFunc(slices.Clone(servers), func(s ledger.Server) bool { return !d.Chosen.Has(s.Ordinal) })
	for i, s := range chosen {
		if s.InstanceID != "" {
			d.Instances = append(d.Instances, s.InstanceID)
		}
		if i < shownServers {
			plan.Say("", "%d  %s  %s  %s", s.Ordinal, orNone(s.InstanceID), orNone(s.Hostname), s.Zone)
		}
	}
	if more := len(chosen) - shownServers; more > 0 {
		plan.Say("", "and %d more", more)
	}
	d.TargetGroups = slices.Sorted(maps.Keys(ledger.Attached(chosen)))
	for _, arn := range d.TargetGroups {
		plan.Say("drains", "%s, for at most %s", arn, t.spec.Drain.Or(DefaultDrain))
	}
	n := len(d.Instances)
	d.Calls = (n + terminateSize - 1) / terminateSize
	plan.Say("EC2 calls", "%d TerminateInstances", d.Calls)
}

// sayTime tells how the budget stands, and how long it makes the termination last.
func (t *termination) sayTime(ctx context.Context, plan *jobs.Plan, d *Planned) error {
	if d.Calls == 0 {
		return nil
	}
	target := t.progress.Target
	if target.Region == "" {
		target.Region = t.Region
	}
	budgets := t.Budgets
	if budgets == nil {
		budgets = preflight.Full{}
	}
	all, findings, err := preflight.Reckon(ctx, budgets, target, jobs.ClassFor(t.priority),
		[]preflight.Need{{Action: "TerminateInstances", Region: target.Region, Requests: float64(d.Calls), Resources: float64(len(d.Instances))}})
	if err != nil {
		return err
	}
	plan.Findings = append(plan.Findings, findings...)
	d.Budgets, d.Seconds = all, int(math.Ceil(all[0].Seconds))
	text := "no limit binds: all are terminated at once"
	if d.Seconds > 0 {
		text = fmt.Sprintf("the last call is granted about %s from now, if nobody else comes; %s binds", all[0].Wait(), all[0].Name())
	}
	plan.Say("budget now", "%s", all[0].Text())
	plan.Say("time", "%s", text)
	return nil
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
