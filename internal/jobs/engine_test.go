package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// stamp is a kind with one of everything: a thing, a wait, children, another thing, and an undo.
type stamp struct{ memory *memory }

type stampSpec struct {
	Children int           `json:"children"`
	Wait     time.Duration `json:"wait"`
	Fail     bool          `json:"fail"`
	Panics   bool          `json:"panics"`
	Kills    bool          `json:"kills"`
}

type stampProgram struct {
	stampSpec
	memory *memory
	job    *jobs.Job
	data   struct {
		A, B   bool
		Waited bool
		Ended  int
	}
}

func (s stamp) Name() string { return "Stamp" }
func (s stamp) Check(raw json.RawMessage) error {
	var spec stampSpec
	return json.Unmarshal(raw, &spec)
}

func (s stamp) Program(job *jobs.Job) (jobs.Program, error) {
	p := &stampProgram{memory: s.memory, job: job}
	if err := json.Unmarshal(job.Spec, &p.stampSpec); err != nil {
		return nil, err
	}
	if job.Data != nil {
		if err := json.Unmarshal(job.Data, &p.data); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *stampProgram) Steps() []jobs.Step {
	steps := []jobs.Step{{Name: "a", Do: p.thing("a", &p.data.A)}}
	if p.Wait > 0 {
		steps = append(steps, jobs.Step{Name: "wait", Looks: true, Do: p.wait})
	}
	if p.Children > 0 {
		steps = append(steps, jobs.Step{Name: "children", Do: p.children})
	}
	return append(steps, jobs.Step{Name: "b", Do: p.thing("b", &p.data.B)}, jobs.Step{Name: "judge", Looks: true, Do: p.judge})
}

func (p *stampProgram) Undo() []jobs.Step {
	return []jobs.Step{{Name: "unmake", Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		return jobs.Unmake(ctx, turn, "things", func(context.Context) (bool, error) {
			return true, p.memory.unmake(p.job.Incarnation)
		})
	}}}
}

func (p *stampProgram) Committed() bool { return false }
func (p *stampProgram) Data() any       { return p.data }
func (p *stampProgram) Result() any     { return map[string]int{"ended": p.data.Ended} }

func (p *stampProgram) thing(name string, made *bool) func(context.Context, *jobs.Turn) (jobs.Move, error) {
	return func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		_, ready, err := jobs.Make(ctx, turn, jobs.Making[string]{
			Thing:    name,
			Recorded: func() (string, bool) { return name, *made },
			Act: func(_ context.Context, token string) (string, error) {
				return name, p.memory.make(token)
			},
			Record: func(string) { *made = true },
		})
		if err != nil || !ready {
			return jobs.Move{}, err
		}
		return jobs.Done(), nil
	}
}

func (p *stampProgram) wait(_ context.Context, _ *jobs.Turn) (jobs.Move, error) {
	if p.data.Waited {
		return jobs.Done(), nil
	}
	p.data.Waited = true
	return jobs.Wait(p.Wait, "time to pass"), nil
}

func (p *stampProgram) children(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if results := turn.Children(); results != nil {
		for _, r := range results {
			if r.State != jobs.Succeeded {
				return jobs.Fail("child %d: %s", r.Index, r.Failure), nil
			}
		}
		p.data.Ended = len(results)
		return jobs.Done(), nil
	}
	children := make([]jobs.Child, p.Children)
	for i := range children {
		children[i] = jobs.Child{Kind: "Stamp", Name: fmt.Sprint("leaf-", i), Spec: json.RawMessage(`{"wait":3000000000}`)}
	}
	return jobs.FanOut(children...), nil
}

func (p *stampProgram) judge(context.Context, *jobs.Turn) (jobs.Move, error) {
	if p.Panics {
		panic("the kind is broken")
	}
	if p.Fail {
		return jobs.Fail("it was asked to fail"), nil
	}
	return jobs.Done(), nil
}

var quiet = slog.New(slog.DiscardHandler)

// world is a memory with workers that take turns: when one dies, the next carries on.
type world struct {
	t      *testing.T
	memory *memory
	kinds  jobs.Kinds
}

func newWorld(t *testing.T) *world {
	m := newMemory()
	return &world{t: t, memory: m, kinds: jobs.NewKinds(stamp{m})}
}

func (w *world) submit(name, key string, spec stampSpec) string {
	w.t.Helper()
	raw, err := json.Marshal(spec)
	if err != nil {
		w.t.Fatal(err)
	}
	m := &jobs.Message{Type: jobs.Submit, Kind: "Stamp", Name: name, Key: key, Spec: raw}
	w.send(jobs.LaneNormal, m)
	return m.JobID("")
}

func (w *world) send(lane jobs.Lane, m *jobs.Message) {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	if err := w.memory.enqueue(lane, m, 0); err != nil {
		w.t.Fatal(err)
	}
}

