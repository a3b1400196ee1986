package jobs_test

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// office is budgets that only take back.
type office struct {
	mu    sync.Mutex
	taken []jobs.Grant
}

func (o *office) GiveBack(_ context.Context, grants []jobs.Grant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = append(o.taken, grants...)
}

const bucket = "own/eu-west-1/RunInstances"

var place = jobs.Grant{Bucket: bucket, Requests: 1, Resources: 20, RequestsEnd: 7, ResourcesEnd: 140}

// inLine is what an adapter answers for a call whose turn is to come.
func inLine(until time.Time) error {
	return &jobs.Error{Class: jobs.InLine, Message: "its turn", Until: until}
}

// carried carries one delivery of the message with budgets.
func (w *world) carried(o *office, q *queued) jobs.Outcome {
	engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Budgets: o, Installation: "test", Log: quiet})
	return engine.Deliver(context.Background(), &jobs.Delivery{Received: w.memory.received(q), Token: rand.Text()})
}

func TestAGrantIsSavedWithTheWaitAndThereAtTheNextDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		waits := 0
		w.doing(func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
			booking, ok := jobs.BookingOf(ctx)
			if !ok {
				t.Fatal("a step's context has no booking")
			}
			grant, held := booking.Held(bucket, 20)
			if _, other := booking.Held(bucket, 30); other {
				t.Error("a grant for 20 servers is there for a call that starts 30")
			}
			if held != (waits > 0) {
				t.Errorf("after %d waits a grant is held: %t", waits, held)
			}
			if waits++; waits > 12 { // more often than errors are allowed in a row
				booking.Use(grant)
				return jobs.Done(), nil
			}
			if !held {
				booking.Keep(place)
			}
			return jobs.Move{}, inLine(turn.Now().Add(93 * time.Second))
		})
		begun := time.Now()
		id := w.order("Odd")
		w.run()
		w.wantState(id, jobs.Succeeded)
		if job := w.job(id); len(job.Grants) > 0 || job.Errors > 0 || job.Error != "" {
			t.Errorf("it ended with grants %v and error %q", job.Grants, job.Error)
		}
		if took := time.Since(begun); took > 12*94*time.Second+10*time.Second {
			t.Errorf("twelve waits of 93 s took %s: a turn must not be rounded up to a tick", took)
		}
	})
}

func TestAWaitForALongTurnLooksAgainBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		until := time.Now().Add(time.Hour)
		looks := 0
		w.doing(func(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
			if looks++; turn.Now().Before(until) {
				return jobs.Move{}, inLine(until)
			}
			return jobs.Done(), nil
		})
		w.order("Odd")
		w.run()
		if looks < 12 || looks > 14 {
			t.Errorf("it looked %d times in an hour, want one each five minutes", looks)
		}
	})
}

// A delivery that died after its claim may have made the call: EC2 has taken the tokens then.
func TestAGrantIsNotUsedAgainAfterADeliveryThatEndedWithoutASave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, o := newWorld(t), &office{}
		var held []bool
		w.doing(func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
			booking, _ := jobs.BookingOf(ctx)
			_, ok := booking.Held(bucket, 20)
			if held = append(held, ok); len(held) == 1 {
				booking.Keep(place)
			}
			return jobs.Move{}, inLine(turn.Now().Add(time.Minute))
		})
		id := w.order("Odd")
		w.carried(o, w.memory.messages[0]) // waits, and leaves its grant with the job
		w.memory.mu.Lock()
		row := w.memory.load(id)
		row.Job.Fence, row.Job.Claims, row.Job.Lease = row.Job.Fence+1, 1, time.Now().Add(time.Minute) // a delivery claims, and dies
		w.memory.put(row.Job)
		w.memory.mu.Unlock()
		time.Sleep(3 * time.Minute)
		w.carried(o, w.memory.messages[len(w.memory.messages)-1])
		if !slices.Equal(held, []bool{false, false}) {
			t.Errorf("a grant was held at the deliveries: %v; want none after a death", held)
		}
		if len(o.taken) > 0 {
			t.Errorf("given back, though it may have been used: %v", o.taken)
		}
	})
}

func TestACancelGivesBackWhatTheJobWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, o := newWorld(t), &office{}
		w.doing(func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
			booking, _ := jobs.BookingOf(ctx)
			if _, held := booking.Held(bucket, 20); !held {
				booking.Keep(place)
			}
			return jobs.Move{}, inLine(turn.Now().Add(time.Minute))
		})
		id := w.order("Odd")
		w.carried(o, w.memory.messages[0])
		w.cancelNow(id)
		time.Sleep(2 * time.Minute)
		w.carried(o, w.memory.messages[len(w.memory.messages)-1])
		w.wantState(id, jobs.Cancelled)
		if !slices.Equal(o.taken, []jobs.Grant{place}) {
			t.Errorf("given back: %v; want the one place, once", o.taken)
		}
	})
}
