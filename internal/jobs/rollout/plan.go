package rollout

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
)

// Planned is what a rollout would do, for programs.
type Planned struct {
	Fleet string `json:"fleet"`
	// DependsOn is the document that would make the fleet or the image.
	DependsOn string `json:"dependsOn,omitempty"`
	Image     string `json:"image"`
	Former    string `json:"former,omitempty"`
	Strategy  string `json:"strategy"`
	Servers   int    `json:"servers"`
	Rolled    int    `json:"rolled"`
	Surge     int    `json:"surge"`
	Spare     int    `json:"spare"`
	// Waves are how many servers each has; Chunks are how often servers are rolled together.
	Waves  []PlannedWave `json:"waves"`
	Chunks int           `json:"chunks"`
	Calls  int           `json:"calls"`
	// Budgets are how EC2's buckets stand; Seconds is until the last call is granted.
	Budgets []preflight.Planned `json:"budgets,omitempty"`
	Seconds int                 `json:"seconds"`
}

// PlannedWave is one wave of a plan.
type PlannedWave struct {
	Name    string `json:"name"`
	Servers int    `json:"servers"`
}

// callsAtOnce is what looking everything up costs, and the looks at the fleet's servers at the beginning and at the end.
const callsAtOnce = 7

var _ jobs.Planner = (*rollout)(nil)

// Plan tells which servers would be rolled, in which waves. What is not there yet because of earlier documents is said.
func (r *rollout) Plan(ctx context.Context, before jobs.Foreseen) (jobs.Plan, error) {
	var plan jobs.Plan
	p := &r.progress
	name, _, _ := strings.Cut(r.spec.Image, "@")
	d := Planned{Fleet: r.fleet(), Image: r.spec.Image, Strategy: r.spec.Strategy, DependsOn: before.Fleets[r.fleet()]}
	fleet, known, err := r.Ledger.GetFleet(ctx, r.fleet())
	switch {
	case err != nil:
		return plan, err
	case !known && d.DependsOn == "":
		plan.Say("fleet", "%s: see the problem", r.fleet())
		plan.Findings = append(plan.Findings, jobs.Finding{Field: []any{"fleet"}, Message: "there is no fleet " + r.fleet(), Hint: "see `stampmill fleet list`"})
	case !known:
		plan.Say("fleet", "%s, which is not there yet: %s makes it", r.fleet(), d.DependsOn)
	}
	if !known {
		plan.Details = d
		return plan, nil
	}
	if r.job.Name != r.fleet() {
		plan.Findings = append(plan.Findings, jobs.Finding{Field: []any{"fleet"}, Message: r.misnamed(r.job)})
	}
	p.Target, p.Group, p.Former, d.Former = fleet.Target, fleet.Group, fleet.Image, fleet.Image
	if p.Group != "" {
		d.Strategy = Refresh
	}
	if made := before.Images[name]; made != "" && name == r.spec.Image {
		d.DependsOn = made
		p.Image = image{Ref: r.spec.Image}
		plan.Say("image", "%s, whose next version %s makes", r.spec.Image, made)
	} else if err := r.planImage(ctx, &plan); err != nil {
		return plan, err
	}
	servers, instances, err := r.foreseen(ctx)
	if err := jobs.Gather(&plan.Findings, err, "fleet"); err != nil {
		return plan, err
	}
	if err := jobs.Gather(&plan.Findings, r.measure(servers, instances), "maxUnavailable"); err != nil {
		return plan, err
	}
	if err := jobs.Gather(&plan.Findings, r.cut(ctx, fleet, servers), "by"); err != nil {
		return plan, err
	}
	d.Image, d.Servers, d.Rolled, d.Surge, d.Spare = p.Image.Ref, p.Count, p.unskipped().Len(), p.Surge, p.Spare
	r.sayFleet(&plan, fleet, d)
	r.sayWaves(&plan, &d)
	err = r.sayCalls(ctx, &plan, &d)
	plan.Details = d
	return plan, err
}

// foreseen are the servers that would be rolled. Those of a group are not in the ledger before a rollout puts them there.
func (r *rollout) foreseen(ctx context.Context) ([]ledger.Server, map[string]cloud.Instance, error) {
	group, ok := r.strategy().(*refresh)
	if !ok {
		return r.look(ctx)
	}
	servers, err := group.foresee(ctx, &jobs.Turn{Job: r.job})
	if err != nil {
		return nil, nil, err
	}
	instances, err := r.instances(ctx, servers)
	return servers, instances, err
}

