package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// herd is a kind whose jobs await an AMI each, and let its event wait for others. It notes when events woke them.
type herd struct {
	company time.Duration
	mu      sync.Mutex
	woken   map[string][]time.Time // by the job's name
}

type herded struct {
	*herd
	job *jobs.Job
}

func (*herd) Name() string                                  { return "Herd" }
func (*herd) Check(json.RawMessage) error                   { return nil }
func (h *herd) Program(job *jobs.Job) (jobs.Program, error) { return herded{h, job}, nil }
func (herded) Undo() []jobs.Step                            { return nil }
func (herded) Committed() bool                              { return false }
func (herded) Data() any                                    { return nil }
func (herded) Result() any                                  { return nil }
func (h herded) Steps() []jobs.Step {
	return []jobs.Step{{Name: "look", Looks: true, Do: func(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
		if turn.Woken() != "" {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.woken[h.job.Name] = append(h.woken[h.job.Name], time.Now())
			return jobs.Done(), nil
		}
		return jobs.Wait(time.Hour, "it").Awaiting(jobs.Await{ID: amiOf(h.job.Name)}).InCompany(h.company), nil
	}}}
}

func amiOf(name string) string { return "ami-" + name }

// busy is a kind whose one step takes ten seconds in its slot.
type busy struct{ patient }

func (busy) Name() string                              { return "Busy" }
func (b busy) Program(*jobs.Job) (jobs.Program, error) { return b, nil }
func (busy) Steps() []jobs.Step {
	return []jobs.Step{{Name: "toil", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
		time.Sleep(10 * time.Second)
		return jobs.Done(), nil
	}}}
}

// herding is an installation with jobs that await events, and one worker.
type herding struct {
	t      *testing.T
	memory *memory
	herd   *herd
}

func newHerding(t *testing.T, company time.Duration) *herding {
	return &herding{t: t, memory: newMemory(), herd: &herd{company: company, woken: map[string][]time.Time{}}}
}

// worker starts one with so many slots; what it gives drains it.
func (h *herding) worker(slots int) (drain func()) {
	engine := jobs.NewEngine(jobs.EngineConfig{Store: h.memory, Families: h.memory, Sender: h.memory, Kinds: jobs.NewKinds(h.herd, busy{}), Log: quiet,
		Awaits: h.memory, Account: "123456789012", Region: "us-east-1"})
	worker := jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: h.memory, Slots: slots, Log: quiet})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { worker.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

func (h *herding) submit(kind string, priority jobs.Priority, names ...string) {
	h.t.Helper()
	h.memory.mu.Lock()
	defer h.memory.mu.Unlock()
	for _, name := range names {
		m := &jobs.Message{Type: jobs.Submit, Kind: kind, Name: name, Key: "k", Priority: priority, Spec: json.RawMessage(`{}`)}
		if err := h.memory.enqueue(jobs.LaneWake, m, 0); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *herding) happens(names ...string) {
	h.memory.mu.Lock()
	defer h.memory.mu.Unlock()
	for _, name := range names {
		h.memory.enqueueRaw(jobs.LaneWake, []byte(imageEvent(amiOf(name), "available")))
	}
}

// after is how long after the instant the job was woken.
func (h *herding) after(since time.Time, name string) time.Duration {
	h.t.Helper()
	h.herd.mu.Lock()
	defer h.herd.mu.Unlock()
	if len(h.herd.woken[name]) != 1 {
		h.t.Fatalf("%s was woken %d times, want once", name, len(h.herd.woken[name]))
	}
	return h.herd.woken[name][0].Sub(since)
}

func TestEventsThatComeWithinAMomentWakeTheirJobsAtOneInstant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHerding(t, 1500*time.Millisecond)
		h.submit("Herd", jobs.Normal, "00000001", "00000002", "00000003", "00000004")
		defer h.worker(1)()
		time.Sleep(time.Minute)
		begun := time.Now()
		h.happens("00000001")
		time.Sleep(700 * time.Millisecond)
		h.happens("00000002")
		time.Sleep(700 * time.Millisecond)
		h.happens("00000003", "00000003") // once more, as EventBridge may
		time.Sleep(200 * time.Millisecond)
		h.happens("00000004")
		time.Sleep(time.Minute)
		for name, want := range map[string]time.Duration{"00000001": 1500, "00000002": 1500, "00000003": 1500, "00000004": 3100} {
			if got := h.after(begun, name); got != want*time.Millisecond {
				t.Errorf("%s was woken after %s, want %s", name, got, want*time.Millisecond)
			}
		}
	})
}

