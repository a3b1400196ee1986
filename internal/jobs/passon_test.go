package jobs_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// PassesOn lets a stamp's children pause with it.
func (*stampProgram) PassesOn(_ string, verb jobs.Verb) bool { return verb == jobs.Pause }

// holding takes the one message whose text has the part out of the queue.
func (w *world) holding(part string) *queued {
	w.t.Helper()
	at := slices.IndexFunc(w.memory.messages, func(q *queued) bool { return strings.Contains(string(q.body), part) })
	if at < 0 {
		w.t.Fatalf("no message has %q", part)
	}
	q := w.memory.messages[at]
	w.memory.messages = slices.Delete(w.memory.messages, at, at+1)
	q.receives++
	return q
}

// An order to a job that does not exist is nobody's: a parent passes it on again once its child is there, and no other one.
func TestAnOrderReachesAChildWhoseSubmissionIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		parent := w.submit("web", "k", stampSpec{Children: 1})
		w.deliver(w.holding(`"submit"`))
		child, wake := w.holding(`"submit"`), w.holding(`"wake"`)
		at := time.Now().UTC().Truncate(time.Millisecond)
		for _, verb := range []jobs.Verb{jobs.Pause, jobs.Approve} {
			w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Ordering, Job: parent, Incarnation: w.job(parent).Incarnation, Run: 1, Verb: verb, At: at})
			w.deliver(w.holding(`"order"`))
		}
		if fan := w.job(parent).Fan; fan.Missing == 0 || !fan.Passed[jobs.Pause].IsZero() {
			t.Fatalf("the parent counts a child as told that is not there: %+v", fan)
		}
		w.deliver(child)
		w.deliver(wake) // stale: the orders' deliveries left another one
		for range 3 {
			if slices.ContainsFunc(w.memory.messages, func(q *queued) bool { return strings.Contains(string(q.body), `"order"`) }) {
				break
			}
			w.deliver(w.holding(parent))
		}
		w.deliver(w.holding(`"order"`))
		if orders := w.child().Orders; len(orders) != 1 || !orders[jobs.Pause].At.Equal(at) {
			t.Errorf("the child was told %v, want the pause of %s alone", orders, at)
		}
		if fan := w.job(parent).Fan; !fan.Passed[jobs.Pause].Equal(at) {
			t.Errorf("the parent does not know that its child was told: %+v", fan)
		}
	})
}
