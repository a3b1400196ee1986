package rollout_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/launchtest"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

func TestAFleetIsRolledWaveByWaveAndNeverServesWithFewer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 25, "")
		id := w.roll(`"canary": {"count": 1}`)
		w.Run()
		w.WantState(id, jobs.Succeeded)
		w.wantImages(25)
		fleet, _ := w.Fleet("web")
		if fleet.Image != "web@3" || fleet.Previous != "web@2" || fleet.Rollout != id || fleet.Owner != "" || !strings.Contains(string(fleet.Spec), `"web@3"`) {
			t.Errorf("the fleet is %+v, %s", fleet, fleet.Spec)
		}
		if w.least < 25 {
			t.Errorf("%d of 25 served at one time", w.least)
		}
		calls := 0
		for _, n := range w.EC2Calls {
			calls += n
		}
		if calls > 25*3/2 {
			t.Errorf("%d EC2 calls for 25 servers: %v", calls, w.EC2Calls)
		}
	})
}

func TestAServerThatRunsTheImageIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 6, "")
		first := w.roll(`"canary": {"count": 1}`)
		w.Run()
		w.WantState(first, jobs.Succeeded)
		before := w.Holders("web")
		second := w.roll(`"surge": 2`)
		w.Run()
		w.WantState(second, jobs.Succeeded)
		w.wantImages(6)
		if result := w.result(second); result.Skipped.Len() != 6 || !result.Rolled.Empty() {
			t.Errorf("the second rollout tells %+v", result)
		}
		for i, server := range w.Holders("web") {
			if server.InstanceID != before[i].InstanceID {
				t.Errorf("ordinal %d was replaced once more", server.Ordinal)
			}
		}
		if fleet, _ := w.Fleet("web"); fleet.Previous != "web@2" {
			t.Errorf("it forgot what the fleet ran before: %+v", fleet)
		}
	})
}

func TestAnImportedServerThatNoSuccessorWouldEqualIsNotReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 3, "")
		w.Differ("web", 1, "volumes")
		id := w.roll(`"surge": 1`)
		w.Run()
		if job := w.WantState(id, jobs.Failed); !strings.Contains(job.Failure, "ordinal 1") || !strings.Contains(job.Failure, "volumes") || w.rolled() != 0 {
			t.Errorf("%d rolled; it failed with %q", w.rolled(), job.Failure)
		}
	})
}

