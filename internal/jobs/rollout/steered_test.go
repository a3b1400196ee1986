package rollout_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestAHoldWaitsForAPersonAndAsksTheGateAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 4, "")
		w.alarms["errors"] = "ALARM"
		id := w.roll(`"gate": [{"alarm": "errors"}], "surge": 2, "waves": [2], "onFailure": "hold"`)
		w.Run()
		if job := w.WantState(id, jobs.Open); job.Wait == nil || !strings.Contains(job.Wait.For, "a person's") || w.rolled() != 2 {
			t.Fatalf("it waits for %+v with %d rolled", job.Wait, w.rolled())
		}
		w.Ask(id, jobs.Resume, "")
		w.Run()
		if w.WantState(id, jobs.Open); w.rolled() != 2 {
			t.Fatalf("resume led past a failed gate: %d rolled", w.rolled())
		}
		w.alarms["errors"] = "OK"
		w.Ask(id, jobs.Resume, "")
		w.Run()
		w.WantState(id, jobs.Succeeded)
		w.wantImages(4)
	})
}

func TestAPersonsOrdersAreObeyed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 6, "")
		id := w.roll(`"gate": [{"approve": true}], "surge": 2, "waves": [2, 4, 6]`)
		w.Run()
		if job := w.WantState(id, jobs.Open); w.rolled() != 2 || !strings.Contains(job.Wait.For, "approval of wave 1") {
			t.Fatalf("%d rolled, it waits for %+v", w.rolled(), job.Wait)
		}
		w.Ask(id, jobs.Approve, "2") // another wave
		w.Run()
		if w.rolled() != 2 {
			t.Fatal("the approval of another wave was taken for this one's")
		}
		w.Ask(id, jobs.Pause, "")
		w.Run()
		w.Ask(id, jobs.Approve, "1")
		w.Run()
		if job := w.WantState(id, jobs.Open); w.rolled() != 2 || !strings.Contains(job.Wait.For, "paused") {
			t.Fatalf("%d rolled, it waits for %+v", w.rolled(), job.Wait)
		}
		w.Ask(id, jobs.Resume, "")
		w.Run()
		if w.WantState(id, jobs.Open); w.rolled() != 4 {
			t.Fatalf("%d rolled after resume", w.rolled())
		}
		w.Ask(id, jobs.Revert, "")
		w.Run()
		w.WantState(id, jobs.Failed)
		w.wantImages(0)
	})
}

func TestAResumeTriesEveryServerAgainThatFailedInWhicheverWave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 4, "")
		w.Sick[1] = true // the second of each two
		id := w.roll(`"surge": 2, "waves": [2, 4], "failures": 1, "onFailure": "hold"`)
		w.Run()
		if w.WantState(id, jobs.Open); w.rolled() != 2 {
			t.Fatalf("%d rolled, expected one of each wave", w.rolled())
		}
		w.Sick[1] = false
		w.Ask(id, jobs.Resume, "")
		w.Run()
		w.WantState(id, jobs.Succeeded)
		w.wantImages(4)
		if result := w.result(id); result.Rolled.Len() != 4 || !result.Left.Empty() || !result.Failed.Empty() {
			t.Errorf("it tells %+v", result)
		}
	})
}

func TestARollbackIsObeyedWhileSuccessorsAreLaunched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 6, "")
		id := w.roll(`"surge": 2, "waves": [2, 6]`)
		began := time.Now()
		w.After(time.Minute, func() {}) // the world goes on until then at least
		w.After(22*time.Second, func() { w.Ask(id, jobs.Revert, "") })
		w.Run()
		job := w.WantState(id, jobs.Failed)
		w.wantImages(0)
		if took := job.Ended.Sub(began); took > 4*time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

func TestACancelLeavesAUsableFleet(t *testing.T) {
	t.Parallel()
	for _, options := range []string{`"surge": 2, "waves": [2, 6]`, `"surge": 2, "drain": "20s"`, `"surge": 0, "maxUnavailable": 2, "waves": [2, 6]`} {
		for after := 5 * time.Second; after < 90*time.Second; after += 7 * time.Second {
			synctest.Test(t, func(t *testing.T) {
				w := newFleet(t, 6, "")
				w.Draining = strings.Contains(options, "drain")
				id := w.roll(options)
				w.After(after, func() { w.Cancel(id) })
				w.Run()
				job := w.Job(id)
				if job.State == jobs.Open {
					t.Fatalf("after %s: it waits for %+v", after, job.Wait)
				}
				w.wantImages(w.rolled())
				if fleet, _ := w.Fleet("web"); fleet.Owner != "" {
					t.Errorf("after %s: the fleet is %+v", after, fleet)
				}
				if result := w.result(id); result.Rolled.Len() != w.rolled() {
					t.Errorf("after %s: %d rolled, it tells %+v", after, w.rolled(), result)
				}
			})
		}
	}
}

func TestNothingGoesBackToAnImageThatIsNotVerifiedAnyMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 4, "")
		w.alarms["errors"] = "ALARM"
		w.Retired = map[int]bool{2: true}
		id := w.roll(`"gate": [{"alarm": "errors"}], "surge": 2, "waves": [2]`)
		w.Run()
		if job := w.WantState(id, jobs.Open); !strings.Contains(job.Wait.For, "cannot go back to web@2") || w.rolled() != 2 {
			t.Fatalf("%d rolled; it waits for %+v", w.rolled(), job.Wait)
		}
		w.alarms["errors"] = "OK"
		w.Ask(id, jobs.Resume, "")
		w.Run()
		w.WantState(id, jobs.Succeeded)
		w.wantImages(4)
	})
}
