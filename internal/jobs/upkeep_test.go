package jobs_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// shelf is a SweepStore with jobs in long waits and jobs that may be lost.
type shelf struct {
	jobs.SweepStore
	owner string
	due   []jobs.DueJob
	lost  []*jobs.Job
}

func (s *shelf) Lease(_ context.Context, _, owner string, _, _ time.Time) (bool, error) {
	if s.owner == "" {
		s.owner = owner
	}
	return s.owner == owner, nil
}

func (s *shelf) Due(_ context.Context, before time.Time, _ int) (due []jobs.DueJob, err error) {
	for _, job := range s.due {
		if job.Due.Before(before) {
			due = append(due, job)
		}
	}
	return due, nil
}

func (s *shelf) Postpone(_ context.Context, job jobs.DueJob, to time.Time) error {
	for i := range s.due {
		if s.due[i].ID == job.ID {
			s.due[i].Due = to
		}
	}
	return nil
}

func (s *shelf) Page(context.Context, string, int) ([]*jobs.Job, string, error) {
	return s.lost, "", nil
}

func (s *shelf) Rescued(_ context.Context, job *jobs.Job) error {
	job.Rescues++
	return nil
}

func sweeper(s *shelf, m *memory, owner string) *jobs.Sweeper {
	return jobs.NewSweeper(jobs.SweeperConfig{Store: s, Queue: m, Owner: owner, RescueEvery: time.Minute, Log: quiet})
}

func TestRescuesHoldBackWhileAQueueIsBehind(t *testing.T) {
	t.Parallel()
	for backlog, rescues := range map[int]int{99: 1, 100: 0} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			for range backlog {
				w.send(jobs.LaneLow, &jobs.Message{Type: jobs.Nudge, Job: "stamp-other"})
			}
			s := &shelf{lost: []*jobs.Job{{ID: "stamp-web-a", State: jobs.Open, Run: 1, Updated: time.Now().Add(-time.Hour)}}}
			if err := sweeper(s, w.memory, "me").Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := len(w.memory.messages) - backlog; got != rescues {
				t.Errorf("with %d messages waiting %d rescues were sent, want %d", backlog, got, rescues)
			}
		})
	}
}

func TestADueJobIsPostponedOnceItIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		s := &shelf{due: []jobs.DueJob{{ID: "stamp-web-a", Run: 1, Seq: 3, Due: time.Now(), Lane: jobs.LaneWake}}}
		sweeps := sweeper(s, m, "me")
		for range 10 {
			if err := sweeps.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(15 * time.Second)
		}
		if n := len(m.messages); n != 1 {
			t.Errorf("ten sweeps sent %d wakes for one wait", n)
		}
	})
}

func TestARescueBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		s := &shelf{lost: []*jobs.Job{{ID: "stamp-web-a", State: jobs.Open, Run: 1, Updated: time.Now()}}}
		sweeps := sweeper(s, m, "me")
		for range 12 * 60 {
			time.Sleep(time.Minute)
			if err := sweeps.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(m.messages); n != 5 { // after half an hour, one hour, two, four, eight
			t.Errorf("a job that nobody comes to was rescued %d times in twelve hours, want 5", n)
		}
	})
}

func TestOneWorkerSweepsAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		s := &shelf{due: []jobs.DueJob{{ID: "stamp-web-a", Run: 1, Seq: 3, Due: time.Now(), Lane: jobs.LaneWake}}, owner: "another"}
		if err := sweeper(s, m, "me").Sweep(t.Context()); err != nil || len(m.messages) > 0 {
			t.Errorf("%d wakes were sent while another worker sweeps, %v", len(m.messages), err)
		}
	})
}

// busyYard is an estate in which something is made and named at every look at EC2.
type busyYard struct{ *yard }

func (y busyYard) List(ctx context.Context, target jobs.Target) ([]jobs.Thing, error) {
	y.put("i-new", ours("launch-web", "over"))
	things, err := y.yard.List(ctx, target)
	y.named["i-new"] = true
	return things, err
}

// Named is as a read of the table gives it: what is named after it is not in it.
func (y busyYard) Named(context.Context) (map[string]bool, error) { return maps.Clone(y.named), nil }

func TestWhatIsNamedWhileTheReaperLooksIsNoOrphan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := newYard()
		reaper := newReaper(y, newMemory())
		reaper.Estate = busyYard{y}
		if orphans, err := reaper.Reap(t.Context()); err != nil || len(orphans) > 0 {
			t.Fatalf("orphans %+v, %v", orphans, err)
		}
	})
}

// Look-alikes: somebody copied some of our tags. Only the whole set says that a thing is ours.
func TestWhatLacksOneOfOurTagsIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := newYard()
		for tag := range ours("bake-gone", "gone") {
			tags := ours("bake-gone", "gone")
			delete(tags, tag)
			y.put("i-without-"+tag, tags)
		}
		y.put("i-orphan", ours("bake-gone", "gone"))
		reaper := newReaper(y, newMemory())
		for range 3 {
			if _, err := reaper.Reap(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		if len(y.removed) != 1 || !y.removed["i-orphan"] {
			t.Fatalf("removed %v, want the orphan only", y.removed)
		}
	})
}
