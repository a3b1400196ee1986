package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// broom is a SweepStore with pages of open jobs, of which some cannot be read.
type broom struct {
	jobs.SweepStore
	pages   [][]*jobs.Job
	broken  int // the page that has an item nobody can read
	rescued []string
}

func (b *broom) Lease(context.Context, string, string, time.Time, time.Time) (bool, error) {
	return true, nil
}

func (b *broom) Due(context.Context, time.Time, int) ([]jobs.DueJob, error) { return nil, nil }

func (b *broom) Page(_ context.Context, cursor string, _ int) ([]*jobs.Job, string, error) {
	at := len(cursor)
	next := cursor + "x"
	if at+1 == len(b.pages) {
		next = ""
	}
	var err error
	if at == b.broken {
		err = errors.New("one item cannot be read")
	}
	return b.pages[at], next, err
}

func (b *broom) Rescued(_ context.Context, job *jobs.Job) error {
	b.rescued = append(b.rescued, job.ID)
	return nil
}

func TestAnItemThatNobodyCanReadKeepsNoOtherJobFromBeingRescued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost := func(id string) *jobs.Job { return &jobs.Job{ID: id, State: jobs.Open, Run: 1, Updated: time.Now()} }
		b := &broom{pages: [][]*jobs.Job{{lost("ping-web-a")}, {lost("ping-web-b")}}, broken: 0}
		time.Sleep(time.Hour)
		m := newMemory()
		s := jobs.NewSweeper(jobs.SweeperConfig{Store: b, Queue: m, Owner: "me", Log: quiet})
		if err := s.Sweep(t.Context()); err == nil {
			t.Error("the item that cannot be read is told to nobody")
		}
		if len(b.rescued) != 2 || len(m.messages) != 2 {
			t.Fatalf("rescued %v, %d messages; want both", b.rescued, len(m.messages))
		}
	})
}

// calendar is a SweepStore with due jobs, a page a call, whose index shows for one call longer what was postponed.
type calendar struct {
	broom
	mu        sync.Mutex
	due, seen []jobs.DueJob
	postponed map[string]int
}

func (c *calendar) Due(_ context.Context, _ time.Time, limit int) ([]jobs.DueJob, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	page := c.due[:min(len(c.due), limit-len(c.seen))]
	c.due = c.due[len(page):]
	shown := append(slices.Clone(c.seen), page...)
	c.seen = page[:len(page)/4]
	return shown, nil
}

func (c *calendar) Postpone(_ context.Context, job jobs.DueJob, _ time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.postponed[job.ID]++
	return nil
}

func TestAllJobsThatAreDueTogetherAreSentInOneSweepAndEachOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const count = 3500
		c := &calendar{broom: broom{pages: [][]*jobs.Job{nil}, broken: -1}, postponed: map[string]int{}}
		for i := range count {
			c.due = append(c.due, jobs.DueJob{ID: fmt.Sprintf("ping-web-%d", i), Run: 1, Seq: 1, Due: time.Now(), Lane: jobs.LaneWake})
		}
		m := newMemory()
		s := jobs.NewSweeper(jobs.SweeperConfig{Store: c, Queue: m, Owner: "me", Log: quiet})
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(m.messages) != count || len(c.postponed) != count {
			t.Errorf("%d wakes for %d jobs; want one for each of %d", len(m.messages), len(c.postponed), count)
		}
	})
}
