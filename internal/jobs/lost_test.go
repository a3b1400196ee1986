package jobs_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestADeathAfterASaveBetweenStepsIsKnownToTheNextDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var lost []time.Time
		act := func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
			lost = append(lost, turn.Job.Lost)
			if len(lost) > 1 {
				return jobs.Done(), nil
			}
			if err := turn.Save(ctx); err != nil {
				return jobs.Move{}, err
			}
			w.memory.mu.Lock()
			defer w.memory.mu.Unlock()
			w.memory.isDead = true // it made something, and dies before it has saved what
			return jobs.Move{}, errors.New("dead")
		}
		w.kinds["Odd"] = odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step { return []jobs.Step{{Name: "act", Do: act}} }}
		id := w.order("Odd")
		w.run()
		w.wantState(id, jobs.Succeeded)
		if len(lost) != 2 || !lost[0].IsZero() || lost[1].IsZero() {
			t.Fatalf("what may have been lost, by delivery: %v; expected nothing, then an instant", lost)
		}
	})
}
