package jobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// SweepStore is what the sweeper reads and marks.
type SweepStore interface {
	// Lease takes or keeps the named lease for the owner.
	Lease(ctx context.Context, name, owner string, now, until time.Time) (bool, error)
	// Due lists open jobs whose long wait ends before the instant, at most limit.
	Due(ctx context.Context, before time.Time, limit int) ([]DueJob, error)
	// Postpone moves the due entry, so that a wake that stands in a backlog is not sent again each sweep. Only a save removes it.
	Postpone(ctx context.Context, job DueJob, to time.Time) error
	// Page reads a page of all open jobs, in no order. An empty cursor begins; an empty next ends. Items that cannot be read
	// are its error; it comes with those that can.
	Page(ctx context.Context, cursor string, limit int) (page []*Job, next string, err error)
	// Rescued counts a rescue on the job, on condition of its seq, so that the next one waits longer.
	Rescued(ctx context.Context, job *Job) error
}

// DueJob is a job in the index of due jobs.
type DueJob struct {
	ID          string
	Incarnation string
	Run         int
	Seq         int64
	Due         time.Time
	Lane        Lane
}

// SweeperConfig is what a Sweeper is made of.
type SweeperConfig struct {
	Store SweepStore
	Queue interface {
		Sender
		Backlog(ctx context.Context, lane Lane) (int, error)
	}
	// Owner is this worker's id in the sweeper's lease.
	Owner string
	// Interval is how often due jobs are looked for. Default 15 s.
	Interval time.Duration
	// RescueEvery is how often all open jobs are looked through for what was lost outside the protocol. Default 1 h.
	RescueEvery time.Duration
	// RescueAfter is how long a job must be overdue before it counts as lost. Default 30 min.
	RescueAfter time.Duration
	// Behind is the backlog of a lane from which rescues hold back. Default 100.
	Behind int
	// Clock is the worker's clock; nil: time.Now.
	Clock func() time.Time
	Log   *slog.Logger
}

// Sweeper sends long waits when they are due and rescues what a purge or an expiry lost. One worker at a time sweeps, by lease.
type Sweeper struct {
	SweeperConfig
	rescueAt time.Time
}

// NewSweeper makes a sweeper.
func NewSweeper(config SweeperConfig) *Sweeper {
	if config.Interval <= 0 {
		config.Interval = 15 * time.Second
	}
	if config.RescueEvery <= 0 {
		config.RescueEvery = time.Hour
	}
	if config.RescueAfter <= 0 {
		config.RescueAfter = 30 * time.Minute
	}
	if config.Behind <= 0 {
		config.Behind = 100
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	return &Sweeper{SweeperConfig: config}
}

// Run sweeps until the context ends.
func (s *Sweeper) Run(ctx context.Context) {
	timer := time.NewTimer(s.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("cannot sweep", "error", err)
		}
		timer.Reset(s.Interval)
	}
}

// Sweep does one round, if the lease is this worker's.
func (s *Sweeper) Sweep(ctx context.Context) error {
	now := s.Clock()
	mine, err := s.Store.Lease(ctx, "sweeper", s.Owner, now, now.Add(4*s.Interval))
	if err != nil || !mine {
		return err
	}
	if err := s.sendDue(ctx, now); err != nil {
		return err
	}
	if now.Before(s.rescueAt) {
		return nil
	}
	s.rescueAt = now.Add(s.RescueEvery)
	return s.rescue(ctx, now)
}

const (
	// duePage is how many due jobs are listed at once, and duePages how often a sweep does so at most: what is due beyond
	// that is left to the next one, well within the lease.
	duePage, duePages = 1000, 20
	// dueTogether is how many wakes are sent at once, so that they share requests.
	dueTogether = 40
)

// sendDue sends the wakes of the waits that end before the next sweep, each delayed to its instant.
func (s *Sweeper) sendDue(ctx context.Context, now time.Time) error {
	sent := map[DueJob]bool{}
	for range duePages {
		due, err := s.Store.Due(ctx, now.Add(s.Interval), duePage)
		if err != nil {
			return err
		}
		// The index shows late what was postponed.
		fresh := slices.DeleteFunc(slices.Clone(due), func(job DueJob) bool { return sent[job] })
		var group errgroup.Group
		group.SetLimit(dueTogether)
		for _, job := range fresh {
			sent[job] = true
			group.Go(func() error { return s.sendOne(ctx, job, now) })
		}
		if err := group.Wait(); err != nil || len(fresh) < duePage/2 {
			return err
		}
	}
	return nil
}

func (s *Sweeper) sendOne(ctx context.Context, job DueJob, now time.Time) error {
	wake := &Message{Type: Wake, Job: job.ID, Incarnation: job.Incarnation, Run: job.Run, Seq: job.Seq}
	if err := s.Queue.Send(ctx, job.Lane, wake, max(job.Due.Sub(now), 0)); err != nil {
		return err
	}
	return s.Store.Postpone(ctx, job, now.Add(s.RescueAfter))
}

// rescue sends the current seq of open jobs that nothing seems to stand for any more. It backs off per job, and holds back
// while the queues are behind: then a late wake is late, not lost.
func (s *Sweeper) rescue(ctx context.Context, now time.Time) error {
	for _, lane := range Lanes {
		behind, err := s.Queue.Backlog(ctx, lane)
		if err != nil {
			return err
		}
		if behind >= s.Behind {
			s.Log.Info("rescues hold back: the queue is behind", "lane", lane, "messages", behind)
			return nil
		}
	}
	var unread error
	for cursor := ""; ; {
		page, next, err := s.Store.Page(ctx, cursor, 200)
		unread = errors.Join(unread, err)
		for _, job := range page {
			if !s.lost(job, now) {
				continue
			}
			s.Log.Warn("rescues a job whose wake seems lost", "job", job.ID, "step", job.Step, "rescues", job.Rescues)
			wake := &Message{Type: Wake, Job: job.ID, Incarnation: job.Incarnation, Run: job.Run, Seq: job.Seq}
			if err := s.Queue.Send(ctx, WakeLane(job.Priority), wake, 0); err != nil {
				return err
			}
			if err := s.Store.Rescued(ctx, job); err != nil {
				return err
			}
		}
		if cursor = next; cursor == "" {
			return unread
		}
	}
}

func (s *Sweeper) lost(job *Job, now time.Time) bool {
	since := job.Updated
	if job.Wait != nil && job.Wait.Until.After(since) {
		since = job.Wait.Until
	}
	if job.Lease.After(since) {
		since = job.Lease
	}
	return now.Sub(since) > s.RescueAfter<<min(job.Rescues, 8)
}
