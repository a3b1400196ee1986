package jobs

import (
	"context"
	"sync/atomic"
	"time"
)

// Hold is a delivery's claim while it works: the lease's end, which the heartbeat moves.
type Hold struct {
	Job   string
	Fence int64
	times Times
	until atomic.Int64 // Unix nanoseconds
}

// Until is the lease's end.
func (h *Hold) Until() time.Time { return time.Unix(0, h.until.Load()) }

// Extend moves the lease's end.
func (h *Hold) Extend(until time.Time) { h.until.Store(until.UnixNano()) }

// Times are the durations that hold the protocol together. The lease ends before its message is visible again, and one
// heartbeat extends both.
type Times struct {
	Lease      time.Duration // 60 s
	Visibility time.Duration // 90 s
	Heartbeat  time.Duration // 20 s
	Skew       time.Duration // 5 s: by how much workers' clocks may differ
	Poll       time.Duration // 20 s: long poll
	// Propagation is PropagationLimit, but for endpoints that run faster than AWS.
	Propagation time.Duration
	// Clock is the worker's clock; nil: time.Now.
	Clock func() time.Time
}

// Scaled derives the others from a lease, in the proportions of the defaults.
func (t Times) withDefaults() Times {
	if t.Lease <= 0 {
		t.Lease = 60 * time.Second
	}
	if t.Visibility <= 0 {
		t.Visibility = t.Lease * 3 / 2
	}
	if t.Heartbeat <= 0 {
		t.Heartbeat = t.Lease / 3
	}
	if t.Skew <= 0 {
		t.Skew = min(5*time.Second, t.Lease/12)
	}
	if t.Poll <= 0 {
		t.Poll = 20 * time.Second
	}
	if t.Propagation <= 0 {
		t.Propagation = PropagationLimit
	}
	return t
}

// now is what the worker's clock says.
func (t Times) now() time.Time {
	if t.Clock == nil {
		return time.Now()
	}
	return t.Clock()
}

// call is the longest time-out that one call may have: between two heartbeats the lease always outlasts it.
func (t Times) call() time.Duration { return (t.Lease - t.Heartbeat - t.Skew) * 3 / 4 }

type holdKey struct{}

func withHold(ctx context.Context, h *Hold) context.Context {
	return context.WithValue(ctx, holdKey{}, h)
}

// WithoutClaim is ctx for a call that is made for several jobs: no single one's lease bounds it.
func WithoutClaim(ctx context.Context) context.Context {
	return context.WithValue(ctx, holdKey{}, nil)
}

// CallContext bounds one AWS call. A worker acts only while its lease outlasts the call's time-out: the time-out is cut to
// what the lease's length allows, and where too little is left of the lease the call is refused with an error of class
// Retry. A context without a claim (the CLI, the reaper) gets the time-out only.
func CallContext(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc, error) {
	hold, ok := ctx.Value(holdKey{}).(*Hold)
	if ok {
		timeout = min(timeout, hold.times.call())
		if hold.Until().Sub(hold.times.now()) < timeout+hold.times.Skew {
			return ctx, func() {}, &Error{Class: Retry, Op: "call AWS", Thing: hold.Job,
				Message: "the lease does not outlast the call", Hint: "another delivery carries on"}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	return ctx, cancel, nil
}
