package rollout_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

func TestAPlanTellsTheWavesAndChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFleet(t, 25, "")
		plan := func(spec string) (jobs.Plan, rollout.Planned) {
			program, err := w.Kinds["Rollout"].Program(&jobs.Job{Kind: "Rollout", Name: "web", Run: 1, Spec: json.RawMessage(spec)})
			if err != nil {
				t.Fatal(err)
			}
			told, err := program.(jobs.Planner).Plan(t.Context(), jobs.Foreseen{})
			if err != nil {
				t.Fatal(err)
			}
			return told, told.Details.(rollout.Planned)
		}
		before := w.Holders("web")
		told, d := plan(`{"fleet": "web", "image": "web", "canary": {"count": 1}, "gate": [{"approve": true}]}`)
		var lines []string
		for _, line := range told.Lines {
			lines = append(lines, line.About+" "+line.Text)
		}
		text := strings.Join(lines, "\n")
		for _, want := range []string{"image web@3", "web has 25 servers of web@2", "at most 28 at a time, at least 25 serve", "canary: 1 server (0)", "3: 12 servers (13-24), 3 at a time", "gates approve"} {
			if !strings.Contains(text, want) {
				t.Errorf("the plan does not tell %q:\n%s", want, text)
			}
		}
		if len(told.Findings) > 0 || d.Rolled != 25 || d.Chunks != 10 || d.Calls != 37 {
			t.Errorf("the plan tells %+v and %v", d, told.Findings)
		}
		if told, _ := plan(`{"fleet": "web", "image": "web@1"}`); len(told.Findings) != 1 || !strings.Contains(told.Findings[0].Message, "retired") {
			t.Errorf("of a retired version it finds %v", told.Findings)
		}
		if told, _ := plan(`{"fleet": "nope", "image": "web"}`); len(told.Findings) != 1 || !strings.Contains(told.Findings[0].Message, "no fleet") {
			t.Errorf("of a fleet that is not there it finds %v", told.Findings)
		}
		if told, _ := plan(`{"fleet": "web", "image": "web", "surge": 0, "maxUnavailable": "1%"}`); len(told.Findings) != 1 || !strings.Contains(told.Findings[0].Message, "is none") {
			t.Errorf("of shares that come to nothing it finds %v", told.Findings)
		}
		for i, server := range w.Holders("web") {
			if server.InstanceID != before[i].InstanceID || server.State != before[i].State {
				t.Errorf("the plan changed ordinal %d", server.Ordinal)
			}
		}
	})
}
