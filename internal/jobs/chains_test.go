package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestADoubledMessageDiesByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		spec := stampSpec{Wait: 10 * time.Minute}
		id := w.submit("web", "k", spec)
		w.live(5 * time.Second)
		fence := w.job(id).Fence
		for range 3 {
			w.submit("web", "k", spec)
			w.send(jobs.LaneWake, &jobs.Message{Type: jobs.Wake, Job: id, Incarnation: w.job(id).Incarnation, Run: 1})
		}
		w.live(5 * time.Minute)
		if n := len(w.memory.messages); n != 1 {
			t.Errorf("%d messages stand for one job", n)
		}
		if now := w.job(id).Fence; now != fence {
			t.Errorf("stale messages claimed the job %d times", now-fence)
		}
		w.run()
		w.wantState(id, jobs.Succeeded)
	})
}

func TestARedrivenSubmissionIsTheSameJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := &jobs.Message{Type: jobs.Submit, Kind: "Stamp", Name: "web", Spec: json.RawMessage(`{}`)}
		w.send(jobs.LaneNormal, m)
		redriven := w.memory.received(w.take())
		redriven.ID, redriven.OriginalID = "new", "old"
		engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Log: quiet})
		if outcome := engine.Deliver(t.Context(), &jobs.Delivery{Received: redriven, Token: "x"}); !outcome.Delete {
			t.Fatalf("%+v", outcome)
		}
		if w.job(m.JobID("old")).Key != "old" {
			t.Error("the job's key is not its first message's id")
		}
	})
}

func TestAMessageOfANewerSchemaIsLeftToANewerWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.memory.messages = append(w.memory.messages, &queued{id: "newer", lane: jobs.LaneNormal, body: []byte(`{"schema":2,"type":"rejoice","at":"once"}`)})
		w.live(time.Hour)
		if len(w.memory.messages) != 1 || len(w.memory.dead) > 0 {
			t.Fatalf("%d messages are left, dead letters %v", len(w.memory.messages), w.memory.dead)
		}
	})
}

// fullGrave is a queue whose dead letters cannot be reached at first.
type fullGrave struct {
	*memory
	refusals int
}

func (f *fullGrave) DeadLetter(ctx context.Context, r jobs.Received, reason string) error {
	if f.refusals > 0 {
		f.refusals--
		if len(f.memory.messages) != 1 {
			return errors.New("the message is gone before its dead letter")
		}
		return errors.New("not now")
	}
	return f.memory.DeadLetter(ctx, r, reason)
}

func TestAMessageStaysUntilItsDeadLetterIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.memory.messages = append(w.memory.messages, &queued{id: "poison", lane: jobs.LaneNormal, body: []byte(`{`)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Log: quiet})
		jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: &fullGrave{w.memory, 2}, Log: quiet}).Run(ctx)
		if len(w.memory.dead) != 1 || len(w.memory.messages) > 0 {
			t.Fatalf("dead letters %v, %d messages are left", w.memory.dead, len(w.memory.messages))
		}
	})
}

func TestWakesHaveALaneOfTheirOwn(t *testing.T) {
	t.Parallel()
	for priority, want := range map[jobs.Priority]jobs.Lane{jobs.High: jobs.LaneHigh, jobs.Normal: jobs.LaneWake, jobs.Low: jobs.LaneWake, "": jobs.LaneWake} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.send(jobs.SubmitLane(priority), &jobs.Message{Type: jobs.Submit, Kind: "Stamp", Name: "web", Key: "k", Priority: priority,
				Spec: json.RawMessage(`{"wait":60000000000}`)})
			w.live(5 * time.Second)
			if wake := w.take(); wake.lane != want {
				t.Errorf("the wake of a job of priority %q is on %s, want %s", priority, wake.lane, want)
			}
		})
	}
}

func TestADrainingWorkerFinishesItsStepsAndHandsTheRestBackAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.doing(func(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
			select {
			case <-ctx.Done():
				t.Error("the step is cut off")
				return jobs.Move{}, ctx.Err()
			case <-time.After(10 * time.Second):
				return jobs.Done(), nil
			}
		})
		first := w.order("Odd")
		w.send(jobs.LaneNormal, &jobs.Message{Type: jobs.Submit, Kind: "Odd", Name: "second", Key: "k", Spec: json.RawMessage(`{}`)})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		drained := time.Now().Add(3 * time.Second)
		engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Log: quiet})
		jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: w.memory, Slots: 1, Log: quiet}).Run(ctx)
		w.wantState(first, jobs.Succeeded)
		if back := w.take(); back.visible.After(drained.Add(time.Second)) {
			t.Errorf("what was not begun is hidden until %s after the drain", back.visible.Sub(drained))
		}
	})
}
