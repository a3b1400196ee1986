package launch_test

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
	"github.com/stampmill/stampmill/internal/jobs/preflight"
)

func newWorld(t *testing.T) *launchtest.World {
	w := launchtest.New(t)
	config := launch.Config{
		EC2:          func(jobs.Target) launch.EC2 { return w },
		TargetGroups: func(jobs.Target) launch.TargetGroups { return w },
		Parameters:   func(jobs.Target) launch.Parameters { return w },
		Commands:     func(jobs.Target) launch.Commands { return w.Agents },
		Ledger:       w, Capacity: w.Refusals(), Quotas: func(jobs.Target) launch.Quotas { return w },
		Profiles: func(jobs.Target) preflight.Profiles { return w }, Files: w, Callback: w, Region: "eu-west-1",
	}
	w.Kinds = jobs.NewKinds(launch.New(config), launch.NewBatch(config))
	return w
}

const threePools = `"pools": [{"types": ["m7g.large"], "subnets": ["subnet-a"], "market": "spot"},
	{"types": ["m7g.large"], "subnets": ["subnet-b"]}, {"types": ["c7g.large"], "subnets": ["subnet-c"]}]`

func spec(count int, more string) string {
	if more == "" {
		more = threePools
	}
	return fmt.Sprintf(`{"image": "web", "count": %d, %s}`, count, more)
}

type worldOf struct {
	*launchtest.World
	t *testing.T
}

func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

func resultOf(t *testing.T, job *jobs.Job) (result launch.Result) {
	t.Helper()
	if err := json.Unmarshal(job.Result, &result); err != nil {
		t.Fatalf("%v: %s", err, job.Result)
	}
	return result
}

func TestPartialGrantsAndDeadLaunchesGiveEachOrdinalOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Capacity["subnet-a"], w.Capacity["subnet-b"] = 11, 9
		w.Deaths = 5
		id := w.Submit("Launch", "web", "1", spec(30, ""))
		w.Run()
		job := w.WantState(id, jobs.Succeeded)
		w.WantFleet("web", upTo(30)...)
		if result := resultOf(t, job); result.Launched.Len() != 30 || result.Before != 0 || !result.Missing.Empty() || result.Image != "web@3" {
			t.Errorf("the result is %s", job.Result)
		}
		if fleet, _ := w.Fleet("web"); fleet.Owner != "" || fleet.Count != 30 || fleet.Image != "web@3" {
			t.Errorf("the fleet is %+v", fleet)
		}
	})
}

func (w *worldOf) launch(key, spec string, state jobs.State) *jobs.Job {
	w.t.Helper()
	id := w.Submit("Launch", "web", key, spec)
	w.Run()
	return w.WantState(id, state)
}

func TestSubmittingAgainConverges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.launch("1", spec(12, ""), jobs.Succeeded)
		calls := w.EC2Calls["RunInstances"]
		w.launch("2", spec(12, ""), jobs.Succeeded)
		if again := w.EC2Calls["RunInstances"]; again != calls {
			t.Errorf("a fleet that is whole cost %d launches more", again-calls)
		}
		for _, server := range w.Holders("web")[3:6] {
			w.Kill(server.InstanceID)
		}
		w.launch("3", spec(15, ""), jobs.Succeeded)
		w.WantFleet("web", upTo(15)...)
		if result := resultOf(t, w.launch("4", spec(5, ""), jobs.Succeeded)); result.Before != 15 || !result.Launched.Empty() {
			t.Errorf("a lower count gives %+v", result)
		}
		w.WantFleet("web", upTo(15)...)
	})
}

