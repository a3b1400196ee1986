package integration

import (
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestAShortWaitIsKeptByADelayedMessage(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	job := m.ended(0, m.submit("kind: Ping\nname: a\nspec: {message: hi, wait: 3s}\n")...)[0]
	if took := job.Ended.Sub(job.Created); took < 3*time.Second || took > 30*time.Second {
		t.Errorf("it ended after %s", took)
	}
	m.quiet()
}

func TestALongWaitHasNoMessageAndOutlivesEveryWorker(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	first := m.work("STAMPMILL_SWEEP_INTERVAL=1s")
	id := m.submit("kind: Ping\nname: a\nspec: {wait: 2h}\n")[0]
	due := m.due(id)
	m.until("empty queues", func() bool { return m.messages(visible, inFlight, delayed) == 0 })
	if wait := time.Until(m.job(id).WaitsUntil); wait < 110*time.Minute || wait > 121*time.Minute { // waits end at common instants
		t.Errorf("it waits for another %s", wait)
	}
	first.kill()
	if err := m.Store.Postpone(t.Context(), due, time.Now()); err != nil { // as if two hours had passed
		t.Fatal(err)
	}
	m.work("STAMPMILL_SWEEP_INTERVAL=1s")
	m.until("the wake", func() bool { return m.row(id).Job.Seq > due.Seq })
	m.due(id) // its spec's two hours are not over: it waits on
	m.do("cancel", id)
	m.ended(exitCancelled, id)
	m.quiet()
}

// due waits for the job's entry among the long waits.
func (m *mill) due(id string) (entry jobs.DueJob) {
	m.t.Helper()
	m.until("the due entry of "+id, func() bool {
		due, err := m.Store.Due(m.t.Context(), time.Now().Add(3*time.Hour), 10)
		if err != nil {
			m.t.Fatal(err)
		}
		if len(due) != 1 || due[0].ID != id || !due[0].Due.After(time.Now()) {
			return false
		}
		entry = due[0]
		return true
	})
	return entry
}
