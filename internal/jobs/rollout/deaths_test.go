package rollout_test

import (
	"testing"
	"testing/synctest"

	"github.com/stampmill/stampmill/internal/jobs"
)

// A worker that dies before or after any of its calls leaves a rollout that the next one brings to the same end, with no more
// servers than may be, no fewer than must, and none that nobody holds.
func TestARolloutSurvivesADeathAtAnyCall(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		options string
		sick    bool
		state   jobs.State
		rolled  int
	}{
		"surge":               {`"surge": 2, "waves": [1, 3], "gate": [{"health": true}]`, false, jobs.Succeeded, 3},
		"nothing beyond":      {`"surge": 0, "maxUnavailable": 1, "waves": [3]`, false, jobs.Succeeded, 3},
		"a bad image":         {`"surge": 1, "waves": [3]`, true, jobs.Failed, 0},
		"a bad image, parked": {`"surge": 0, "maxUnavailable": 1, "waves": [3]`, true, jobs.Failed, 0},
		"a failed gate":       {`"surge": 2, "waves": [2], "gate": [{"alarm": "errors"}]`, false, jobs.Failed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			step := 6
			if testing.Short() {
				step = 20
			}
			for at, calls := 0, 1; at <= calls; at += step {
				for _, after := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						w := newFleet(t, 3, "")
						w.alarms["errors"] = "OK"
						if story.sick {
							w.SickImages = map[string]bool{"ami-00000003": true}
						}
						w.Each = func() {
							w.watch()
							if w.rolled() > 0 {
								w.alarms["errors"] = "ALARM"
							}
						}
						id := w.roll(story.options)
						w.DieAt(at, after)
						if n := w.Run(); at == 0 {
							calls = n
						}
						w.WantState(id, story.state)
						w.wantImages(story.rolled)
						if fleet, _ := w.Fleet("web"); fleet.Owner != "" {
							t.Errorf("the fleet is %+v", fleet)
						}
						if t.Failed() {
							t.Logf("death at call %d (after: %v)", at, after)
						}
					})
					if t.Failed() {
						t.FailNow()
					}
				}
			}
		})
	}
}