func TestALaunchNeverTakesBackHowManyServersAFleetWasPromised(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.launch("1", spec(8, ""), jobs.Succeeded)
		w.Kill(w.Holders("web")[2].InstanceID)
		job := w.launch("2", spec(5, ""), jobs.Succeeded)
		if fleet, _ := w.Fleet("web"); fleet.Count != 8 {
			t.Errorf("the fleet's count is %d after a launch of fewer, while a server of its 8 was gone", fleet.Count)
		}
		if len(job.Warnings) != 1 || !strings.Contains(job.Warnings[0], "Terminate") {
			t.Errorf("the launch warns %q, expected that it makes no fleet smaller", job.Warnings)
		}
		for _, server := range w.Holders("web")[2:6] {
			w.Kill(server.InstanceID)
		}
		job = w.launch("3", spec(5, ""), jobs.Succeeded)
		w.WantFleet("web", 0, 1, 2, 3, 7)
		if fleet, _ := w.Fleet("web"); fleet.Count != 8 || len(job.Warnings) != 1 || !strings.Contains(job.Warnings[0], "8") {
			t.Errorf("the fleet's count is %d, the warnings are %q", fleet.Count, job.Warnings)
		}
	})
}

func TestFewerHealthyServersThanAcceptedUndoTheLaunchAndNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.launch("1", spec(4, ""), jobs.Succeeded)
		w.Capacity["subnet-a"], w.Capacity["subnet-b"], w.Capacity["subnet-c"] = 3, 2, 2
		job := w.launch("2", spec(20, threePools+`, "accept": "95%"`), jobs.Failed)
		w.WantFleet("web", upTo(4)...)
		if !strings.Contains(job.Failure, "11 of 20") || !strings.Contains(job.Failure, "19") {
			t.Errorf("the failure is %q", job.Failure)
		}
		if fleet, _ := w.Fleet("web"); fleet.Owner != "" || fleet.Count != 4 {
			t.Errorf("the fleet is %+v", fleet)
		}
	})
}

func TestAFleetThatAFailedLaunchBeganIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.Capacity["subnet-a"], w.Capacity["subnet-b"], w.Capacity["subnet-c"] = 3, 2, 2
		w.launch("1", spec(20, ""), jobs.Failed)
		w.WantFleet("web")
		if fleet, known := w.Fleet("web"); known {
			t.Errorf("the fleet is still there: %+v", fleet)
		}
	})
}

