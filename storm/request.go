package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// request is one job that upstream asked for, and what upstream did to it.
type request struct {
	id, kind, name     string
	text               string // the spec file
	message            jobs.Message
	fails              bool   // its spec cannot succeed
	besideATermination bool   // it stands in line with one, which may leave no fleet to it
	change             change // of a fleet
	image              imageWish

	mischief mischief
	// cancelled are the runs that somebody asked to cancel, ended the states in which runs were seen to end.
	cancelled map[int]bool
	ended     map[int]jobs.State
}

// mischief is what upstream does to a job beside submitting it, drawn before anything happens.
type mischief struct {
	byCLI       bool
	priority    jobs.Priority
	repeats     []time.Duration // submissions again, after so long
	cancel      time.Duration   // after so long; negative: never, 0: before the submission
	retry       bool            // when it has failed or was cancelled
	retryTwice  bool
	cancelRetry time.Duration
}

func drawMischief(dice *rand.Rand) mischief {
	within := func(d time.Duration) time.Duration { return 1 + time.Duration(dice.Int64N(int64(d))) }
	m := mischief{cancel: -1, cancelRetry: -1, byCLI: dice.IntN(100) < 15}
	m.priority = []jobs.Priority{jobs.High, jobs.Normal, jobs.Normal, jobs.Normal, jobs.Low}[dice.IntN(5)]
	if dice.IntN(100) < 35 {
		m.repeats = append(m.repeats, within(2*time.Second), within(20*time.Second))
	}
	switch roll := dice.IntN(100); {
	case roll < 3:
		m.cancel = 0
	case roll < 15:
		m.cancel = within(3 * time.Second)
	case roll < 32:
		m.cancel = within(25 * time.Second)
	}
	m.retry = dice.IntN(100) < 65
	m.retryTwice = dice.IntN(100) < 40
	if dice.IntN(100) < 20 {
		m.cancelRetry = within(15 * time.Second)
	}
	return m
}

// request makes a request of a spec file's text.
func (s *storm) request(text string, m mischief) (*request, error) {
	s.mu.Lock()
	number := len(s.requests) + 1
	s.mu.Unlock()
	documents, err := spec.Parse("storm.yaml", []byte(text), s.Folder, nil, cli.Registry())
	if err != nil {
		return nil, err
	}
	d := documents[0]
	r := &request{kind: d.Kind, name: d.Name, text: text, mischief: m, cancelled: map[int]bool{}, ended: map[int]jobs.State{}}
	r.message = jobs.Message{Type: jobs.Submit, Kind: d.Kind, Name: d.Name, Region: d.Region, Spec: d.Spec,
		Priority: m.priority, Key: fmt.Sprintf("storm-%d-%s", number, jobs.NewIncarnation())}
	r.id = r.message.JobID("")
	return r, nil
}

// carry submits the request and does to it what its mischief says, until its last run has ended.
func (s *storm) carry(ctx context.Context, r *request) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what is still to be repeated is not
	if r.mischief.cancel == 0 {
		if err := s.cancel(ctx, r, 1); err != nil {
			return err
		}
	}
	if err := s.submit(ctx, r, r.mischief.byCLI); err != nil {
		return err
	}
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	for _, after := range r.mischief.repeats {
		s.later(ctx, after, func() error { return s.submit(ctx, r, false) })
	}
	if r.mischief.cancel > 0 {
		s.later(ctx, r.mischief.cancel, func() error { return s.cancel(ctx, r, 1) })
	}
	state, err := s.await(ctx, r, 1)
	if err != nil || state == jobs.Succeeded || !r.mischief.retry {
		return err
	}
	times := 1
	if r.mischief.retryTwice {
		times = 2
	}
	for range times {
		if err := s.send(ctx, &jobs.Message{Type: jobs.Reopen, Job: r.id, Run: 1}); err != nil {
			return err
		}
	}
	if r.mischief.cancelRetry > 0 {
		s.later(ctx, r.mischief.cancelRetry, func() error { return s.cancel(ctx, r, 2) })
	}
	_, err = s.await(ctx, r, 2)
	return err
}

// later does something after a while, unless the context ends before.
func (s *storm) later(ctx context.Context, after time.Duration, do func() error) {
	go func() {
		if pause(ctx, after) == nil {
			_ = do() // it insists by itself, and fails only when the context has ended
		}
	}()
}

// submit enqueues the request. An answer that was lost is no harm: the same key is the same job.
func (s *storm) submit(ctx context.Context, r *request, byCLI bool) error {
	if !byCLI {
		return s.send(ctx, &r.message)
	}
	path := filepath.Join(s.Folder, r.id+".yaml")
	if err := os.WriteFile(path, []byte(r.text), 0o600); err != nil {
		return err
	}
	return insist(ctx, func() error {
		_, err := s.Stampmill(ctx, "submit", "--key", r.message.Key, "--priority", string(r.message.Priority), path)
		return err
	})
}

// cancel asks to cancel a run. It is noted before it is sent: from then on the run may end as cancelled.
func (s *storm) cancel(ctx context.Context, r *request, run int) error {
	s.mu.Lock()
	r.cancelled[run] = true
	s.mu.Unlock()
	return s.send(ctx, &jobs.Message{Type: jobs.Cancel, Job: r.id, Run: run})
}

func (s *storm) send(ctx context.Context, m *jobs.Message) error {
	lane := jobs.LaneHigh
	if m.Type == jobs.Submit {
		lane = jobs.SubmitLane(m.Priority)
	}
	return insist(ctx, func() error {
		copied := *m
		return s.app.Queue.Send(ctx, lane, &copied, 0)
	})
}

// await waits until the request's run has ended, and gives how.
func (s *storm) await(ctx context.Context, r *request, run int) (state jobs.State, err error) {
	for {
		row, err := s.app.Store.Load(ctx, r.id)
		if err == nil && row != nil && row.Job != nil && row.Job.Run >= run && row.Job.Finished() {
			s.mu.Lock()
			r.ended[row.Job.Run] = row.Job.State
			s.mu.Unlock()
			return row.Job.State, nil
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
}
