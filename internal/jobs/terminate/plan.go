package terminate

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
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
	Seconds      int          `json:"seconds"`
}

// TerminateInstances' resource bucket at default limits (aws-facts "EC2 API throttling").
const resourceBucket, resourceRefill = 1000, 20

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
		return plan, jobs.Fatalf("find the fleet", t.spec.Fleet, "there is no such fleet", "see `stampmill fleet list`")
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
	plan.Details = d
	return plan, nil
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
	d.TargetGroups = slices.Sorted(maps.Keys(attached(chosen)))
	for _, arn := range d.TargetGroups {
		plan.Say("drains", "%s, for at most %s", arn, t.spec.Drain.Or(DefaultDrain))
	}
	n := len(d.Instances)
	d.Calls = (n + terminateSize - 1) / terminateSize
	d.Seconds = int(math.Ceil(float64(max(n-resourceBucket, 0)) / resourceRefill))
	text := "at default limits no limit binds"
	if d.Seconds > 0 {
		text = fmt.Sprintf("TerminateInstances resources (%d + %d/s) bind: the last call is granted about %s after the first",
			resourceBucket, resourceRefill, time.Duration(d.Seconds)*time.Second)
	}
	plan.Say("EC2 calls", "%d TerminateInstances; %s", d.Calls, text)
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