func TestServersThatDoNotBecomeHealthyGoIfEnoughAre(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]string{
		"status checks": `"healthy": {"statusChecks": true, "within": "2m"}`,
		"a command":     `"healthy": {"run": "systemctl is-active nginx", "within": "2m"}`,
		"HTTP":          `"healthy": {"http": {"port": 80, "path": "/healthz"}, "within": "2m"}`,
		"target group":  `"attach": {"targetGroups": ["web"]}, "healthy": {"targetGroup": true, "within": "2m"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &worldOf{newWorld(t), t}
				w.Sick[7] = true
				job := w.launch("1", spec(20, threePools+`, "accept": "90%", `+check), jobs.Succeeded)
				w.WantFleet("web", append(upTo(7), upTo(20)[8:]...)...)
				result := resultOf(t, job)
				if result.Missing.String() != "7" || len(result.Failures) != 1 || result.Failures[0].Ordinal != 7 {
					t.Errorf("the result is %s", job.Result)
				}
				if name == "target group" && len(w.Targets) != 19 {
					t.Errorf("%d targets are registered, expected 19", len(w.Targets))
				}
				if name == "a command" && !strings.Contains(result.Failures[0].Reason, "inactive") {
					t.Errorf("the failure %q does not say what the server answered", result.Failures[0].Reason)
				}
				if name == "a command" && len(w.Agents.Sent[0].InstanceIDs) != 20 {
					t.Errorf("the first command goes to %d servers, expected all 20 in one", len(w.Agents.Sent[0].InstanceIDs))
				}
			})
		})
	}
}

func TestACancelTakesBackWhatTheLaunchMade(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, time.Second, 4 * time.Second, 9 * time.Second, 30 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &worldOf{newWorld(t), t}
				w.Sick[2] = true // so that it waits for its health
				id := w.Submit("Launch", "web", "1", spec(250, threePools+`, "healthy": {"statusChecks": true}`))
				w.After(after, func() { w.Cancel(id) })
				w.Run()
				w.WantState(id, jobs.Cancelled)
				w.WantFleet("web")
			})
		})
	}
}

func TestOneLaunchAtATimeOwnsAFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		first := w.Submit("Launch", "web", "1", spec(10, ""))
		second := ""
		w.After(2*time.Second, func() { second = w.Submit("Launch", "web", "2", spec(25, "")) })
		w.Run()
		w.WantState(first, jobs.Succeeded)
		if history := launchtest.History(w.WantState(second, jobs.Succeeded)); !strings.Contains(history, first+" works on it") {
			t.Errorf("the second launch does not tell whom it waits for:\n%s", history)
		}
		w.WantFleet("web", upTo(25)...)
	})
}

func TestAThousandServersCostFewCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.Throttle = 5
		w.launch("1", spec(1000, `"pools": [{"types": ["m7g.large"]}], "hostname": "web-{ordinal:04}", "settings": {"all": {"cluster": "blue"}}`), jobs.Succeeded)
		w.WantFleet("web", upTo(1000)...)
		total := 0
		for _, n := range w.EC2Calls {
			total += n
		}
		if total > 24 {
			t.Errorf("1,000 servers cost %d calls, expected at most 24: %v", total, w.EC2Calls)
		}
	})
}

func TestTenThousandServersKeepASmallProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.Capacity["subnet-a"] = 3333
		job := w.launch("1", spec(10_000, `"pools": [{"types": ["m7g.large"]}], "hostname": "web-{ordinal:05}"`), jobs.Succeeded)
		w.WantFleet("web", upTo(10_000)...)
		if size := len(job.Data) + len(job.Result); size > 4000 {
			t.Errorf("the launch keeps %d bytes", size)
		}
	})
}

func TestAWorkerThatDiesAtAnyCallLosesAndDoublesNoServer(t *testing.T) {
	t.Parallel()
	calls := 0
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Submit("Launch", "web", "1", spec(30, ""))
		calls = w.Run()
	})
	for _, after := range []bool{false, true} {
		for n := 1; n <= calls; n++ {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.Capacity["subnet-a"], w.Capacity["subnet-b"] = 11, 9
				w.Deaths = 3
				id := w.Submit("Launch", "web", "1", spec(30, threePools+`, "attach": {"targetGroups": ["web"]}`))
				w.DieAt(n, after)
				w.Run()
				w.WantState(id, jobs.Succeeded)
				w.WantFleet("web", upTo(30)...)
				if t.Failed() {
					t.Fatalf("the worker died at call %d of %d, after its effect: %t", n, calls, after)
				}
			})
		}
	}
}

func TestWhatATokenMadeIsAdoptedWhenEC2TakesTheParametersForOthers(t *testing.T) {
	t.Parallel()
	adopted := 0
	for n := 20; n <= 60; n++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.Changed = true
			id := w.Submit("Launch", "web", "1", spec(30, ""))
			w.DieAt(n, true)
			w.Run()
			w.WantState(id, jobs.Succeeded)
			w.WantFleet("web", upTo(30)...)
			if w.EC2Calls["RunInstances"] > 1 {
				adopted++
			}
		})
	}
	if adopted == 0 {
		t.Error("no worker died between a launch and its record: the test shows nothing")
	}
}

func TestAWorkerThatDiesAtAnyCallOfACancelledLaunchLeavesNothing(t *testing.T) {
	t.Parallel()
	run := func(w *launchtest.World) string {
		w.Capacity["subnet-a"] = 11
		id := w.Submit("Launch", "web", "1", spec(30, threePools))
		w.After(4*time.Second, func() { w.Cancel(id) })
		return id
	}
	calls := 0
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		run(w)
		calls = w.Run()
	})
	for _, after := range []bool{false, true} {
		for n := 1; n <= calls; n++ {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				id := run(w)
				w.DieAt(n, after)
				w.Run()
				// A cancel that dies with its worker may come back when the launch has ended: then all of it stands.
				if w.Job(id).State == jobs.Succeeded {
					w.WantFleet("web", upTo(30)...)
				} else {
					w.WantState(id, jobs.Cancelled)
					w.WantFleet("web")
					if _, known := w.Fleet("web"); known {
						t.Error("the fleet is still there")
					}
				}
				if t.Failed() {
					t.Fatalf("the worker died at call %d of %d, after its effect: %t", n, calls, after)
				}
			})
		}
	}
}
