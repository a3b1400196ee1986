package launch

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
)

// answersAfter is when a server is reachable after its call (aws-facts "Times seen in the field").
const answersAfter = 30 * time.Second

// planCalls tells how many calls the launch takes.
func (l *launch) planCalls(_ context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	n := d.Planned.Len()
	maps.Copy(d.Calls, d.survey.calls)
	if n == 0 {
		return nil
	}
	d.Calls["RunInstances"] = d.Batches
	d.Calls["DescribeInstances"] += calls(n, describeSize)
	if l.spec.Healthy.StatusChecks {
		d.Calls["DescribeInstanceStatus"] = calls(n, 100)
	}
	total := 0
	for _, count := range d.Calls {
		total += count
	}
	plan.Say("EC2 calls", "about %d, %d of them RunInstances", total, d.Batches)
	return nil
}

// planTime tells how the budgets stand, how long they make the launch last, and which of them binds.
func (l *launch) planTime(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	if d.Planned.Empty() {
		return nil
	}
	var needs []preflight.Need
	for _, action := range slices.Sorted(maps.Keys(d.Calls)) {
		need := preflight.Need{Action: action, Region: l.region(), Requests: float64(d.Calls[action])}
		if action == "RunInstances" {
			need.Resources = float64(d.Planned.Len())
		}
		needs = append(needs, need)
	}
	all, findings, err := preflight.Reckon(ctx, l.budgets(), l.job.Target, jobs.ClassFor(l.job.Priority), needs)
	if err != nil {
		return err
	}
	d.survey.findings = append(d.survey.findings, findings...)
	about := "budget now"
	for _, b := range all {
		if b.Tokens != "servers" && !b.Waits() {
			continue // calls that nothing holds up
		}
		d.Budgets = append(d.Budgets, b)
		plan.Say(about, "%s", b.Text())
		about = ""
	}
	binds := "no limit binds"
	if longest := all[0]; longest.Seconds > 0 {
		d.Seconds, d.Limit = int(math.Ceil(longest.Seconds)), longest.Name()
		binds = d.Limit + " binds"
		plan.Say("time", "the last server is granted about %s from now, if nobody else comes", longest.Wait())
	} else {
		plan.Say("time", "all servers are granted at once")
	}
	plan.Say("", "%s; a server answers about %s after it is granted", binds, answersAfter)
	return nil
}

func (l *launch) budgets() preflight.Budgets {
	if l.Budgets == nil {
		return preflight.Full{}
	}
	return l.Budgets
}

// region is where the launch works.
func (l *launch) region() string { return orWord(l.job.Target.Region, l.Region) }

// calls is how many calls n things take.
func calls(n, size int) int { return (n + size - 1) / size }
