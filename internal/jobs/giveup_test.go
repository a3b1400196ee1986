package jobs_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// odd is a kind whose parts a test chooses.
type odd struct {
	name      string
	check     func(json.RawMessage) error
	steps     func(job *jobs.Job) []jobs.Step
	undo      func(job *jobs.Job) []jobs.Step
	committed func(job *jobs.Job) bool
	data      func() any
	result    func() any
}

type oddProgram struct {
	odd
	job *jobs.Job
}

func (o odd) Name() string { return o.name }

func (o odd) Check(raw json.RawMessage) error {
	if o.check == nil {
		return nil
	}
	return o.check(raw)
}

func (o odd) Program(job *jobs.Job) (jobs.Program, error) { return oddProgram{o, job}, nil }

func (p oddProgram) Steps() []jobs.Step { return p.steps(p.job) }

func (p oddProgram) Undo() []jobs.Step {
	if p.undo == nil {
		return nil
	}
	return p.undo(p.job)
}

func (p oddProgram) Committed() bool { return p.committed != nil && p.committed(p.job) }

func (p oddProgram) Data() any {
	if p.data == nil {
		return nil
	}
	return p.data()
}

func (p oddProgram) Result() any {
	if p.result == nil {
		return nil
	}
	return p.result()
}

func step(name string, move jobs.Move, err error) jobs.Step {
	return jobs.Step{Name: name, Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { return move, err }}
}

func oneStep(move jobs.Move) func(*jobs.Job) []jobs.Step {
	return func(*jobs.Job) []jobs.Step { return []jobs.Step{step("only", move, nil)} }
}

// order submits a job of the kind with an empty spec.
func (w *world) order(kind string) string {
	m := &jobs.Message{Type: jobs.Submit, Kind: kind, Name: "web", Key: "k", Spec: json.RawMessage(`{}`)}
	w.send(jobs.LaneNormal, m)
	return m.JobID("")
}

func TestAKindThatPanicsEndsNoWorkerAndItsJobAlone(t *testing.T) {
	t.Parallel()
	broken := func() any { panic("broken") }
	for name, c := range map[string]struct {
		kind odd
		dead bool
	}{
		"check":  {odd{check: func(json.RawMessage) error { panic("broken") }}, true},
		"steps":  {odd{steps: func(*jobs.Job) []jobs.Step { panic("broken") }}, false},
		"data":   {odd{steps: oneStep(jobs.Done()), data: broken}, false},
		"result": {odd{steps: oneStep(jobs.Done()), result: broken}, false},
		"undo":   {odd{steps: oneStep(jobs.Fail("no")), undo: func(*jobs.Job) []jobs.Step { panic("broken") }}, false},
		"commit": {odd{steps: oneStep(jobs.Fail("no")), committed: func(*jobs.Job) bool { panic("broken") }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.kind.name = "Odd"
				w.kinds = jobs.NewKinds(stamp{w.memory}, c.kind)
				id := w.order("Odd")
				sound := w.submit("sound", "k", stampSpec{})
				w.run()
				w.wantState(sound, jobs.Succeeded)
				if c.dead {
					if len(w.memory.dead) != 1 || !strings.Contains(w.memory.dead[0], "broken") {
						t.Fatalf("dead letters %v", w.memory.dead)
					}
					return
				}
				w.wantState(id, jobs.Failed)
			})
		})
	}
}

func TestAJobWhoseDataFitsNoItemFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kinds = jobs.NewKinds(odd{name: "Odd", steps: oneStep(jobs.Wait(time.Second, "nothing")), data: func() any { return strings.Repeat("x", 300<<10) }})
		id := w.order("Odd")
		w.run()
		w.wantState(id, jobs.Failed)
	})
}

func TestAResultThatFitsNoItemIsAWarning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kinds = jobs.NewKinds(odd{name: "Odd", steps: oneStep(jobs.Done()), result: func() any { return strings.Repeat("x", 300<<10) }})
		id := w.order("Odd")
		w.run()
		w.wantState(id, jobs.Succeeded)
		if job := w.job(id); len(job.Warnings) != 1 || !strings.Contains(job.Warnings[0], "result") {
			t.Fatalf("warnings %q", job.Warnings)
		}
	})
}

