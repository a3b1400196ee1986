package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// waiting is a job in the middle of things, written by somebody hostile.
func waiting() *jobs.Job {
	return &jobs.Job{ID: "bake-web-aaaaaaaaaaaaaaaa", Kind: "Bake", Name: "web", Target: jobs.Target{Region: "eu-west-1"}, Key: "k", Run: 2,
		Incarnation: "i", State: jobs.Open, Step: "step-1-run", Priority: jobs.Normal, Labels: map[string]string{"team": "edge", "env": "test"},
		Attempts: map[string]int{"test": 1, "builder": 2}, Wait: &jobs.Waiting{For: "step-1-run on i-1", Until: noon.Add(90 * time.Second)},
		Error: "a\x1b[2J\u202eb\nc", Created: noon.Add(-2 * time.Hour), Updated: noon,
		History: []jobs.Line{{Time: noon, Run: 2, Step: "resolve", Text: "from ami-1\nmore"}}}
}

func shown(t *testing.T, output string) string {
	t.Helper()
	var out bytes.Buffer
	c := &command{IO: IO{Out: &out}, output: output}
	j := waiting()
	v := view(j)
	for _, l := range j.History {
		v.History = append(v.History, lineView{Time: l.Time, Run: l.Run, Step: l.Step, Text: l.Text})
	}
	if err := c.print(v, func(w io.Writer) { showJob(w, j, v, noon) }); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAJobIsShownTheSameInEveryOutput(t *testing.T) {
	t.Parallel()
	const table = `job          bake-web-aaaaaaaaaaaaaaaa
kind         Bake
target       eu-west-1
state        open (run 2, created 2h00m ago)
key          k
labels       env=test,team=edge
step         step-1-run
waits for    step-1-run on i-1
looks again  in 1m30s
attempts     builder: 2
attempts     test: 1
last error   a [2J b c

TIME                  RUN  STEP     WHAT
2026-11-03 12:00:00Z  2    resolve  from ami-1 more
`
	if got := shown(t, "table"); got != table {
		t.Errorf("the table is\n%s", got)
	}
	const document = `{
  "id": "bake-web-aaaaaaaaaaaaaaaa",
  "kind": "Bake",
  "name": "web",
  "region": "eu-west-1",
  "key": "k",
  "priority": "normal",
  "labels": {
    "env": "test",
    "team": "edge"
  },
  "state": "open",
  "run": 2,
  "incarnation": "i",
  "step": "step-1-run",
  "waitsFor": "step-1-run on i-1",
  "waitsUntil": "2026-11-03T12:01:30Z",
  "attempts": {
    "builder": 2,
    "test": 1
  },
  "error": "a\u001b[2J\u202eb\nc",
  "created": "2026-11-03T10:00:00Z",
  "updated": "2026-11-03T12:00:00Z",
  "history": [
    {
      "time": "2026-11-03T12:00:00Z",
      "run": 2,
      "step": "resolve",
      "text": "from ami-1\nmore"
    }
  ]
}
`
	if got := shown(t, "json"); got != document {
		t.Errorf("JSON is\n%s", got)
	}
	if got := shown(t, "yaml"); got != document { // its text would play with a terminal: YAML has no plain form for it
		t.Errorf("YAML is\n%s", got)
	}
}

func TestYAMLIsPlainWhereTheTextIs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &command{IO: IO{Out: &out}, output: "yaml"}
	if err := c.print(map[string]any{"name": "web", "regions": []string{"eu-west-1"}}, nil); err != nil {
		t.Fatal(err)
	}
	if want := "name: web\nregions:\n- eu-west-1\n"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func TestEscapedJSONIsTheSameValue(t *testing.T) {
	t.Parallel()
	value := "\x1b\x7f\u009b\u202eä€\U0001f600\U000e0041\n"
	raw, err := document(value)
	if err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal([]byte(raw), &back); err != nil || back != value {
		t.Errorf("%q became %q (%v)", value, back, err)
	}
	if lines(raw) != raw || !strings.Contains(raw, "ä€\U0001f600") {
		t.Errorf("escaped as %s", raw)
	}
}

func TestABarShowsWhatIsHealthyAndWhatIsLaunched(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gauge     gauge
		bar, text string
	}{
		{gauge{}, "", ""},
		{gauge{Step: 1, Steps: 4}, "▒▒░░░░░░", "step 1 of 4"},
		{gauge{Step: 4, Steps: 4}, "██████▒▒", "step 4 of 4"},
		{gauge{Of: 200}, "░░░░░░░░", "launched 0 of 200"},
		{gauge{Of: 200, Launched: 100}, "▒▒▒▒░░░░", "launched 100 of 200"},
		{gauge{Of: 200, Launched: 150, Healthy: 50}, "██▒▒▒▒░░", "launched 150, healthy 50 of 200"},
		{gauge{Of: 2, Launched: 2, Healthy: 2}, "████████", "launched 2, healthy 2 of 2"},
	} {
		if got := c.gauge.bar(8); got != c.bar || c.gauge.String() != c.text {
			t.Errorf("%+v is %q, %q", c.gauge, got, c.gauge)
		}
	}
}

func TestATerminalIsDrawnInPlaceAndCutAtItsWidth(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{w: &out, inPlace: true, colour: true, told: map[string]string{}, begun: time.Now()}
	job := waiting()
	job.State, job.Ended, job.Failure = jobs.Failed, noon, strings.Repeat("long \x1b[2J ", 100)
	rows := map[string]*jobs.Row{job.ID: {Job: job}}
	p.show(context.Background(), []string{job.ID}, rows)
	p.show(context.Background(), []string{job.ID}, rows)
	pictures := strings.Split(out.String(), "\x1b[1A\x1b[J")
	if len(pictures) != 2 || pictures[0] != pictures[1] {
		t.Fatalf("drew %q", out.String())
	}
	plain := strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "").Replace(pictures[0])
	if strings.Contains(plain, "\x1b") || len([]rune(strings.TrimSuffix(plain, "\n"))) != widthElsewhere-1 {
		t.Errorf("a line is %q", plain)
	}
	p.colour = false
	if _, line := p.picture(context.Background(), job.ID, rows[job.ID]); p.paint("failed", line) != line {
		t.Error("NO_COLOR is coloured")
	}
}

func TestStepsAreInTheOrderInWhichTheyRan(t *testing.T) {
	t.Parallel()
	keys := []string{"boot-test-verify-1/x", "console", "step-10-run/x", "generalize/x", "step-2-run/x", "verify-2/x", "verify-1/x"}
	slices.SortFunc(keys, compareSteps)
	if got := strings.Join(keys, " "); got != "step-2-run/x step-10-run/x verify-1/x verify-2/x generalize/x boot-test-verify-1/x console" {
		t.Errorf("got %s", got)
	}
}

func TestAConsoleThatLosesItsBeginningIsPrintedOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := &logReader{command: &command{IO: IO{Out: &out}}}
	for _, text := range []string{"", "one\r\ntwo\r\n", "one\r\ntwo\r\n", "one\r\ntwo\r\nthree\r\n", "one\ntwo\nthree\n" + strings.Repeat("x", 300) + "\nfour\n",
		strings.Repeat("x", 280) + "\nfour\nfive\n"} {
		l.writeConsole(text)
	}
	if want := "── console ──\none\ntwo\nthree\n" + strings.Repeat("x", 300) + "\nfour\nfive\n"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}
