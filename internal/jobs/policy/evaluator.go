package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// LeaseName is the name of the lease by which one worker at a time looks.
const LeaseName = "policies"

const (
	// maxAhead is by how much a tick message may be ahead of this worker's clock, maxBehind after how long nobody means it any
	// more: queues keep messages for at most 14 days.
	maxAhead  = 5 * time.Minute
	maxBehind = 14 * 24 * time.Hour
	// keptRuns is how many runs a policy remembers.
	keptRuns = 10
	// unseen is how long a submission may stand in a queue before it counts as lost to a purge.
	unseen = time.Hour
)

// Config is what an Evaluator is made of.
type Config struct {
	Store      Store
	Leases     Leases
	Rows       Rows
	Sender     jobs.Sender
	Catalog    Catalog
	Fleets     Fleets
	EC2        func(jobs.Target) EC2
	Parameters func(jobs.Target) Parameters
	Restamps   Restamps
	// Region is the worker's own, for targets that name none.
	Region string
	// Owner is this worker's id in the lease.
	Owner string
	// Interval is how often policies are looked at. Default 30 s.
	Interval time.Duration
	// Clock is the worker's clock; nil: time.Now.
	Clock func() time.Time
	Log   *slog.Logger
}

// Evaluator looks at policies and submits what they ask for. It is safe for concurrent use.
type Evaluator struct{ Config }

// New makes an evaluator.
func New(config Config) *Evaluator {
	if config.Interval <= 0 {
		config.Interval = 30 * time.Second
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	return &Evaluator{config}
}

// Run looks until the context ends.
func (e *Evaluator) Run(ctx context.Context) {
	timer := time.NewTimer(e.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := e.Round(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn("cannot look at the policies", "error", err)
		}
		timer.Reset(e.Interval)
	}
}

// Round looks at the policies that are due, if the lease is this worker's. What goes wrong with one keeps no other back.
func (e *Evaluator) Round(ctx context.Context) error {
	now := e.Clock()
	mine, err := e.Leases.Lease(ctx, LeaseName, e.Owner, now, now.Add(4*e.Interval))
	if err != nil || !mine {
		return err
	}
	heads, err := e.Store.Policies(ctx)
	unread, err := jobs.Unread(err)
	if err != nil {
		return err
	}
	var failed []error
	if unread != nil {
		failed = append(failed, unread)
	}
	for _, h := range heads {
		if h.Pending == 0 && (h.Paused || h.Due.IsZero() || h.Due.After(now)) {
			continue
		}
		if err := e.look(ctx, h.Name, time.Time{}); err != nil {
			failed = append(failed, fmt.Errorf("policy %s: %w", h.Name, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failed...)
}

// Tick implements jobs.Ticker: it has the policy looked at, and notes the instant that is meant. The same one again does
// nothing, nor does one of a policy that is not there.
func (e *Evaluator) Tick(ctx context.Context, name string, at time.Time) (refused string, err error) {
	now := e.Clock()
	switch {
	case at.After(now.Add(maxAhead)):
		return fmt.Sprintf(`"at" is %s, which is yet to come; expected the instant at which the message is sent`, at.UTC().Format(time.RFC3339)), nil
	case now.Sub(at) > maxBehind:
		return "", nil
	}
	return "", e.look(ctx, name, at.UTC().Truncate(time.Second))
}

// look sends what is pending, finds out what is due, writes that down and sends it. Where somebody else looked meanwhile,
// that was it.
func (e *Evaluator) look(ctx context.Context, name string, asked time.Time) error {
	p, found, err := e.Store.Policy(ctx, name)
	if err != nil || !found {
		return err
	}
	if p.Pending > 0 {
		if p, err = e.send(ctx, p); err != nil {
			return ignoreChanged(err)
		}
	}
	if p.Paused {
		return nil
	}
	now := e.Clock()
	next := p
	if asked.After(next.Asked) {
		next.Asked = asked
	}
	orders, err := e.decide(ctx, &next, now)
	if err != nil {
		note := clip("it could not be looked at: " + err.Error())
		if note == p.Note && next.Asked.Equal(p.Asked) {
			return err
		}
		p.Note, p.Asked = note, next.Asked // as if it had not been looked at, but for that
		_, put := e.Store.PutPolicy(ctx, p, nil)
		return errors.Join(err, ignoreChanged(put))
	}
	if len(orders) == 0 && unchanged(p, next) {
		return nil
	}
	next, err = e.Store.PutPolicy(ctx, next, orders)
	if err != nil || len(orders) == 0 {
		return ignoreChanged(err)
	}
	_, err = e.send(ctx, next)
	return ignoreChanged(err)
}

// send sends the stored submissions and forgets them. One that was sent before names the same job.
func (e *Evaluator) send(ctx context.Context, p Policy) (Policy, error) {
	pending, err := e.Store.Pending(ctx, p.Name)
	if err != nil {
		return p, err
	}
	for _, m := range pending {
		if err := e.Sender.Send(ctx, jobs.SubmitLane(m.Priority), m, 0); err != nil {
			return p, err
		}
		e.Log.Info("a policy submits a job", "policy", p.Name, "job", m.JobID(""))
	}
	return e.Store.SentPending(ctx, p) // where it was changed, another worker sent them too: whoever looks next carries on
}

// unchanged: a write would say nothing new.
func unchanged(before, after Policy) bool {
	return before.Ticked.Equal(after.Ticked) && before.Checked.Equal(after.Checked) && before.Asked.Equal(after.Asked) &&
		before.Due.Equal(after.Due) && before.Note == after.Note
}

func ignoreChanged(err error) error {
	if errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}