func TestTheEventOfAnUrgentJobWaitsForNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHerding(t, 1500*time.Millisecond)
		h.submit("Herd", jobs.High, "00000001")
		h.submit("Herd", jobs.Normal, "00000002")
		defer h.worker(4)()
		time.Sleep(time.Minute)
		begun := time.Now()
		h.happens("00000001", "00000002")
		time.Sleep(time.Minute)
		if got := h.after(begun, "00000001"); got > 0 {
			t.Errorf("the urgent job was woken after %s", got)
		}
		if got := h.after(begun, "00000002"); got != 1500*time.Millisecond {
			t.Errorf("the other was woken after %s", got)
		}
	})
}

// Whatever stands before it: the event of an urgent job is next when a slot gets free.
func TestTheEventOfAnUrgentJobRunsBeforeWhatWaitsForASlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHerding(t, 0)
		h.submit("Herd", jobs.High, "00000001")
		defer h.worker(2)()
		time.Sleep(time.Minute)
		begun := time.Now()
		h.submit("Busy", jobs.Low, "a", "b") // they take the slots
		time.Sleep(time.Second)
		h.submit("Busy", jobs.Low, "c", "d", "e", "f")
		h.happens("00000001")
		time.Sleep(5 * time.Minute)
		if got := h.after(begun, "00000001"); got > 10*time.Second {
			t.Errorf("the urgent job went on after %s, want it to be the first at 10s", got)
		}
	})
}

func TestEventsThatWaitForOthersAreHandedBackByAWorkerThatDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHerding(t, 10*time.Second)
		h.submit("Herd", jobs.Normal, "00000001")
		drain := h.worker(4)
		time.Sleep(time.Minute)
		begun := time.Now()
		h.happens("00000001")
		time.Sleep(time.Second)
		drain()
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("draining took %s", took)
		}
		handed := time.Now()
		defer h.worker(4)()
		time.Sleep(time.Minute)
		if got := h.after(handed, "00000001"); got != 10*time.Second {
			t.Errorf("it was woken %s after it was handed back, want the next worker to let it wait 10s", got)
		}
	})
}

func TestAFloodOfAwaitedEventsDoesNotWaitInTheWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHerding(t, 15*time.Second)
		names := make([]string, 250)
		for i := range names {
			names[i] = fmt.Sprintf("%08x", i)
		}
		h.submit("Herd", jobs.Normal, names...)
		defer h.worker(64)()
		time.Sleep(time.Minute)
		begun := time.Now()
		h.happens(names...)
		time.Sleep(time.Minute)
		early := 0
		for _, name := range names {
			if h.after(begun, name) < time.Second {
				early++
			}
		}
		if early != 200 {
			t.Errorf("%d of %d events were delivered at once, want the 200 that fill a call", early, len(names))
		}
	})
}

// What a worker makes of it, the store may say: no event waits for long.
func TestNoEventWaitsLongerForOthersThanItsMessageIsHidden(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHerding(t, 10*time.Minute)
		h.submit("Herd", jobs.Normal, "00000001")
		defer h.worker(1)()
		time.Sleep(time.Minute)
		begun := time.Now()
		h.happens("00000001")
		time.Sleep(10 * time.Minute)
		if got := h.after(begun, "00000001"); got > 15*time.Second {
			t.Errorf("it was woken after %s", got)
		}
	})
}