// run lets workers work until no message is left, at most for a virtual day.
func (w *world) run() {
	w.t.Helper()
	end := time.Now().Add(24 * time.Hour)
	for time.Now().Before(end) {
		w.life()
		w.memory.mu.Lock()
		empty, dead := len(w.memory.messages) == 0, w.memory.isDead
		w.memory.mu.Unlock()
		if empty {
			return
		}
		if dead {
			w.memory.revive()
		}
	}
	for _, q := range w.memory.messages {
		w.t.Logf("left on %s after %d receives: %s", q.lane, q.receives, q.body)
	}
	for id := range w.memory.rows {
		job := w.job(id)
		w.t.Logf("job %s: %s step %q seq %d fan %v wait %v error %q\n%v", id, job.State, job.Step, job.Seq, job.Fan, job.Wait, job.Error, job.History)
	}
	w.t.Fatal("messages are left after a day")
}

// life is one worker's, until it dies or no message is left.
func (w *world) life() {
	ctx, cancel := context.WithCancel(context.Background())
	engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Installation: "test", Log: quiet})
	worker := jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: w.memory, Slots: 4, Log: quiet})
	done := make(chan struct{})
	go func() { worker.Run(ctx); close(done) }()
	for end := time.Now().Add(12 * time.Hour); ; {
		time.Sleep(time.Second)
		w.memory.mu.Lock()
		over := w.memory.isDead || len(w.memory.messages) == 0 || time.Now().After(end)
		w.memory.mu.Unlock()
		if over {
			cancel()
			<-done
			return
		}
	}
}

func (w *world) job(id string) *jobs.Job {
	w.t.Helper()
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	row := w.memory.load(id)
	if row == nil || row.Job == nil {
		w.t.Fatalf("no job %s", id)
	}
	return row.Job
}

func (w *world) wantState(id string, state jobs.State) {
	w.t.Helper()
	if job := w.job(id); job.State != state {
		w.t.Fatalf("job %s is %s (%s), want %s\n%v", id, job.State, job.Failure, state, job.History)
	}
}

func (w *world) wantThings(n int) {
	w.t.Helper()
	left := 0
	for token := range w.memory.things {
		if !w.memory.gone[token] {
			left++
		}
	}
	if left != n {
		w.t.Fatalf("%d things are left, want %d: %v", left, n, w.memory.things)
	}
}

func TestAJobWithWaitsAndChildrenReachesItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Children: 3, Wait: 20 * time.Second})
		w.run()
		w.wantState(id, jobs.Succeeded)
		w.wantThings(2 + 3*2)
		if got := string(w.job(id).Result); got != `{"ended":3}` {
			t.Fatalf("result %s", got)
		}
	})
}

func TestAWorkerThatDiesAtAnyCallLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spec   stampSpec
		end    jobs.State
		things int
	}{
		{"success", stampSpec{Children: 2, Wait: 20 * time.Second}, jobs.Succeeded, 6},
		{"failure", stampSpec{Children: 2, Wait: 20 * time.Second, Fail: true}, jobs.Failed, 4}, // children that succeeded keep theirs
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.submit("web", "k", c.spec)
				w.run()
				calls = w.memory.calls
			})
			for at := 1; at <= calls; at++ {
				for _, after := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						w.memory.dieAt, w.memory.after = at, after
						id := w.submit("web", "k", c.spec)
						w.run()
						if w.job(id).State != c.end {
							t.Fatalf("death at call %d (after: %v): %s %s\n%v", at, after, w.job(id).State, w.job(id).Failure, w.job(id).History)
						}
						w.wantThings(c.things)
						if len(w.memory.dead) > 0 {
							t.Fatalf("death at call %d (after: %v): dead letters %v", at, after, w.memory.dead)
						}
					})
				}
			}
		})
	}
}

func TestTheSameSubmissionTwiceIsOneJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Wait: 5 * time.Second})
		w.submit("web", "k", stampSpec{Wait: 5 * time.Second})
		w.run()
		w.submit("web", "k", stampSpec{Wait: 5 * time.Second})
		w.run()
		w.wantState(id, jobs.Succeeded)
		w.wantThings(2)
	})
}

func TestTheSameKeyWithAnotherSpecIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submit("web", "k", stampSpec{})
		w.run()
		w.submit("web", "k", stampSpec{Wait: time.Second})
		w.run()
		if len(w.memory.dead) != 1 || !strings.Contains(w.memory.dead[0], "same key, another spec") {
			t.Fatalf("dead letters %v", w.memory.dead)
		}
	})
}

func TestACancelThatOvertakesItsSubmissionWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := jobs.Identity("Stamp", "web", jobs.Target{}, "k")
		w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Cancel, Job: id, Run: 1})
		w.run()
		w.submit("web", "k", stampSpec{})
		w.run()
		w.wantState(id, jobs.Cancelled)
		w.wantThings(0)
	})
}

func TestACancelWhileWaitingUndoesWhatWasMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Wait: time.Hour})
		go func() {
			time.Sleep(time.Minute)
			w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Cancel, Job: id, Run: 1})
		}()
		w.run()
		time.Sleep(2 * time.Minute)
		w.run()
		w.wantState(id, jobs.Cancelled)
		w.wantThings(0)
	})
}

func TestARetryIsTheNextRunWithOtherTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Fail: true})
		w.run()
		w.wantState(id, jobs.Failed)
		for range 2 { // the second names a run that is over
			w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Reopen, Job: id, Run: 1})
		}
		w.run()
		w.wantState(id, jobs.Failed)
		if job := w.job(id); job.Run != 2 {
			t.Fatalf("run %d, want 2", job.Run)
		}
		if len(w.memory.things) != 4 {
			t.Fatalf("tokens %v, want 2 a run", w.memory.things)
		}
	})
}

func TestAPanicIsTheJobsErrorAndFailsItAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		broken := w.submit("broken", "k", stampSpec{Panics: true})
		sound := w.submit("sound", "k", stampSpec{})
		w.run()
		w.wantState(sound, jobs.Succeeded)
		w.wantState(broken, jobs.Failed)
		if job := w.job(broken); !strings.Contains(job.Failure, "the kind is broken") {
			t.Fatalf("failure %q", job.Failure)
		}
		w.wantThings(2)
	})
}

func TestWhatNobodyCanReadGoesToTheDeadLettersWithItsReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, reason string }{
		"not JSON":      {`{`, "not a JSON object"},
		"unknown field": {`{"schema":1,"type":"submit","kind":"Stamp","name":"a","spec":{},"colour":"red"}`, "colour"},
		"unknown kind":  {`{"schema":1,"type":"submit","kind":"Boil","name":"a","spec":{}}`, `"Boil"`},
		"bad name":      {`{"schema":1,"type":"submit","kind":"Stamp","name":"a\u0000b","spec":{}}`, `"name"`},
		"bad spec":      {`{"schema":1,"type":"submit","kind":"Stamp","name":"a","spec":{"wait":"x"}}`, "spec of Stamp a"},
		"bad type":      {`{"schema":1,"type":"destroy"}`, `"type"`},
		"two objects":   {`{"schema":1,"type":"cancel","job":"a-b","run":1}{}`, "after top-level value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.memory.messages = append(w.memory.messages, &queued{id: "poison", lane: jobs.LaneNormal, body: []byte(c.body)})
				sound := w.submit("sound", "k", stampSpec{})
				w.run()
				w.wantState(sound, jobs.Succeeded)
				if len(w.memory.dead) != 1 || !strings.Contains(w.memory.dead[0], c.reason) || !strings.HasPrefix(w.memory.dead[0], "poison: ") {
					t.Fatalf("dead letters %q, want the reason %q", w.memory.dead, c.reason)
				}
			})
		})
	}
}

func TestADrainedWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var ids []string
		for i := range 40 {
			ids = append(ids, w.submit(fmt.Sprint("web-", i), "k", stampSpec{Wait: 2 * time.Second}))
		}
		for range 5 {
			ctx, cancel := context.WithCancel(context.Background())
			engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds})
			worker := jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: w.memory, Slots: 2})
			go func() { time.Sleep(700 * time.Millisecond); cancel() }()
			worker.Run(ctx)
		}
		w.run()
		for _, id := range ids {
			w.wantState(id, jobs.Succeeded)
		}
		w.wantThings(80)
	})
}

func TestAJobThatKillsItsWorkersFailsForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{})
		w.send(jobs.LaneNormal, &jobs.Message{Type: jobs.Nudge, Job: id, Run: 1})
		for range jobs.MaxClaims {
			row, ok, err := w.memory.Claim(t.Context(), jobs.Claim{ID: id, Now: time.Now(), Until: time.Now().Add(time.Minute), Delivery: "x"})
			if err != nil || (row != nil && !ok) {
				t.Fatal(row, ok, err)
			}
			if row == nil { // the first is the creation
				job := &jobs.Job{ID: id, Schema: 1, Kind: "Stamp", Name: "web", Incarnation: jobs.NewIncarnation(), Run: 1, Spec: json.RawMessage(`{"children":0,"wait":0,"fail":false,"panics":false,"kills":false}`),
					State: jobs.Open, Fence: 1, Claims: 1, Lease: time.Now().Add(time.Minute), Error: "out of memory"}
				digest, err := jobs.Digest(job.Spec)
				if err != nil {
					t.Fatal(err)
				}
				job.Digest = digest
				if _, err := w.memory.Create(t.Context(), job, false); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Minute)
		}
		w.run()
		w.wantState(id, jobs.Failed)
		if job := w.job(id); !strings.Contains(job.Failure, "out of memory") {
			t.Fatalf("failure %q, want the last error in it", job.Failure)
		}
	})
}

func TestAStaleWorkerChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Wait: 5 * time.Second})
		w.run()
		job := w.job(id)
		job.Fence--
		job.State = jobs.Open
		if _, err := w.memory.Save(t.Context(), job, jobs.Saving{Seq: job.Seq}); !errors.Is(err, jobs.ErrFenced) {
			t.Fatalf("a save with an old fence answered %v", err)
		}
		w.wantState(id, jobs.Succeeded)
	})
}