func TestABadImageNeverDrainsAHealthyFleet(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{
		"at the canary":                    `"canary": {"count": 1}`,
		"with a budget that is used up":    `"failures": 1`,
		"with nothing launched beyond":     `"surge": 0, "maxUnavailable": 2`,
		"with nothing launched, in shares": `"surge": "0%", "maxUnavailable": "25%"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newFleet(t, 8, "")
				before := w.Holders("web")
				w.SickImages = map[string]bool{"ami-00000003": true}
				id := w.roll(options)
				w.Run()
				job := w.WantState(id, jobs.Failed)
				w.wantImages(0)
				for i, server := range w.Holders("web") {
					if server.InstanceID != before[i].InstanceID {
						t.Errorf("ordinal %d lost its server to an image that never passed", server.Ordinal)
					}
				}
				if !strings.Contains(job.Failure, "rolled back to web@2") {
					t.Errorf("it failed with %q", job.Failure)
				}
			})
		})
	}
}

// The gate of a wave tells nothing of an image that no server of it runs.
func TestAWaveOfWhichNothingWasRolledStopsTheRolloutWithinItsFailureBudgetToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 6, "")
		w.SickImages = map[string]bool{"ami-00000003": true}
		tried := map[string]bool{}
		id := w.roll(`"canary": {"count": 1}, "failures": 3`)
		w.Each = func() {
			w.watch()
			for _, second := range w.Successors("web") {
				tried[second.InstanceID] = true
			}
		}
		w.Run()
		job := w.WantState(id, jobs.Failed)
		w.wantImages(0)
		if !strings.Contains(job.Failure, "no server of wave canary could be rolled") || len(tried) > 1 {
			t.Errorf("%d successors were tried; it failed with %q", len(tried), job.Failure)
		}
	})
}

func TestAFailedGateRollsEverythingBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 10, "")
		w.alarms["errors"] = "OK"
		id := w.roll(`"gate": [{"alarm": "errors"}], "waves": ["20%", "60%", "100%"], "surge": 2`)
		w.Each = func() { // the alarm is raised by the second wave
			w.watch()
			if rolled := w.rolled(); rolled > 2 && rolled <= 6 {
				w.alarms["errors"] = "ALARM"
			} else if rolled > 6 {
				t.Errorf("%d servers were rolled past a failed gate", rolled)
			}
		}
		w.Run()
		job := w.WantState(id, jobs.Failed)
		w.wantImages(0)
		if fleet, _ := w.Fleet("web"); fleet.Image != "web@2" || fleet.Owner != "" {
			t.Errorf("the fleet is %+v", fleet)
		}
		if result := w.result(id); result.RolledBack == "" || !result.Rolled.Empty() {
			t.Errorf("it tells %+v\n%s", result, launchtest.History(job))
		}
	})
}

func TestTheWayBackDoesNotWaitForTheEndOfOldServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 6, "")
		w.Shutting = 20 * time.Minute
		w.alarms["errors"] = "ALARM"
		id := w.roll(`"gate": [{"alarm": "errors"}], "waves": [3], "surge": 3`)
		var rolled, back time.Time
		w.Each = func() {
			w.watch()
			switch n := w.rolled(); {
			case n == 3 && rolled.IsZero():
				rolled = time.Now()
			case n == 0 && !rolled.IsZero() && back.IsZero():
				back = time.Now()
			}
		}
		w.Run()
		job := w.WantState(id, jobs.Failed)
		w.wantImages(0)
		if took := back.Sub(rolled); took > 2*time.Minute {
			t.Errorf("a bad image served for %s", took)
		}
		if took := job.Ended.Sub(back); took < 20*time.Minute {
			t.Errorf("it ended %s after it was back, before the servers of the bad image had", took)
		}
	})
}

// rolled is how many ordinals web@3 holds; the world is held still.
func (w *world) rolled() (n int) {
	for _, server := range w.Holders("web") {
		if server.Image == "web@3" {
			n++
		}
	}
	return n
}

// Nobody else may fill a fleet that a rollout owns: it must not wait for servers that are gone.
func TestARolloutThatLacksServersThatAreGoneGivesItsFleetUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 6, "")
		id := w.roll(`"gate": [{"approve": true}], "surge": 0, "maxUnavailable": 1, "waves": [2, 6]`)
		w.Run()
		if w.WantState(id, jobs.Open); w.rolled() != 2 {
			t.Fatalf("%d rolled in the first wave", w.rolled())
		}
		w.Kill(w.Holders("web")[5].InstanceID)
		w.Ask(id, jobs.Approve, "1")
		w.Run()
		job := w.WantState(id, jobs.Failed)
		if w.rolled() != 2 || !strings.Contains(job.Failure, "ordinals 5") {
			t.Errorf("%d rolled; it failed with %q", w.rolled(), job.Failure)
		}
		if fleet, _ := w.Fleet("web"); fleet.Owner != "" {
			t.Errorf("the fleet is owned by %s still: no heal can fill it", fleet.Owner)
		}
		if result := w.result(id); result.Rolled.Len() != 2 || result.RolledBack != "" {
			t.Errorf("it tells %+v", result)
		}
	})
}

func TestASecondRolloutAndALaunchWaitForTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 4, "")
		first := w.roll(`"surge": 1`)
		second := w.roll(`"surge": 2`)
		w.surge = 2
		launched := w.Submit("Launch", "web", "2", fleetSpec("web", 4, ""))
		w.Run()
		for _, id := range []string{first, second, launched} {
			w.WantState(id, jobs.Succeeded)
		}
		w.wantImages(4)
	})
}

func TestDeadServersAreLeftToLaunch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 5, "")
		w.Each = nil
		w.Kill(w.Holders("web")[3].InstanceID)
		id := w.roll(`"surge": 2`)
		w.Run()
		w.WantState(id, jobs.Succeeded)
		if result := w.result(id); result.Vacant.String() != "3" || result.Rolled.Len() != 4 {
			t.Errorf("it tells %+v", result)
		}
	})
}

func TestSuccessorsThatAreNotGrantedAreAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 4, "")
		for _, subnet := range []string{"subnet-a", "subnet-b", "subnet-c"} {
			w.Capacity[subnet] = 0
		}
		id := w.roll(`"surge": 2`)
		w.After(90*time.Second, func() { w.Capacity = map[string]int{} })
		w.Run()
		w.WantState(id, jobs.Succeeded)
		w.wantImages(4)
	})
}

func TestAServerIsStoppedNotEndedBeforeItsSuccessorPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 5, "")
		id := w.roll(`"surge": 0, "maxUnavailable": "50%"`)
		w.Each = func() {
			w.watch()
			for _, server := range w.Holders("web") {
				if server.State == ledger.Parked && w.Instance(server.InstanceID).State == "shutting-down" {
					t.Errorf("ordinal %d was ended while it was parked", server.Ordinal)
				}
			}
		}
		w.Run()
		w.WantState(id, jobs.Succeeded)
		w.wantImages(5)
		if w.least != 3 {
			t.Errorf("at least %d served, expected 3: two of five may be missing", w.least)
		}
	})
}