// planImage looks up the image and what its servers need.
func (r *rollout) planImage(ctx context.Context, plan *jobs.Plan) error {
	found, findings, err := r.strategy().prepare(ctx, &jobs.Turn{Job: r.job}, r.spec.Image)
	if err := jobs.Gather(&plan.Findings, err, "image"); err != nil {
		return err
	}
	plan.Findings = append(plan.Findings, findings...)
	plan.Findings = append(plan.Findings, r.lookAlarms(ctx)...)
	if found.Ref == "" {
		r.progress.Image = image{Ref: r.spec.Image}
		plan.Say("image", "%s: see the problem", r.spec.Image)
		return nil
	}
	r.progress.Image = found
	plan.Say("image", "%s (%s)", found.Ref, found.AMI)
	return nil
}

func (r *rollout) sayFleet(plan *jobs.Plan, fleet ledger.Fleet, d Planned) {
	p := &r.progress
	plan.Say("fleet", "%s has %s of %s", fleet.Name, jobs.Count(d.Servers, "server"), orUnknown(fleet.Image))
	if fleet.Owner != "" {
		plan.Say("", "%s works on it now: this job waits in line", fleet.Owner)
	}
	if !p.Skipped.Empty() {
		plan.Say("", "%d run it already: ordinals %s", p.Skipped.Len(), p.Skipped)
	}
	if !p.Vacant.Empty() {
		plan.Say("", "ordinals %s have no living server: a Launch fills them", p.Vacant)
	}
	if d.Rolled > 0 {
		plan.Say("servers", "at most %d at a time, at least %d serve", d.Servers+d.Surge, d.Servers-d.Spare)
	}
}

func orUnknown(ref string) string {
	if ref == "" {
		return "an unknown image"
	}
	return ref
}

func (r *rollout) sayWaves(plan *jobs.Plan, d *Planned) {
	about := "waves"
	together := max(d.Surge, 1)
	if d.Surge == 0 || r.spec.Strategy == InPlace {
		together = max(d.Spare, 1)
	}
	for _, w := range r.progress.Waves {
		n := w.Ordinals.Len()
		chunks := (n + together - 1) / together
		d.Waves = append(d.Waves, PlannedWave{w.Name, n})
		d.Chunks += chunks
		text := fmt.Sprintf("%s: %s (%s), %d at a time", w.Name, jobs.Count(n, "server"), w.Ordinals, min(n, together))
		if w.Soak > 0 {
			text += ", then watched for " + w.Soak.String()
		}
		plan.Say(about, "%s", text)
		about = ""
	}
	if len(d.Waves) == 0 && !slices.ContainsFunc(plan.Findings, func(f jobs.Finding) bool { return !f.Warning }) {
		plan.Say("waves", "none: there is nothing to roll")
	}
	var gates []string
	for _, gate := range r.spec.Gate {
		gates = append(gates, gate.label())
	}
	if len(gates) > 0 {
		plan.Say("gates", "%s", strings.Join(gates, ", "))
	}
	if w := r.spec.Window; w != nil {
		plan.Say("window", "%s %s to %s, %s", strings.Join(w.Days, " "), w.From, w.To, w.Zone)
	}
}

// sayCalls tells what EC2 is asked for, and how long the budgets make that last: gates, soaks and drains come on top.
func (r *rollout) sayCalls(ctx context.Context, plan *jobs.Plan, d *Planned) error {
	if n := len(d.Waves); n > 0 && r.progress.Group != "" {
		plan.Say("Auto Scaling", "%d instance refreshes of the group %s, one a wave: it launches and ends the instances, by its own calls", n, r.progress.Group)
		return nil
	}
	if d.Rolled == 0 || r.spec.Strategy != "" && r.spec.Strategy != Replace {
		return nil
	}
	d.Calls = 3*d.Chunks + callsAtOnce
	plan.Say("EC2 calls", "about %d: %d RunInstances, %d TerminateInstances, the rest looks", d.Calls, d.Chunks, d.Chunks)
	target := r.progress.Target
	if target.Region == "" {
		target.Region = r.Launching.Region
	}
	budgets := r.Launching.Budgets
	if budgets == nil {
		budgets = preflight.Full{}
	}
	all, findings, err := preflight.Reckon(ctx, budgets, target, jobs.ClassFor(r.job.Priority), []preflight.Need{
		{Action: "RunInstances", Region: target.Region, Requests: float64(d.Chunks), Resources: float64(d.Rolled)},
		{Action: "TerminateInstances", Region: target.Region, Requests: float64(d.Chunks), Resources: float64(d.Rolled)},
	})
	if err != nil {
		return err
	}
	plan.Findings = append(plan.Findings, findings...)
	d.Budgets, d.Seconds = all, int(math.Ceil(all[0].Seconds))
	for i, b := range all {
		about := ""
		if i == 0 {
			about = "budget now"
		}
		plan.Say(about, "%s", b.Text())
	}
	text := "no limit binds: launching, checks, soaks and drains take what they take"
	if d.Seconds > 0 {
		text = fmt.Sprintf("the last call is granted about %s from now at the earliest; %s binds", all[0].Wait(), all[0].Name())
	}
	plan.Say("time", "%s", text)
	return nil
}
