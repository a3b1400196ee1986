package restamp

import (
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// What is reported of a fleet must be so in the middle of the night, too: one whose rollout was cancelled half-way was begun.
func TestAReportSaysOfEachFleetHowFarItCame(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 11, 10, 3, 0, 0, 0, time.UTC)
	w := &Work{Begun: begun, Images: []WorkImage{{Name: "web", Version: 41}}, Fleets: []WorkFleet{{Name: "web-prod", From: "web@41", Image: "web"}}}
	before := map[string][]rollout.ServerState{"web-prod": {{Ordinal: 0, Instance: "i-0", Image: "web@41"}, {Ordinal: 1, Instance: "i-1", Image: "web@41"}}}
	half := map[string][]rollout.ServerState{"web-prod": {{Ordinal: 0, Instance: "i-9", Image: "web@42"}, {Ordinal: 1, Instance: "i-1", Image: "web@41"}}}
	renewed := ledger.Outcome{Image: "web", State: jobs.Succeeded, From: "web@41", To: "web@42", Begun: begun, Ended: begun.Add(time.Hour)}
	for name, c := range map[string]struct {
		outcomes       []ledger.Outcome
		after          map[string][]rollout.ServerState
		state, to, why string
		failed         int
	}{
		"rolled":                     {[]ledger.Outcome{renewed, {Fleet: "web-prod", State: jobs.Succeeded, To: "web@42"}}, half, Rolled, "web@42", "", 0},
		"its rollout failed":         {[]ledger.Outcome{renewed, {Fleet: "web-prod", State: jobs.Failed, To: "web@42", Failure: "the gate"}}, before, Failed, "web@42", "the gate", 1},
		"its image was not renewed":  {nil, before, Stopped, "", "web was not renewed", 0},
		"cancelled before a server":  {[]ledger.Outcome{renewed}, before, Stopped, "web@42", "no server of it was changed", 0},
		"cancelled after one of two": {[]ledger.Outcome{renewed}, half, Failed, "web@42", "1 of 2 servers were changed", 1},
	} {
		report := reportOf(w, c.outcomes, before, c.after, nil)
		line := report.Fleets[0]
		if line.State != c.state || line.To != c.to || !strings.Contains(line.Why, c.why) || (c.why == "") != (line.Why == "") || report.Totals.FleetsFailed != c.failed {
			t.Errorf("%s: the fleet is %s to %q because of %q, %d failed; want %s to %q because of %q, %d", name, line.State, line.To, line.Why, report.Totals.FleetsFailed,
				c.state, c.to, c.why, c.failed)
		}
	}
}
