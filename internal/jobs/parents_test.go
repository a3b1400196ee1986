package jobs_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// patience is how long a parent may sleep after its last child has ended: until a dead worker's message comes back, and far
// less than until it looks by itself.
const patience = 3 * time.Minute

// A parent looks for its children by itself, too, but seldom: what should have woken it must not be lost to that.
func TestALastChildsEndWakesItsParentWhateverDies(t *testing.T) {
	t.Parallel()
	for _, nudged := range []bool{false, true} {
		for at, calls := 0, 1; at <= calls; at++ {
			for _, after := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.memory.dieAt, w.memory.after = at, after
					parent := w.submit("web", "k", stampSpec{Children: 1})
					if nudged { // an event ends the child's wait of three seconds, and its next delivery, which carries no seq, the child
						go w.nudgeChild()
					}
					w.run()
					if at == 0 {
						calls = w.memory.calls
					}
					w.wantState(parent, jobs.Succeeded)
					child := w.child()
					if slept := w.job(parent).Ended.Sub(child.Ended); slept > patience {
						t.Fatalf("death at call %d (after: %v, nudged: %v): the parent slept for %s after its child's end", at, after, nudged, slept)
					}
				})
			}
		}
	}
}

// nudgeChild sends an event to the child as soon as it waits.
func (w *world) nudgeChild() {
	for range 600 {
		time.Sleep(500 * time.Millisecond)
		w.memory.mu.Lock()
		for id := range w.memory.rows {
			if row := w.memory.load(id); row.Job.Parent != nil && row.Job.Wait != nil && row.Job.State == jobs.Open {
				if err := w.memory.enqueue(jobs.LaneWake, &jobs.Message{Type: jobs.Nudge, Job: id}, 0); err != nil {
					panic(err)
				}
				w.memory.mu.Unlock()
				return
			}
		}
		w.memory.mu.Unlock()
	}
}

// child is the only job that has a parent.
func (w *world) child() *jobs.Job {
	w.t.Helper()
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	for id := range w.memory.rows {
		if row := w.memory.load(id); row.Job.Parent != nil {
			return row.Job
		}
	}
	w.t.Fatal("there is no child")
	return nil
}

// What an undo tidies may have to be tried by children: they are sent once, and their ends are the undo's to read.
func TestAnUndoMayFanOutAndIsGivenItsChildrensEndsOnceWhateverDies(t *testing.T) {
	t.Parallel()
	for at, calls := 0, 1; at <= calls; at++ {
		for _, beside := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				told, asked := 0, 0
				tidy := func(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
					switch children := turn.Children(); {
					case asked > 50: // it would ask for ever
						return jobs.Done(), nil
					case turn.OpenChildren() > 0:
						return jobs.Wait(time.Minute, "the tidying"), nil
					case children == nil:
						asked++
						move := jobs.FanOut(jobs.Child{Kind: "Tidy", Name: "web", Spec: json.RawMessage(`{}`)})
						if beside {
							move = move.Beside()
						}
						return move, nil
					default:
						told = len(children)
						return jobs.Done(), nil
					}
				}
				w.kinds = jobs.NewKinds(odd{name: "Odd", steps: oneStep(jobs.Fail("it cannot be")), undo: func(*jobs.Job) []jobs.Step {
					return []jobs.Step{{Name: "tidy", Do: tidy}, {Name: "release", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { return jobs.Done(), nil }}}
				}}, odd{name: "Tidy", steps: oneStep(jobs.Done())})
				w.memory.dieAt, w.memory.after = at, at%2 == 0
				m := &jobs.Message{Type: jobs.Submit, Kind: "Odd", Name: "web", Key: "k", Spec: json.RawMessage(`{}`)}
				w.send(jobs.LaneNormal, m)
				w.run()
				if at == 0 {
					calls = w.memory.calls
				}
				w.wantState(m.JobID(""), jobs.Failed)
				if told != 1 || w.job(m.JobID("")).Fans != 1 {
					t.Fatalf("death at call %d: the undo was told of %d children, and fanned out %d times", at, told, w.job(m.JobID("")).Fans)
				}
			})
		}
	}
}

// The one order in which nothing but the child's own next message can bring the parent's wake back: an event's delivery that
// begins a long wait, which has no message, stalls before its delete; another one takes the same event, ends the child and
// dies; then the first deletes the event by its old receipt handle, from the dead one's hands.
func TestAnEventThatEndsAChildAndIsDeletedByAnotherStillWakesTheParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		waits := true
		w.kinds = jobs.NewKinds(odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step {
			return []jobs.Step{{Name: "only", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
				if waits {
					return jobs.Wait(time.Hour, "an event"), nil
				}
				return jobs.Done(), nil
			}}}
		}})
		child := &jobs.Message{Type: jobs.Submit, Kind: "Odd", Name: "web", Key: "i-r1-f1-0", Spec: json.RawMessage(`{}`),
			Parent: &jobs.Parent{ID: "odd-parent", Incarnation: "i", Run: 1, Fan: 1, Of: 1}}
		w.send(jobs.LaneWake, child)
		w.finish(w.take())
		w.send(jobs.LaneWake, &jobs.Message{Type: jobs.Nudge, Job: child.JobID("")})

		event := w.take()
		stalled := w.deliver(event) // it waits for an hour again; its delete is still to come
		waits = false
		w.memory.refuse = func(what string) error { // the second worker dies after its save, before the parent's wake
			if what == "families" {
				return errDead
			}
			return nil
		}
		w.deliver(event)
		w.memory.refuse = nil
		if !stalled.Delete || w.job(child.JobID("")).State != jobs.Succeeded {
			t.Fatalf("the stage is not set: %+v, %s", stalled, w.job(child.JobID("")).State)
		}
		w.memory.messages = slices.DeleteFunc(w.memory.messages, func(q *queued) bool { return q == event })

		time.Sleep(time.Minute)
		if len(w.memory.messages) == 1 {
			w.finish(w.take())
		}
		if left := w.memory.messages; len(left) != 1 || !strings.Contains(string(left[0].body), "odd-parent") {
			t.Fatal("the child has ended, its event is deleted, and nothing wakes its parent")
		}
	})
}

// take receives the one message that is there.
func (w *world) take() *queued {
	w.t.Helper()
	if len(w.memory.messages) != 1 {
		w.t.Fatalf("%d messages, want 1", len(w.memory.messages))
	}
	q := w.memory.messages[0]
	q.receives++
	return q
}

// deliver carries a message's delivery, and leaves the message on the queue.
func (w *world) deliver(q *queued) jobs.Outcome {
	engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Installation: "test", Log: quiet})
	return engine.Deliver(context.Background(), &jobs.Delivery{Received: w.memory.received(q), Token: rand.Text()})
}

// finish carries a delivery and deletes its message.
func (w *world) finish(q *queued) {
	w.t.Helper()
	if outcome := w.deliver(q); !outcome.Delete {
		w.t.Fatalf("the delivery of %s ended with %+v", q.body, outcome)
	}
	w.memory.messages = slices.DeleteFunc(w.memory.messages, func(other *queued) bool { return other == q })
}
