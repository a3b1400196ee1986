package jobs_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ping"
)

// Not parallel: what is allocated is counted for the whole process.
func TestAMessageOfTheLargestSizeIsRefusedForABoundedAmount(t *testing.T) {
	head := `{"schema":1,"type":"submit","kind":"Ping","name":"web",`
	fill := func(begin, fill, end string) string {
		return begin + strings.Repeat(fill, (jobs.MaxMessage-len(begin)-len(end))/len(fill)) + end
	}
	for name, c := range map[string]struct{ body, want string }{
		"a spec of 1 MiB":          {fill(head+`"spec":{"a":"`, "x", `"}}`), "at most 262144 are taken"},
		"a byte more than a queue": {strings.Repeat(" ", jobs.MaxMessage+1), "at most 1048576 are read"},
		"brackets":                 {fill("", "[", ""), "not a JSON object"},
		"nested objects":           {fill("", `{"a":`, ""), "not a JSON object"},
		"an unknown field":         {fill(head+`"`, "x", `":1}`), "does not follow the message schema"},
		"a long name":              {fill(`{"schema":1,"type":"submit","kind":"Ping","name":"`, "\u202e", `"}`), `"name" is`},
		"a long key":               {fill(head+`"key":"`, "k", `"}`), `"key" is`},
		"a long label":             {fill(head+`"labels":{"`, "l", `":""}}`), "label "},
		"many labels":              {fill(head+`"labels":{"a":""`, `,"b":""`, `}}`), ""},
		"the same field":           {fill(head+`"name":"web"`, `,"name":"web"`, `}`), ""},
		"a long kind":              {fill(`{"schema":1,"type":"submit","name":"web","kind":"`, "K", `"}`), `"kind" is`},
		"a long job":               {fill(`{"schema":1,"type":"wake","run":1,"job":"`, "\\u0000", `"}`), `"job" is`},
		"a long number":            {fill(`{"schema":`, "9", `}`), "not a JSON object"},
		"not UTF-8":                {fill(head+`"role":"`, "\xc0\xaf", `"}`), `"role" is`},
		"binary":                   {fill("", "\x00", ""), "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			engine := jobs.NewEngine(jobs.EngineConfig{Store: m, Families: m, Sender: m, Kinds: jobs.NewKinds(ping.Kind{}), Log: quiet})
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			outcome := engine.Deliver(t.Context(), &jobs.Delivery{Received: jobs.Received{ID: "m", OriginalID: "m", Body: []byte(c.body)}, Token: "t"})
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("it allocates %d MiB", used>>20)
			}
			if !strings.Contains(outcome.Reason, c.want) || c.want != "" && !outcome.Delete || len(outcome.Reason) > 2000 {
				t.Errorf("the outcome is %.300v, want %q", outcome, c.want)
			}
			if strings.ContainsAny(outcome.Reason, "\x00\u202e\x1b") {
				t.Errorf("the reason is %.300q", outcome.Reason)
			}
		})
	}
}

// clouded are families of which one row cannot be read.
type clouded struct {
	*memory
	id string
}

func (c clouded) Rows(ctx context.Context, ids []string) (map[string]*jobs.Row, error) {
	rows, err := c.memory.Rows(ctx, ids)
	if rows[c.id] != nil {
		rows[c.id] = &jobs.Row{Unreadable: errors.New("the item of job " + c.id + " cannot be read")}
	}
	return rows, err
}

func TestWhatAnUnreadableJobMadeIsLeftAloneAndTheRestIsReaped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.put(&jobs.Job{ID: "bake-dark", State: jobs.Succeeded, Incarnation: "dark", Run: 1})
		y := newYard()
		y.put("i-dark", ours("bake-dark", "dark"))
		y.put("i-orphan", ours("bake-gone", "gone"))
		reaper := newReaper(y, m)
		reaper.Rows = clouded{m, "bake-dark"}
		for range 3 {
			if _, err := reaper.Reap(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(31 * time.Minute)
		}
		if y.removed["i-dark"] || !y.removed["i-orphan"] {
			t.Fatalf("removed are %v", y.removed)
		}
	})
}

func TestAnUnreadableChildDoesNotKeepTheOthersFromBeingCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		families := &clouded{memory: w.memory}
		engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: families, Sender: w.memory, Kinds: w.kinds, Installation: "test", Log: quiet})
		deliver := func(m *jobs.Message) {
			t.Helper()
			body, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			engine.Deliver(t.Context(), &jobs.Delivery{Received: jobs.Received{ID: "m", OriginalID: "m", Body: body}, Token: rand.Text()})
		}
		parent := w.submit("parent", "k", stampSpec{Children: 3})
		var submission jobs.Message
		if err := json.Unmarshal(w.memory.messages[0].body, &submission); err != nil {
			t.Fatal(err)
		}
		deliver(&submission)
		for _, list := range w.memory.fans {
			families.id = list[1].ID
			for _, child := range list {
				w.memory.put(&jobs.Job{ID: child.ID, State: jobs.Open, Run: 1, Incarnation: "child"})
			}
		}
		deliver(&jobs.Message{Type: jobs.Cancel, Job: parent, Run: 1})
		cancelled := map[string]bool{}
		for _, q := range w.memory.messages {
			if m, err := jobs.ParseMessage(q.body); err == nil && m.Type == jobs.Cancel {
				cancelled[m.Job] = true
			}
		}
		if len(cancelled) != 2 || cancelled[families.id] || w.job(parent).Finished() {
			t.Fatalf("cancelled are %v; the parent is %s", cancelled, w.job(parent).State)
		}
	})
}