func TestWhatAJobTellsStaysSmallHoweverMuchItsStepsSay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		long := strings.Repeat("all of a script's output ", 2000)
		w.kinds = jobs.NewKinds(odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step {
			return []jobs.Step{{Name: "talk", Do: func(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
				for i := range 60 {
					turn.Note("%d %s", i, long)
					turn.Warn("%d %s", i, long)
				}
				return jobs.Fail("%s", long), nil
			}}}
		}})
		id := w.order("Odd")
		w.run()
		w.wantState(id, jobs.Failed)
		if size := len(w.memory.rows[id]); size > 200<<10 {
			t.Fatalf("the item has %d bytes", size)
		}
	})
}

func TestWhatKillsWorkersPastTheCommitPointIsAWarningAndUndoesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		undone := false
		w.kinds = jobs.NewKinds(odd{name: "Odd",
			steps: func(*jobs.Job) []jobs.Step {
				return []jobs.Step{step("commit", jobs.Done(), nil), {Name: "kills", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
					w.memory.mu.Lock()
					w.memory.isDead = true
					w.memory.mu.Unlock()
					return jobs.Move{}, errDead
				}}, step("after", jobs.Done(), nil)}
			},
			undo: func(*jobs.Job) []jobs.Step {
				undone = true
				return nil
			},
			committed: func(job *jobs.Job) bool { return job.Step != "" && job.Step != "commit" },
		})
		id := w.order("Odd")
		w.run()
		w.wantState(id, jobs.Succeeded)
		if job := w.job(id); undone || len(job.Warnings) == 0 || !strings.Contains(job.Warnings[0], "kills") {
			t.Fatalf("undone %v, warnings %q", undone, job.Warnings)
		}
	})
}

func TestAWorkerThatDoesNotKnowTheKindLeavesItsJobsToAnother(t *testing.T) {
	t.Parallel()
	for name, older := range map[string]odd{
		"kind": {name: "Other"},
		"step": {name: "Odd", steps: func(*jobs.Job) []jobs.Step { return []jobs.Step{step("first", jobs.Done(), nil)} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				newer := odd{name: "Odd", steps: func(job *jobs.Job) []jobs.Step {
					wait := step("second", jobs.Wait(time.Second, "the older worker"), nil)
					if time.Since(job.Created) > 40*time.Minute {
						wait = step("second", jobs.Done(), nil)
					}
					return []jobs.Step{step("first", jobs.Done(), nil), wait}
				}}
				w.kinds = jobs.NewKinds(newer)
				id := w.order("Odd")
				w.live(10 * time.Second)
				w.kinds = jobs.NewKinds(older)
				w.live(45 * time.Minute)
				if job := w.job(id); job.Finished() || job.Claims > 0 {
					t.Fatalf("%s after %d claims: %s", job.State, job.Claims, job.Failure)
				}
				w.kinds = jobs.NewKinds(newer)
				w.run()
				w.wantState(id, jobs.Succeeded)
			})
		})
	}
}

func TestAJobOfANewerSchemaIsNotTouched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		job := &jobs.Job{ID: "stamp-web-aaaaaaaaaaaaaaaa", Schema: jobs.SchemaVersion + 1, Kind: "Stamp", Name: "web", Incarnation: "aaaaaaaaaaaaaaaa",
			Run: 1, State: jobs.Open, Fence: 3, Seq: 4, Spec: json.RawMessage(`{}`)}
		w.memory.put(job)
		w.send(jobs.LaneWake, &jobs.Message{Type: jobs.Wake, Job: job.ID, Incarnation: job.Incarnation, Run: 1, Seq: 4})
		w.live(time.Hour)
		if now := w.job(job.ID); now.Fence != 3 || now.Claims != 0 || len(w.memory.messages) != 1 {
			t.Fatalf("fence %d, claims %d, %d messages", now.Fence, now.Claims, len(w.memory.messages))
		}
	})
}

