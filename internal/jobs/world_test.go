package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
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
	return &world{t: t, memory: m, kinds: jobs.NewKinds(stamp{m}, watch{m})}
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
	engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Installation: "test", Log: quiet,
		Awaits: w.memory, Account: "123456789012", Region: "us-east-1"})
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
