package rig_test

import (
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

const longPing = "kind: Ping\nname: hello\nspec: {wait: 2h}\n"

// late is how much later than due a long wait may end: a sweep, a tick, and for a dead sweeper its lease.
const late = 6 * time.Minute

func (b *bubble) noMessages() {
	b.t.Helper()
	for _, lane := range jobs.Lanes {
		n, err := b.Messages(background, lane)
		b.must(err)
		if n > 0 {
			b.t.Errorf("%d messages in %s during a long wait", n, lane)
		}
	}
}

func (b *bubble) endsOnTime(id string, begun time.Time) {
	b.t.Helper()
	job := b.ends(id, jobs.Succeeded)
	if took := job.Ended.Sub(begun); took < 2*time.Hour || took > 2*time.Hour+late {
		b.t.Errorf("a wait of 2h took %s", took)
	}
}

func TestALongWaitHasNoMessageAndEndsOnTime(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		begun := time.Now()
		id := b.submit("k", longPing)
		for range 11 {
			time.Sleep(10 * time.Minute)
			b.noMessages()
		}
		b.endsOnTime(id, begun)
	})
}

func TestALongWaitEndsOnTimeThoughItsSweeperDied(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		first := b.worker(nil)
		begun := time.Now()
		id := b.submit("k", longPing)
		time.Sleep(10 * time.Minute) // it has the lease by now
		b.worker(nil)
		time.Sleep(104 * time.Minute)
		b.noMessages()
		first.Kill()
		b.endsOnTime(id, begun)
	})
}

// The sweeper sends the wake and dies before it notes so: the next one sends it again, and the double dies out.
func TestAWakeThatIsSentTwiceDoesNoHarm(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		begun := time.Now()
		line := &rig.Line{}
		line.At = func(_ int, call string) {
			if call == "sqs:SendMessageBatch" && time.Since(begun) > time.Hour {
				line.At = nil
				line.DieAt, line.After = len(line.Calls()), true
			}
		}
		first := b.worker(line)
		id := b.submit("k", longPing)
		time.Sleep(10 * time.Minute)
		b.worker(nil)
		b.endsOnTime(id, begun)
		if !first.Dead() {
			t.Error("the sweeper did not die; the test shows nothing")
		}
	})
}

func TestACancelEndsALongWaitAtOnce(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		id := b.submit("k", longPing)
		time.Sleep(30 * time.Minute)
		b.must(b.Cancel(background, id, 1))
		asked := time.Now()
		job := b.ends(id, jobs.Cancelled)
		if took := job.Ended.Sub(asked); took > 10*time.Second {
			t.Errorf("the cancel took %s", took)
		}
	})
}
