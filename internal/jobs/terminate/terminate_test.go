package terminate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/launchtest"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/jobs/terminate"
)

func newWorld(t *testing.T) *launchtest.World {
	w := launchtest.New(t)
	launches := launch.Config{
		EC2:          func(jobs.Target) launch.EC2 { return w },
		TargetGroups: func(jobs.Target) launch.TargetGroups { return w },
		Capacity:     w.Refusals(), Ledger: w, Files: w, Callback: w, Region: "eu-west-1",
	}
	w.Kinds = jobs.NewKinds(launch.New(launches), launch.NewBatch(launches), terminate.New(terminate.Config{
		EC2:          func(jobs.Target) terminate.Servers { return w },
		TargetGroups: func(jobs.Target) terminate.TargetGroups { return w },
		Ledger:       w, Callback: w,
	}))
	return w
}

func normal(t *testing.T, raw string) string {
	t.Helper()
	full, err := spec.Normalize[terminate.Spec](json.RawMessage(raw))
	if err != nil {
		t.Fatal(err)
	}
	return string(full)
}

// fleetOf twenty servers behind a target group.
func fleetOf20(t *testing.T, w *launchtest.World) {
	t.Helper()
	id := w.Submit("Launch", "web", "up", `{"image": "web", "count": 20, "pools": [{"types": ["m7g.large"]}], "attach": {"targetGroups": ["web"]}}`)
	w.Run()
	w.WantState(id, jobs.Succeeded)
	if len(w.Targets) != 20 {
		t.Fatalf("%d targets, expected 20", len(w.Targets))
	}
}

func between(first, last int) (list []int) {
	for i := first; i <= last; i++ {
		list = append(list, i)
	}
	return list
}

func TestTheChosenServersGoAndTheOthersStay(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct {
		left  []int
		count int
	}{
		`{"fleet": "web", "to": 12}`:                          {between(0, 11), 12},
		`{"fleet": "web", "to": 30}`:                          {between(0, 19), 20},
		`{"fleet": "web", "ordinals": [3, "17-20", "90-99"]}`: {append(between(0, 2), between(4, 16)...), 16},
		`{"fleet": "web", "ordinals": [0]}`:                   {between(1, 19), 19},
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				fleetOf20(t, w)
				id := w.Submit("Terminate", "down", "1", normal(t, raw))
				w.Run()
				job := w.WantState(id, jobs.Succeeded)
				w.WantFleet("web", want.left...)
				if fleet, _ := w.Fleet("web"); fleet.Count != want.count || fleet.Owner != "" {
					t.Errorf("the fleet is %+v, expected count %d and no owner", fleet, want.count)
				}
				if len(w.Targets) != len(want.left) {
					t.Errorf("%d targets are left, expected %d", len(w.Targets), len(want.left))
				}
				var result terminate.Result
				if err := json.Unmarshal(job.Result, &result); err != nil || result.Left != len(want.left) || !result.Pending.Empty() {
					t.Errorf("the result is %s, %v", job.Result, err)
				}
			})
		})
	}
}

func TestAllServersGoingForgetsTheFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fleetOf20(t, w)
		id := w.Submit("Terminate", "down", "1", `{"fleet": "web", "all": true}`)
		w.Run()
		w.WantState(id, jobs.Succeeded)
		w.WantFleet("web")
		if fleet, known := w.Fleet("web"); known {
			t.Errorf("the fleet is still there: %+v", fleet)
		}
		again := w.Submit("Terminate", "down", "2", `{"fleet": "web", "all": true}`)
		w.Run()
		if job := w.WantState(again, jobs.Failed); !strings.Contains(job.Failure, "there is no fleet web") {
			t.Errorf("the failure is %q", job.Failure)
		}
	})
}

func TestACancelStopsBeforeTheServersGoAndSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fleetOf20(t, w)
		w.Draining = true
		id := w.Submit("Terminate", "down", "1", `{"fleet": "web", "to": 5}`)
		w.After(5*time.Second, func() { w.Cancel(id) })
		w.Run()
		job := w.WantState(id, jobs.Cancelled)
		w.WantFleet("web", between(0, 19)...)
		for _, server := range w.Holders("web") {
			if server.State == "leaving" {
				t.Errorf("ordinal %d is still marked as leaving", server.Ordinal)
			}
		}
		if len(job.Warnings) != 1 || !strings.Contains(job.Warnings[0], "5-19") {
			t.Errorf("the warnings are %q", job.Warnings)
		}
		if fleet, _ := w.Fleet("web"); fleet.Owner != "" {
			t.Errorf("the fleet is owned by %s", fleet.Owner)
		}
	})
}

