package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

const healing5m = `{"when":{"every":"5m"},"do":{"heal":{"labels":{"env":"prod"}}}}`

func TestAHealOfWholeFleetsSubmitsNothingAndCostsOneLookAFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.fleet("web", 20)
		w.fleet("api", 3)
		w.apply(t, "heal", healing5m)
		e := (&worker{world: w}).evaluator("a")
		for range 120 {
			time.Sleep(30 * time.Second)
			if err := e.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if len(w.sent) != 0 {
			t.Errorf("submitted %v", w.sent[0])
		}
		want := map[string]int{"Lease": 120, "Policies": 120, "Policy": 12, "PutPolicy": 12, "ListFleets": 12, "Servers": 24, "InstancesTagged": 24}
		if fmt.Sprint(w.calls) != fmt.Sprint(want) {
			t.Errorf("an hour took %v, want %v", w.calls, want)
		}
	})
}

func TestAHealLaunchesWhatIsMissingOnTheFleetsOwnImage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		about   string
		befalls func(w *world)
		jobs    int
		note    string
	}{
		{"a server is gone", func(w *world) { w.kill("i-web3") }, 1, ""},
		{"one is being terminated", func(w *world) {
			w.running["i-web3"] = cloud.Instance{ID: "i-web3", State: "shutting-down", Tags: w.running["i-web3"].Tags}
		}, 1, ""},
		{"an ordinal is free", func(w *world) { w.servers["web"] = w.servers["web"][1:] }, 1, ""},
		{"servers of two fleets are gone", func(w *world) { w.kill("i-web3"); w.kill("i-api0") }, 2, ""},
		{"an ordinal is free and one more than wanted stands elsewhere", func(w *world) {
			w.servers["web"][0].Ordinal = 99
		}, 0, ""},
		{"one was launched just now, and Describe does not know it yet", func(w *world) {
			w.servers["web"][3].Launched = time.Now()
			w.kill("i-web3")
		}, 0, ""},
		{"one was imported, without our tag", func(w *world) { w.running["i-web3"] = cloud.Instance{ID: "i-web3", State: "running"} }, 0, ""},
		{"one is stopped", func(w *world) {
			w.running["i-web3"] = cloud.Instance{ID: "i-web3", State: "stopped", Tags: w.running["i-web3"].Tags}
		}, 0, ""},
		{"somebody works on the fleet", func(w *world) {
			w.kill("i-web3")
			f := w.fleets["web"]
			f.Owner = "rollout-web-abc"
			w.fleets["web"] = f
		}, 0, "rollout-web-abc works on it"},
		{"nothing says how it was launched", func(w *world) {
			w.kill("i-web3")
			f := w.fleets["web"]
			f.Spec = nil
			w.fleets["web"] = f
		}, 0, "no launch of it is stored"},
		{"the fleet is to be empty", func(w *world) { w.fleets["web"] = ledger.Fleet{Name: "web", Labels: w.fleets["web"].Labels} }, 0, ""},
		{"it has other labels", func(w *world) {
			w.kill("i-web3")
			f := w.fleets["web"]
			f.Labels = nil
			w.fleets["web"] = f
		}, 0, ""},
	} {
		t.Run(c.about, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.fleet("web", 20)
				w.fleet("api", 3)
				w.apply(t, "heal", healing5m)
				time.Sleep(5 * time.Minute)
				c.befalls(w)
				if err := (&worker{world: w}).evaluator("a").Round(t.Context()); err != nil {
					t.Fatal(err)
				}
				if len(w.sent) != c.jobs || !strings.Contains(w.policy("heal").Note, c.note) {
					t.Errorf("%d jobs, want %d; note %q", len(w.sent), c.jobs, w.policy("heal").Note)
				}
				for _, m := range w.sent {
					var s struct {
						Image string `json:"image"`
						Count int    `json:"count"`
						Heals bool   `json:"heals"`
					}
					if err := json.Unmarshal(m.Spec, &s); err != nil || m.Kind != "Launch" || s.Image != "web@41" || !s.Heals || s.Count != w.fleets[m.Name].Count || m.Labels["env"] != "prod" {
						t.Errorf("submitted %s %s %s, labels %v: %v", m.Kind, m.Name, m.Spec, m.Labels, err)
					}
				}
			})
		})
	}
}

func TestAHealWhoseLaunchesFailRestsLongerEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.fleet("web", 2)
		w.kill("i-web0")
		w.apply(t, "heal", healing5m)
		e := (&worker{world: w}).evaluator("a")
		for range 24 * 60 {
			time.Sleep(time.Minute)
			if err := e.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, m := range w.sent {
				w.end(m, jobs.Failed)
			}
		}
		if n := len(w.jobs()); n < 5 || n > 10 {
			t.Errorf("%d launches in a day of a fleet that cannot be launched", n)
		}
		if !strings.Contains(w.policy("heal").Note, "in a row") {
			t.Errorf("the note is %q", w.policy("heal").Note)
		}
	})
}

func TestALaunchThatIsNotOverIsNotSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.fleet("web", 2)
		w.fleet("api", 2)
		w.kill("i-web0")
		w.apply(t, "heal", healing5m)
		e := (&worker{world: w}).evaluator("a")
		for i := range 30 {
			time.Sleep(time.Minute)
			if i == 10 {
				w.kill("i-api0")
			}
			if err := e.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.jobs(); len(got) != 2 {
			t.Errorf("submitted %v, want one of each fleet", got)
		}
	})
}

func TestALaunchPolicyFillsAFleetUpAndSubmitsNothingWhereItIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply(t, "fill", `{"when":{"schedule":"0 3 * * *"},"do":{"launch":{"image":"web","count":20},"name":"web"}}`)
		e := (&worker{world: w}).evaluator("a")
		night := func() {
			time.Sleep(24 * time.Hour)
			if err := e.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.ended()
		}
		night()
		if len(w.sent) != 1 || w.sent[0].Kind != "Launch" || w.sent[0].Name != "web" {
			t.Fatalf("of a fleet that is not there yet, submitted %v", w.causes())
		}
		w.fleet("web", 20)
		night()
		if len(w.sent) != 1 {
			t.Errorf("of a full fleet, submitted %v", w.causes())
		}
		w.kill("i-web7")
		night()
		if len(w.sent) != 2 {
			t.Errorf("of a fleet that lacks one, submitted %v", w.causes())
		}
	})
}
