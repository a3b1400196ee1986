package rig_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/rig"
)

func fleetOf(name string, count int, priority jobs.Priority) string {
	return fmt.Sprintf("kind: Launch\nname: %s\npriority: %s\nspec: {image: %s, count: %d, pools: [{types: [m7g.large]}]}\n", name, priority, arm64(), count)
}

// forecast is what a plan of the launch tells.
func (b *bubble) forecast(name string, count int, priority jobs.Priority) launch.Planned {
	b.t.Helper()
	worker := config.Worker{}
	b.Config.Worker(&worker)
	limits, err := worker.Budget()
	b.must(err)
	job := &jobs.Job{Kind: launch.KindName, Name: name, Run: 1, State: jobs.Open, Priority: priority,
		Spec: fmt.Appendf(nil, `{"image": %q, "count": %d, "pools": [{"types": ["m7g.large"]}]}`, arm64(), count)}
	program, err := b.User.Planners(b.User.Files, limits)[launch.KindName].Program(job)
	b.must(err)
	plan, err := program.(jobs.Planner).Plan(background, jobs.Foreseen{})
	b.must(err)
	return plan.Details.(launch.Planned)
}

// The bucket of servers holds 200 and gets one back a second, at EC2 and in the workers' limits. That is more than one call of
// each priority asks for, as AWS's is: what comes while all three save up for a call does not flow over.
func TestAPlanForetellsWhenTheLastServerIsGranted(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of servers at one a second: not with -short")
	}
	t.Parallel()
	others := []jobs.Priority{}
	for name, c := range map[string]struct {
		line     []jobs.Priority // launches of 60 that wait already
		priority jobs.Priority
		throttle bool // EC2 refuses the launch that empties the bucket once
		count    int
		ahead    float64
	}{
		"an emptied bucket":                  {others, jobs.Normal, false, 150, 0},
		"others in line":                     {[]jobs.Priority{jobs.Normal, jobs.Normal}, jobs.Normal, false, 130, 120},
		"an urgent one passes the low":       {[]jobs.Priority{jobs.Low, jobs.Low, jobs.Low}, jobs.High, false, 80, 0},
		"a low one lets the others go first": {[]jobs.Priority{jobs.Normal, jobs.High}, jobs.Low, false, 60, 120},
		"a rate that EC2 lowered":            {others, jobs.Normal, true, 150, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := rig.Config{}
			poor(&config, 200, 1)
			installed(t, config, func(b *bubble) {
				b.worker(nil)
				b.worker(nil)
				if c.throttle {
					if _, err := b.Endpoint.AddFault(localaws.Rule{Service: "ec2", Action: "RunInstances", Times: 1, Code: "RequestLimitExceeded", Status: 503}); err != nil {
						t.Fatal(err)
					}
				}
				b.ends(b.submit("0", fleetOf("first", 195, jobs.High)), jobs.Succeeded)
				for i, priority := range c.line {
					b.submit("1", fleetOf(fmt.Sprintf("other-%d", i), 60, priority))
				}
				time.Sleep(15 * time.Second)
				begun := time.Now()
				told := b.forecast("mine", c.count, c.priority)
				b.ends(b.submit("2", fleetOf("mine", c.count, c.priority)), jobs.Succeeded)
				took := time.Duration(0)
				for _, i := range b.EC2().Inspect().Instances {
					if i.Tags[launch.TagFleet] == "mine" {
						took = max(took, i.Launched.Sub(begun))
					}
				}
				foretold := time.Duration(told.Seconds) * time.Second
				t.Logf("foretold %s, took %s (%+v)", foretold, took, told.Budgets)
				if off := (took - foretold).Abs(); off > took/20+3*time.Second {
					t.Errorf("the last server was foretold in %s and granted after %s", foretold, took)
				}
				if ahead := told.Budgets[0].Ahead; ahead < c.ahead-40 || ahead > c.ahead {
					t.Errorf("%g wait ahead, want about %g", ahead, c.ahead)
				}
			})
		})
	}
}
