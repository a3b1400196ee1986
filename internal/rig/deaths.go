package rig

import (
	"context"
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
	// Prepare, if not nil, runs before the submission; Meanwhile beside the jobs.
	Prepare   func(r *Rig) error
	Meanwhile func(r *Rig, ids []string)
	// Check judges the end by the endpoint's own truth.
	Check func(r *Rig, ended map[string]*jobs.Job) error
}

// Run lets the story happen with a first worker on the line; when it dies a second one carries on. It gives the calls that
// the first one made.
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
	if s.Meanwhile != nil {
		go s.Meanwhile(r, ids)
	}
	var waited error
	var ended map[string]*jobs.Job
	over := make(chan struct{})
	go func() {
		defer close(over)
		ended, waited = r.Wait(ctx, s.Limit, ids...)
	}()
	select {
	case <-over:
	case <-first.Gone():
		if _, err := r.Start(nil); err != nil {
			return nil, err
		}
		<-over
	}
	if waited != nil {
		return nil, fmt.Errorf("%w\n%s", waited, r.histories(ctx, ids))
	}
	if err := s.Check(r, ended); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, r.histories(ctx, ids))
	}
	return line.Calls(), nil
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
