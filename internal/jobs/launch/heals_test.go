package launch_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestAHealLeavesAFleetAloneThatWasChangedMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.launch("1", spec(6, ""), jobs.Succeeded)
		before, _, err := w.GetFleet(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		heals := func(image string, count int) string {
			return fmt.Sprintf(`{"image": %q, "count": %d, "heals": true, %s}`, image, count, threePools)
		}
		w.Kill(w.Holders("web")[2].InstanceID)
		calls := w.EC2Calls["RunInstances"]
		for key, s := range map[string]string{"another count": heals(before.Image, 9), "another image": heals("ami-12345678", 6)} {
			job := w.launch(strings.ReplaceAll(key, " ", "-"), s, jobs.Failed)
			if again := w.EC2Calls["RunInstances"]; again != calls {
				t.Errorf("%s: %d launches: %s", key, again-calls, job.Failure)
			}
		}
		w.launch("heal", heals(before.Image, 6), jobs.Succeeded)
		w.WantFleet("web", upTo(6)...)
		after, _, err := w.GetFleet(t.Context(), "web")
		if err != nil || after.Count != 6 || after.Image != before.Image || string(after.Spec) != string(before.Spec) || strings.Contains(string(after.Spec), "heals") {
			t.Errorf("the fleet became %+v, %v", after, err)
		}
	})
}