func TestAnOutageOfTheQueueOrOfReadsFailsNoJob(t *testing.T) {
	t.Parallel()
	for _, outage := range []string{"send", "families"} {
		t.Run(outage, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				id := w.submit("web", "k", stampSpec{Wait: 20 * time.Second, Children: 2})
				begun := time.Now()
				w.memory.refuse = func(what string) error {
					if since := time.Since(begun); what == outage && since > 5*time.Second && since < 20*time.Minute {
						return &jobs.Error{Class: jobs.Retry, Op: what, Message: "out of order"}
					}
					return nil
				}
				w.run()
				w.wantState(id, jobs.Succeeded)
			})
		})
	}
}

func TestAChildThatNoWorkerWouldTakeFailsItsParent(t *testing.T) {
	t.Parallel()
	for name, child := range map[string]jobs.Child{
		"kind": {Kind: "Boil", Name: "leaf", Spec: json.RawMessage(`{}`)},
		"name": {Kind: "Stamp", Name: "A Leaf", Spec: json.RawMessage(`{}`)},
		"spec": {Kind: "Stamp", Name: "leaf", Spec: json.RawMessage(`{"wait":"x"}`)},
		"size": {Kind: "Stamp", Name: "leaf", Spec: json.RawMessage(`{"x":"` + strings.Repeat("x", jobs.MaxSpec) + `"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.kinds = jobs.NewKinds(stamp{w.memory}, odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step {
					return []jobs.Step{{Name: "fan", Do: func(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
						if turn.Children() != nil {
							return jobs.Done(), nil
						}
						return jobs.FanOut(child), nil
					}}}
				}})
				id := w.order("Odd")
				w.run()
				w.wantState(id, jobs.Failed)
				if len(w.memory.dead) > 0 {
					t.Fatalf("dead letters %v", w.memory.dead)
				}
			})
		})
	}
}

func TestAChildThatIsRetriedIsWaitedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slow, failing := true, true
		w.kinds = jobs.NewKinds(
			odd{name: "Leaf", steps: func(job *jobs.Job) []jobs.Step {
				if job.Name == "slow" && slow {
					return []jobs.Step{step("only", jobs.Wait(time.Second, "the test"), nil)}
				}
				if job.Name == "failing" && failing {
					if job.Run == 1 {
						return []jobs.Step{step("only", jobs.Fail("no"), nil)}
					}
					return []jobs.Step{step("only", jobs.Wait(time.Second, "the test"), nil)}
				}
				return []jobs.Step{step("only", jobs.Done(), nil)}
			}},
			odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step {
				return []jobs.Step{{Name: "fan", Do: func(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
					for _, child := range turn.Children() {
						if child.State != jobs.Succeeded {
							return jobs.Fail("a child is %s", child.State), nil
						}
					}
					if turn.Children() != nil {
						return jobs.Done(), nil
					}
					return jobs.FanOut(jobs.Child{Kind: "Leaf", Name: "slow", Spec: json.RawMessage(`{}`)},
						jobs.Child{Kind: "Leaf", Name: "failing", Spec: json.RawMessage(`{}`)}), nil
				}}}
			}})
		id := w.order("Odd")
		w.live(20 * time.Second)
		var leaf string
		for row := range w.memory.rows {
			if strings.HasPrefix(row, "leaf-failing-") {
				leaf = row
			}
		}
		w.wantState(leaf, jobs.Failed)
		w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Reopen, Job: leaf, Run: 1})
		w.live(10 * time.Second)
		slow = false
		w.live(time.Minute)
		w.wantState(id, jobs.Open)
		failing = false
		w.run()
		w.wantState(id, jobs.Succeeded)
	})
}

// live lets one worker live for a while.
func (w *world) live(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Installation: "test", Log: quiet})
	jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: w.memory, Slots: 4, Log: quiet}).Run(ctx)
}
