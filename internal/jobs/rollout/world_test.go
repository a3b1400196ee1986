package rollout_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/launchtest"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// world is the launches' world with a fleet that ran web@2 and is to run web@3.
type world struct {
	*launchtest.World
	t      *testing.T
	alarms map[string]string
	count  int
	surge  int // how many servers more than count there may be
	spare  int // how many of count may be missing
	least  int // the fewest that served at any time
	most   int // the most that lived

	rollouts int
}

// State tells of alarms.
func (w *world) State(context.Context, ...string) (map[string]string, error) { return w.alarms, nil }

// newFleet launches servers from web@2; more is added to the fleet's spec.
func newFleet(t *testing.T, count int, more string) *world {
	w := &world{World: launchtest.New(t), t: t, alarms: map[string]string{}, count: count, least: count, most: count}
	config := launch.Config{
		EC2:          func(jobs.Target) launch.EC2 { return w.World },
		TargetGroups: func(jobs.Target) launch.TargetGroups { return w.World },
		Parameters:   func(jobs.Target) launch.Parameters { return w.World },
		Commands:     func(jobs.Target) launch.Commands { return w.Agents },
		Ledger:       w.World, Capacity: w.Refusals(), Quotas: func(jobs.Target) launch.Quotas { return w.World },
		Profiles: func(jobs.Target) preflight.Profiles { return w.World }, Files: w.World, Callback: w.World, Region: "eu-west-1",
	}
	w.Kinds = jobs.NewKinds(launch.New(config), launch.NewBatch(config), launch.NewSuccession(config), launch.NewTrial(config), rollout.New(rollout.Config{
		EC2:          func(jobs.Target) rollout.Servers { return w.World },
		TargetGroups: func(jobs.Target) rollout.TargetGroups { return w.World },
		Alarms:       func(jobs.Target) rollout.Alarms { return w },
		Ledger:       w.World, Launching: config, Callback: w.World,
	}))
	id := w.Submit("Launch", "web", "1", fleetSpec("web@2", count, more))
	w.Run()
	w.WantState(id, jobs.Succeeded)
	w.EC2Calls = map[string]int{}
	w.Each = w.watch
	return w
}

func fleetSpec(image string, count int, more string) string {
	if more == "" {
		more = `"attach": {"targetGroups": ["web"]}, "healthy": {"targetGroup": true}`
	}
	return fmt.Sprintf(`{"image": %q, "count": %d, "hostname": "web-{ordinal:03}", "pools": [{"types": ["m7g.large"]}], %s}`, image, count, more)
}

// watch keeps the fewest servers that served and the most that lived, and fails the test where more live than may, or fewer
// serve.
func (w *world) watch() {
	lives, serves := 0, 0
	for _, i := range w.Living() {
		if i.State == "pending" || i.State == "running" {
			lives++
		}
		if i.State == "running" && w.Targets[i.ID] == "healthy" {
			serves++
		}
	}
	w.least, w.most = min(w.least, serves), max(w.most, lives)
	if lives > w.count+w.surge {
		w.t.Errorf("%d servers live, %d and %d more may", lives, w.count, w.surge)
	}
	if len(w.Targets) > 0 && serves < w.count-w.spare {
		w.t.Errorf("%d servers serve, at least %d must", serves, w.count-w.spare)
	}
}

// roll submits a rollout of web to web@3 with options more.
func (w *world) roll(more string) string {
	w.t.Helper()
	if more != "" {
		more = ", " + more
	}
	full, err := spec.Normalize[rollout.Spec](json.RawMessage(`{"fleet": "web", "image": "web"` + more + `}`))
	if err != nil {
		w.t.Fatal(err)
	}
	var s rollout.Spec
	if err := json.Unmarshal(full, &s); err != nil {
		w.t.Fatal(err)
	}
	w.surge = spec.Share{Percent: 10}.Of(w.count, true)
	if s.Surge != nil {
		w.surge = s.Surge.Of(w.count, true)
	}
	if s.MaxUnavailable != nil {
		w.spare = s.MaxUnavailable.Of(w.count, false)
	}
	w.rollouts++
	return w.Submit("Rollout", "web", fmt.Sprint("roll-", w.rollouts), string(full))
}

func (w *world) result(id string) (result rollout.Result) {
	w.t.Helper()
	job := w.Job(id)
	if err := json.Unmarshal(job.Result, &result); err != nil {
		w.t.Fatalf("%v: %s\n%s", err, job.Result, launchtest.History(job))
	}
	return result
}

// wantImages fails the test unless each ordinal has one living server, as many as given run web@3 and the rest web@2, all of
// them serve, and nothing else lives or is named.
func (w *world) wantImages(now int) {
	w.t.Helper()
	var ordinals []int
	for i := range w.count {
		ordinals = append(ordinals, i)
	}
	w.WantFleet("web", ordinals...)
	rolled := 0
	for _, server := range w.Holders("web") {
		if server.Image == "web@3" {
			rolled++
		}
		if want := fmt.Sprintf("web-%03d", server.Ordinal); server.Hostname != want || server.State != ledger.Healthy {
			w.t.Errorf("ordinal %d is %s, called %s, expected a healthy one called %s", server.Ordinal, server.State, server.Hostname, want)
		}
		if i := w.Instance(server.InstanceID); i.State != "running" || w.Targets[server.InstanceID] != "healthy" && len(server.TargetGroups) > 0 {
			w.t.Errorf("ordinal %d is %s and %q in its target group", server.Ordinal, i.State, w.Targets[server.InstanceID])
		}
	}
	if rolled != now {
		w.t.Errorf("%d servers run web@3, expected %d", rolled, now)
	}
	if left := w.Successors("web"); len(left) > 0 {
		w.t.Errorf("the ledger still names in second slots: %+v", left)
	}
}
