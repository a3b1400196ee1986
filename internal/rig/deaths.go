package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// Story is one job's life that is tried with a death at every call.
type Story struct {
	Config Config
	// Spec is submitted under Key; Folder is what its paths are relative to.
	Spec, Folder, Key string
	// Limit is how long the jobs may take in all, in the bubble's time.
	Limit time.Duration
	// Prepare, if not nil, runs before the submission; Meanwhile beside the jobs, until they are over at most.
	Prepare   func(r *Rig) error
	Meanwhile func(ctx context.Context, r *Rig, ids []string)
	// Check judges the end by the endpoint's own truth.
	Check func(r *Rig, ended map[string]*jobs.Job) error
}

// Run lets the story happen with a first worker on the line; when it dies a second one carries on. It gives the calls that
// the first one made until the jobs' end.
func (s Story) Run(ctx context.Context, line *Line) ([]string, error) {
	r, err := New(s.Config)
	if err != nil {
		return nil, err
	}
	calls, err := s.run(ctx, r, line)
	if closed := r.Close(); err == nil {
		err = closed
	}
	return calls, err
}

func (s Story) run(ctx context.Context, r *Rig, line *Line) ([]string, error) {
	if s.Prepare != nil {
		if err := s.Prepare(r); err != nil {
			return nil, err
		}
	}
	first, err := r.Start(line)
	if err != nil {
		return nil, err
	}
	ids, err := r.Submit(ctx, s.Spec, s.Folder, s.Key, nil)
	if err != nil {
		return nil, err
	}
	over, second, left := make(chan struct{}), make(chan error, 1), make(chan struct{})
	defer func() { close(over); <-left }()
	go func() { // the next worker comes when the one before has died or stands still
		defer close(left)
		for before := first; ; {
			select {
			case <-before.Gone():
			case <-before.Frozen():
			case <-over:
				return
			}
			next, err := r.Start(before.Next)
			if err != nil {
				second <- err
				return
			}
			before = next
		}
	}()
	if s.Meanwhile != nil {
		beside, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		defer func() { cancel(); <-done }()
		go func() {
			defer close(done)
			s.Meanwhile(beside, r, ids)
		}()
	}
	ended, err := r.Wait(ctx, s.Limit, ids...)
	select {
	case started := <-second:
		err = errors.Join(err, started)
	default:
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, r.histories(ctx, ids))
	}
	calls := line.Calls()
	if err := s.judge(ctx, r, line, ended); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, r.histories(ctx, ids))
	}
	return calls, nil
}

// judge looks at the end. What took effect late is the reaper's to remove: then the end counts after its grace.
func (s Story) judge(ctx context.Context, r *Rig, line *Line, ended map[string]*jobs.Job) error {
	late := max(line.FreezeFor, line.LateFor)
	if late > 0 {
		time.Sleep(late + time.Minute)
	}
	err := s.Check(r, ended)
	if err != nil && late > 0 {
		c := r.worker()
		time.Sleep(c.ReapGrace + 3*c.ReapInterval)
		err = s.Check(r, ended)
	}
	if err != nil {
		return err
	}
	return r.Quiet(ctx)
}

func (r *Rig) histories(ctx context.Context, ids []string) (text string) {
	for _, id := range ids {
		row, err := r.User.Store.Load(ctx, id)
		if err != nil || row == nil || row.Job == nil {
			text += fmt.Sprintf("%s: nothing (%v)\n", id, err)
			continue
		}
		job := row.Job
		text += fmt.Sprintf("%s: %s, step %s, failure %q, error %q, lost %v\n", id, job.State, job.Step, job.Failure, job.Error, job.Lost)
		for _, l := range job.History {
			text += fmt.Sprintf("  %s %s: %s\n", l.Time.UTC().Format("15:04:05"), l.Step, l.Text)
		}
	}
	return text
}
