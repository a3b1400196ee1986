package jobs_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// slowBeats is a queue that takes its time over the heartbeat's extensions.
type slowBeats struct{ *memory }

func (s slowBeats) Hide(ctx context.Context, r jobs.Received, d time.Duration) error {
	if d == 90*time.Second {
		time.Sleep(3 * time.Second)
	}
	return s.memory.Hide(ctx, r, d)
}

func TestWhatIsHandedBackIsNotHiddenAgainByALateHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kinds = jobs.NewKinds(odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step {
			return []jobs.Step{{Name: "slow", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
				time.Sleep(25 * time.Second)
				return jobs.Done(), nil
			}}}
		}})
		for _, name := range []string{"first", "second"} {
			w.send(jobs.LaneNormal, &jobs.Message{Type: jobs.Submit, Kind: "Odd", Name: name, Key: "k", Spec: json.RawMessage(`{}`)})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second) // a heartbeat of the second is under way
		defer cancel()
		engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Log: quiet})
		jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: slowBeats{w.memory}, Slots: 1, Log: quiet}).Run(ctx)
		if n := len(w.memory.messages); n != 1 {
			t.Fatalf("%d messages are left, want the second", n)
		}
		if later := time.Until(w.memory.messages[0].visible); later > 0 {
			t.Fatalf("what was handed back comes only after another %s", later)
		}
	})
}