func TestACancelForgetsTheServersThatWentBeforeIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fleetOf20(t, w)
		id := w.Submit("Terminate", "down", "1", `{"fleet": "web", "ordinals": ["5-9"]}`)
		w.After(2*time.Second, func() { w.Cancel(id) }) // EC2 is asked by then, and has not finished
		w.Run()
		job := w.WantState(id, jobs.Cancelled)
		w.WantFleet("web", append(between(0, 4), between(10, 19)...)...)
		var result terminate.Result
		if err := json.Unmarshal(job.Result, &result); err != nil || result.Left != 15 || result.Terminated.String() != "5-9" || len(job.Warnings) > 0 {
			t.Errorf("the result is %s (%v), the warnings are %q", job.Result, err, job.Warnings)
		}
	})
}

func TestServersThatAreGoneDoNotCountAmongThoseThatStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fleetOf20(t, w)
		for _, server := range w.Holders("web")[3:8] {
			w.Kill(server.InstanceID)
		}
		id := w.Submit("Terminate", "down", "1", `{"fleet": "web", "to": 12}`)
		w.Run()
		w.WantState(id, jobs.Succeeded)
		w.WantFleet("web", append(between(0, 2), between(8, 16)...)...)
	})
}

func TestWhatAPersonTerminatesIsNotWantedAnyMoreAndWhatEC2EndedIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fleetOf20(t, w)
		for _, server := range w.Holders("web")[3:8] {
			w.Kill(server.InstanceID)
		}
		for i, step := range []struct {
			spec  string
			count int
		}{
			{`{"fleet": "web", "ordinals": [3, 12, 55]}`, 18}, // one that EC2 ended, one that lives, one that never was
			{`{"fleet": "web", "to": 19}`, 18},                // a termination never makes a fleet larger
			{`{"fleet": "web", "to": 17}`, 17},                // which still lacks four servers
			{`{"fleet": "web", "ordinals": [3, 12]}`, 17},
		} {
			id := w.Submit("Terminate", "down", fmt.Sprint(i), normal(t, step.spec))
			w.Run()
			w.WantState(id, jobs.Succeeded)
			if fleet, _ := w.Fleet("web"); fleet.Count != step.count {
				t.Errorf("after %s the fleet's count is %d, expected %d", step.spec, fleet.Count, step.count)
			}
		}
	})
}

func TestDrainingEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fleetOf20(t, w)
		w.Draining = true
		id := w.Submit("Terminate", "down", "1", `{"fleet": "web", "to": 5, "drain": "1m"}`)
		began := time.Now()
		w.Run()
		w.WantState(id, jobs.Succeeded)
		w.WantFleet("web", between(0, 4)...)
		if took := time.Since(began); took < time.Minute || took > 3*time.Minute {
			t.Errorf("it took %s, expected a minute of draining", took)
		}
	})
}

func TestAWorkerThatDiesAtAnyCallTerminatesTheSame(t *testing.T) {
	t.Parallel()
	calls := 0
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fleetOf20(t, w)
		w.DieAt(0, false)
		w.Submit("Terminate", "down", "1", `{"fleet": "web", "to": 12}`)
		calls = w.Run()
	})
	for _, after := range []bool{false, true} {
		for n := 1; n <= calls; n++ {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				fleetOf20(t, w)
				id := w.Submit("Terminate", "down", "1", `{"fleet": "web", "to": 12}`)
				w.DieAt(n, after)
				w.Run()
				w.WantState(id, jobs.Succeeded)
				w.WantFleet("web", between(0, 11)...)
				if t.Failed() {
					t.Fatalf("the worker died at call %d of %d, after its effect: %t", n, calls, after)
				}
			})
		}
	}
}

func TestSpecsThatMeanNothingAreRefused(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"fleet": "web"}`:                         "exactly one of ordinals, to and all",
		`{"fleet": "web", "to": 0, "all": true}`:   "exactly one of",
		`{"to": 3}`:                                "fleet",
		`{"fleet": "web", "ordinals": ["20-17"]}`:  "lower ordinal",
		`{"fleet": "web", "ordinals": [-1]}`:       "ordinal",
		`{"fleet": "web", "to": 3, "drain": "2d"}`: "24h",
		`{"fleet": "web", "too": 3}`:               "did you mean",
	} {
		if err := (&terminate.Kind{}).Check(json.RawMessage(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; expected a word about %q", raw, err, want)
		}
	}
	for _, raw := range []string{`{"fleet": "web", "to": 0}`, `{"fleet": "web", "all": true}`, `{"fleet": "web", "ordinals": [3, "17-20"]}`} {
		if err := (&terminate.Kind{}).Check(json.RawMessage(raw)); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
