package jobs_test

import (
	"context"
	"errors"
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
