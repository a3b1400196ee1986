package jobs_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// counted is a queue that counts the receives that bring something.
type counted struct {
	*memory
	mu       sync.Mutex
	receives map[jobs.Lane]int
}

func (c *counted) Receive(ctx context.Context, lane jobs.Lane, most int, wait time.Duration) ([]jobs.Received, error) {
	received, err := c.memory.Receive(ctx, lane, most, wait)
	if len(received) > 0 {
		c.mu.Lock()
		c.receives[lane]++
		c.mu.Unlock()
	}
	return received, err
}

func TestMessagesThatTrickleInComeSeveralAReceiveButUrgentOnesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const each = 20
		for i := range each {
			for _, lane := range []jobs.Lane{jobs.LaneHigh, jobs.LaneWake} {
				w.memory.messages = append(w.memory.messages, &queued{id: fmt.Sprint(lane, i), lane: lane, body: []byte(`{`),
					visible: time.Now().Add(time.Duration(i) * 10 * time.Millisecond)})
			}
		}
		queue := &counted{memory: w.memory, receives: map[jobs.Lane]int{}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds, Log: quiet})
		jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: queue, Log: quiet}).Run(ctx)
		if left := len(w.memory.messages); left > 0 {
			t.Errorf("%d messages are left", left)
		}
		if n := queue.receives[jobs.LaneWake]; n > each/2 {
			t.Errorf("%d wakes took %d receives", each, n)
		}
		if n := queue.receives[jobs.LaneHigh]; n < each-1 {
			t.Errorf("%d urgent messages came by %d receives: some waited for others", each, n)
		}
	})
}
