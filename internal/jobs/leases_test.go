package jobs_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// doing is a kind of one step.
func (w *world) doing(do func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error)) {
	w.kinds = jobs.NewKinds(odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step { return []jobs.Step{{Name: "only", Do: do}} }})
}

func TestALeaseEndsBeforeItsMessageIsVisible(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := ""
		w.doing(func(context.Context, *jobs.Turn) (jobs.Move, error) {
			for range 5 * 60 {
				time.Sleep(time.Second)
				w.memory.mu.Lock()
				lease, visible := w.memory.load(id).Job.Lease, w.memory.messages[0].visible
				w.memory.mu.Unlock()
				if !lease.After(time.Now()) {
					t.Errorf("the lease ran out at %s while its step was worked on", lease)
					break
				}
				if !lease.Before(visible) {
					t.Errorf("the lease ends at %s, the message is visible at %s", lease, visible)
					break
				}
			}
			return jobs.Done(), nil
		})
		id = w.order("Odd")
		w.run()
		w.wantState(id, jobs.Succeeded)
	})
}

func TestALeaseIsNotTakenWithinTheSkewOfItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.doing(func(context.Context, *jobs.Turn) (jobs.Move, error) { return jobs.Done(), nil })
		id := "odd-web-aaaaaaaaaaaaaaaa"
		w.memory.put(&jobs.Job{ID: id, Schema: 1, Kind: "Odd", Name: "web", Incarnation: "i", Run: 1, Seq: 1, State: jobs.Open, Spec: json.RawMessage(`{}`),
			Fence: 1, Claims: 1, Delivery: "another", Lease: time.Now().Add(time.Minute)})
		w.send(jobs.LaneWake, &jobs.Message{Type: jobs.Wake, Job: id, Incarnation: "i", Run: 1, Seq: 1})
		wake := w.take()
		for _, c := range []struct {
			after time.Duration
			taken bool
		}{{59 * time.Second, false}, {4 * time.Second, false}, {3 * time.Second, true}} { // of another's clock 5 s are allowed
			time.Sleep(c.after)
			if outcome := w.deliver(wake); outcome.Delete != c.taken {
				t.Fatalf("%s after the lease's end the delivery came to %+v", time.Since(w.job(id).Lease), outcome)
			}
		}
	})
}

func TestAHeartbeatThatIsFencedEndsTheDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id, ended := "", false
		w.doing(func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
			if turn.Job.Fence > 1 {
				return jobs.Done(), nil
			}
			w.memory.mu.Lock()
			row := w.memory.load(id)
			row.Job.Fence++ // another delivery's claim
			w.memory.put(row.Job)
			w.memory.mu.Unlock()
			select {
			case <-ctx.Done():
				ended = true
			case <-time.After(5 * time.Minute):
			}
			return jobs.Move{}, jobs.ErrFenced
		})
		id = w.order("Odd")
		w.run()
		if !ended {
			t.Fatal("the delivery went on for minutes after its claim had passed on")
		}
	})
}

func TestACallIsMadeOnlyIfTheLeaseOutlastsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.doing(func(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
			lease := time.Now().Add(time.Minute)
			for _, c := range []struct {
				after   time.Duration
				refused bool
			}{{0, false}, {44 * time.Second, false}, {2 * time.Second, true}} { // 10 s of the call and 5 s of skew
				time.Sleep(c.after)
				call, cancel, err := jobs.CallContext(ctx, 10*time.Second)
				deadline, bounded := call.Deadline()
				cancel()
				if (err != nil) != c.refused || (err == nil && (!bounded || deadline.After(lease))) {
					t.Errorf("%s before the lease's end: %v, until %s", time.Until(lease), err, deadline)
				}
			}
			return jobs.Done(), nil
		})
		w.order("Odd")
		w.finish(w.take()) // without a heartbeat
	})
}

func TestAJobThatSeemsToKillItsWorkersRunsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var running atomic.Int32
		w.doing(func(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
			killer := turn.Job.Name == "killer"
			if n := running.Add(1); killer && n > 1 {
				t.Errorf("%d others run when the killer begins", n-1)
			}
			time.Sleep(10 * time.Second)
			if n := running.Add(-1); killer && n > 0 {
				t.Errorf("%d others began beside the killer", n)
			}
			return jobs.Done(), nil
		})
		submit := func(name string) {
			w.send(jobs.LaneNormal, &jobs.Message{Type: jobs.Submit, Kind: "Odd", Name: name, Key: "k", Spec: json.RawMessage(`{}`)})
		}
		id := "odd-killer-aaaaaaaaaaaaaaaa"
		w.memory.put(&jobs.Job{ID: id, Schema: 1, Kind: "Odd", Name: "killer", Incarnation: "i", Run: 1, Seq: 1, State: jobs.Open, Spec: json.RawMessage(`{}`),
			Fence: jobs.SoloClaims, Claims: jobs.SoloClaims})
		submit("before")
		time.AfterFunc(time.Second, func() {
			w.send(jobs.LaneWake, &jobs.Message{Type: jobs.Wake, Job: id, Incarnation: "i", Run: 1, Seq: 1})
		})
		time.AfterFunc(12*time.Second, func() { submit("meanwhile") })
		w.live(time.Minute)
		w.wantState(id, jobs.Succeeded)
		if len(w.memory.messages) > 0 {
			t.Error("the others did not end")
		}
	})
}
