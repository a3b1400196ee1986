package cli_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
)

// budgetReport is a row of `budget list -o json`.
type budgetReport struct {
	Action, Tokens string
	Level, Size    float64
	RatePerSecond  float64
	Waiting        map[string]float64
	Throttles      int
	Jobs           []struct{ Job, Priority string }
}

func (s *shell) budgets(args ...string) map[string]budgetReport {
	s.t.Helper()
	var list []budgetReport
	out := s.must(cli.ExitOK, append([]string{"budget", "list", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	all := map[string]budgetReport{}
	for _, b := range list {
		all[b.Action+" "+b.Tokens] = b
	}
	return all
}

const thousands = `
kind: Launch
name: big
priority: low
spec:
  image: ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64
  count: 1500
  pools: [{types: [m7g.large]}]
`

func TestBudgetsTellWhoWaitsForWhatAndACancelGivesItBack(t *testing.T) {
	if testing.Short() {
		t.Skip("1,500 servers: not with -short")
	}
	installed(t, 2, func(t *testing.T, s *shell) {
		wants(t, s.must(cli.ExitOK, "budget", "list"), "no budgets")
		s.must(cli.ExitOK, "submit", s.file("big.yaml", thousands), "--key", "k")
		time.Sleep(time.Minute)
		b := s.budgets("--jobs", "3")["RunInstances servers"]
		if b.Size != 900 || b.RatePerSecond != 1.8 || b.Waiting["low"] < 400 || b.Waiting["low"] > 600 || b.Waiting["high"] != 0 {
			t.Errorf("a minute after a launch of 1,500 began: %+v; expected a bucket of 900 at 1.8 a second less what waits", b)
		}
		requests := s.budgets("--jobs", "3")["RunInstances requests"]
		if len(requests.Jobs) != 3 || requests.Jobs[0].Priority != "low" {
			t.Errorf("who waits: %+v; expected three batches of low priority", requests.Jobs)
		}
		wants(t, s.must(cli.ExitOK, "budget", "list"), "RunInstances", "low", "in line for RunInstances", "of 900", "1.8/s")
		id := (&jobs.Message{Type: jobs.Submit, Kind: "Launch", Name: "big", Key: "k"}).JobID("")
		s.must(cli.ExitOK, "cancel", id)
		if a := s.run("wait", id, "--timeout", "2h"); a.code == cli.ExitOK {
			t.Errorf("the cancelled launch ended well: %s", a.out)
		}
		if b := s.budgets()["RunInstances servers"]; b.Waiting["low"] > 0.5 || b.Throttles != 0 {
			t.Errorf("after the cancel: %+v; expected that nobody waits, and no throttle", b)
		}
	})
}
