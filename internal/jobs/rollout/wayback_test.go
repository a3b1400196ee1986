package rollout_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// wayBackFails rolls a fleet of three to web@3 until its gate fails, and then the servers of web@2 are sick, too.
func wayBackFails(t *testing.T) (w *world, id string) {
	w = newFleet(t, 3, "")
	w.alarms["errors"] = "OK"
	w.Each = func() {
		w.watch()
		if w.rolled() == 2 && w.alarms["errors"] == "OK" {
			w.alarms["errors"] = "ALARM"
			w.SickImages = map[string]bool{"ami-00000002": true}
		}
	}
	return w, w.roll(`"surge": 2, "waves": [2], "gate": [{"alarm": "errors"}]`)
}

// A way back that does not come through tells what runs, asks a person, and claims nothing that is not so.
func TestAWayBackThatGivesUpWaitsForAPersonWhoMayTryAgainOrLeaveIt(t *testing.T) {
	t.Parallel()
	for name, leaves := range map[string]bool{"tried again": false, "left as it is": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, id := wayBackFails(t)
				w.Run()
				job := w.WantState(id, jobs.Open)
				held, err := rollout.StatusOf(job)
				if err != nil {
					t.Fatal(err)
				}
				waits := job.Wait.For
				if held.Held == "" || !held.Back || held.Rolled.Len() != 2 || !strings.Contains(waits, "still run web@3") || !strings.Contains(held.Why, "alarm errors") {
					t.Errorf("held on its way back it waits for %q, and tells %+v", waits, held)
				}
				if held.RolledBack != "" {
					t.Errorf("it says that it is back: %s", held.RolledBack)
				}
				if leaves {
					w.Cancel(id)
				} else {
					w.SickImages = nil
					w.Ask(id, jobs.Resume, "")
				}
				w.Run()
				result := w.result(id)
				if leaves {
					w.WantState(id, jobs.Cancelled)
					w.wantImages(2)
					if result.Rolled.Len() != 2 || result.RolledBack != "" {
						t.Errorf("cancelled on its way back it tells %+v", result)
					}
					return
				}
				w.WantState(id, jobs.Failed)
				w.wantImages(0)
				if !result.Rolled.Empty() || result.RolledBack == "" {
					t.Errorf("once back it tells %+v", result)
				}
			})
		})
	}
}
