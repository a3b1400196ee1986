package launch

import (
	"context"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// planCalls tells how many calls that takes, how long AWS's default limits make it last, and which of them binds.
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
	limit := l.limitsOf("RunInstances")
	requests, servers := seconds(d.Batches, limit.Requests), seconds(n, limit.Resources)
	d.Seconds = int(math.Ceil(max(requests, servers)))
	text := "no limit binds"
	switch {
	case servers > 0 && servers >= requests:
		d.Limit = "RunInstances resources (" + rate(limit.Resources) + ")"
	case requests > 0:
		d.Limit = "RunInstances requests (" + rate(limit.Requests) + ")"
	}
	if d.Limit != "" {
		text = d.Limit + " binds: the last server is granted about " + time.Duration(d.Seconds*int(time.Second)).String() + " after the first"
	}
	text += fmt.Sprintf("; the last one answers about %s after its call", answersAfter)
	total := 0
	for _, count := range d.Calls {
		total += count
	}
	plan.Say("EC2 calls", "about %d, %d of them RunInstances; at today's limits %s", total, d.Batches, text)
	return nil
}

// limitsOf is what EC2 grants of an action, by the installation's limits or else by AWS's.
func (l *launch) limitsOf(action string) budget.Limit {
	region := l.job.Target.Region
	if region == "" {
		region = l.Region
	}
	return l.Limits.Of(region, action)
}

// seconds is how long a full bucket takes to grant n tokens.
func seconds(n int, r budget.Rate) float64 {
	if r.Refill <= 0 {
		return 0
	}
	return max(float64(n)-r.Size, 0) / r.Refill
}

func rate(r budget.Rate) string { return fmt.Sprintf("%g + %g/s", r.Size, r.Refill) }

// calls is how many calls n things take.
func calls(n, size int) int { return (n + size - 1) / size }
