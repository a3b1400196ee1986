package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// cancelNow sets the job's cancel flag, as a cancel's delivery does beside the one that works.
func (w *world) cancelNow(id string) {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	row := w.memory.load(id)
	row.Job.Cancel = row.Job.Run
	w.memory.put(row.Job)
}

func TestACancelIsSeenBeforeTheNextStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id, next := "", false
		w.kinds = jobs.NewKinds(odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step {
			return []jobs.Step{
				{Name: "first", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { w.cancelNow(id); return jobs.Done(), nil }},
				{Name: "next", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { next = true; return jobs.Done(), nil }},
			}
		}})
		id = w.order("Odd")
		w.run()
		w.wantState(id, jobs.Cancelled)
		if next {
			t.Error("a step began after the cancel")
		}
	})
}

func TestWhatAStepMadeIsSavedBeforeTheNextBegins(t *testing.T) {
	t.Parallel()
	for _, looks := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			id, made := "", ""
			w.kinds = jobs.NewKinds(odd{name: "Odd", data: func() any { return made }, steps: func(*jobs.Job) []jobs.Step {
				return []jobs.Step{
					{Name: "make", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { made = "i-1"; return jobs.Done(), nil }},
					{Name: "next", Looks: looks, Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
						if kept := w.job(id); string(kept.Data) != `"i-1"` || kept.Step != "next" {
							t.Errorf("when the next step begins (it looks: %v) the item has %s at step %q", looks, kept.Data, kept.Step)
						}
						return jobs.Done(), nil
					}},
				}
			}})
			id = w.order("Odd")
			w.run()
			w.wantState(id, jobs.Succeeded)
		})
	}
}

func TestAStepThatSwallowsALostClaimIsTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id, next := "", false
		w.kinds = jobs.NewKinds(odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step {
			return []jobs.Step{
				{Name: "first", Looks: true, Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
					w.memory.mu.Lock()
					row := w.memory.load(id)
					row.Job.Fence++ // another delivery's claim
					w.memory.put(row.Job)
					w.memory.mu.Unlock()
					if err := turn.Save(ctx); err == nil {
						t.Error("a stale delivery saves")
					}
					return jobs.Done(), nil
				}},
				{Name: "next", Looks: true, Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { next = true; return jobs.Done(), nil }},
			}
		}})
		id = w.order("Odd")
		if outcome := w.deliver(w.take()); outcome.Delete || next {
			t.Errorf("after its claim was lost the delivery came to %+v, next step begun: %v", outcome, next)
		}
	})
}

// late is an EC2 whose one call takes effect minutes after its caller has lost it.
type late struct {
	mu     sync.Mutex
	things []string
}

func (l *late) call() {
	time.AfterFunc(2*time.Minute, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.things = append(l.things, "i-late")
	})
}

// remove removes what is there, and says how many things that were.
func (l *late) remove() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.things)
	l.things = nil
	return n
}

func TestAnUndoLooksForWhatALostCallMakesLate(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(m *memory) error{
		"no answer": func(*memory) error {
			return &jobs.Error{Class: jobs.Retry, Message: "no answer in time", Ambiguous: true}
		},
		"death": func(m *memory) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.isDead = true
			return errDead
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, ec2, id := newWorld(t), &late{}, ""
				w.kinds = jobs.NewKinds(odd{
					name: "Odd",
					steps: func(*jobs.Job) []jobs.Step {
						return []jobs.Step{{Name: "make", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
							ec2.call()
							w.cancelNow(id)
							return jobs.Move{}, lose(w.memory)
						}}}
					},
					undo: func(*jobs.Job) []jobs.Step {
						return []jobs.Step{{Name: "unmake", Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
							return jobs.Unmake(ctx, turn, "the server", func(context.Context) (bool, error) {
								return ec2.remove() == 0, nil
							})
						}}}
					},
				})
				id = w.order("Odd")
				w.run()
				w.wantState(id, jobs.Cancelled)
				time.Sleep(time.Hour)
				if n := ec2.remove(); n > 0 {
					t.Errorf("%d things are left after the undo", n)
				}
			})
		})
	}
}

func TestNoChildIsSentBeforeTheListOfAllIsSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		sent := 0
		w.memory.refuse = func(what string) error {
			w.memory.mu.Lock()
			defer w.memory.mu.Unlock()
			if what != "send" || sent > 0 {
				return nil
			}
			sent++
			for _, list := range w.memory.fans {
				if len(list) == 3 {
					return nil
				}
			}
			return fmt.Errorf("the first child is sent before the list of all is saved: %v", w.memory.fans)
		}
		id := w.submit("web", "k", stampSpec{Children: 3})
		w.run()
		for _, line := range w.job(id).History {
			if strings.Contains(line.Text, "before the list") {
				t.Fatal(line.Text)
			}
		}
	})
}

func TestARetryHasChildrenOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Children: 2, Fail: true})
		w.run()
		w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Reopen, Job: id, Run: 1})
		w.run()
		if n := len(w.memory.rows); w.job(id).Run != 2 || n != 1+2*2 {
			t.Fatalf("%d jobs after run %d, want the parent and two children a run", n, w.job(id).Run)
		}
	})
}

func TestACancelledParentsUnbornChildIsNeverMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		parent := w.submit("web", "k", stampSpec{Children: 1})
		w.finish(w.take())
		var child jobs.Message
		for _, q := range w.memory.messages {
			if err := json.Unmarshal(q.body, &child); err == nil && child.Type == jobs.Submit {
				q.visible = time.Now().Add(time.Hour)
				break
			}
		}
		w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Cancel, Job: parent, Run: 1})
		w.live(15 * time.Minute)
		w.wantState(parent, jobs.Cancelled)
		w.run()
		w.wantState(child.JobID(""), jobs.Cancelled)
		w.wantThings(0)
	})
}
