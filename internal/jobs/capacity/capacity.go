// Package capacity remembers pools that had no servers to give, so that all workers leave them alone for a while.
//
// A pool that answers with a capacity error is refused for a minute, then twice as long with each further refusal, up to
// ten minutes. When that time is over, one job tries the pool and the others wait for what comes of it: a grant forgets the
// refusals at once. A throttle says nothing of a pool's capacity and is never remembered.
//
// The memory is advice. Losing it costs calls, and never a server: whoever asks a pool does so under a token of its own.
package capacity

import (
	"context"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// Pool is one place where EC2 sells servers: in an account and region, a subnet, a type and a market. Empty fields are the
// launch template's to say.
type Pool struct {
	Target       jobs.Target
	Type, Subnet string
	Spot         bool
	// Template is the launch template and its version, where type or subnet are left to it.
	Template string
}

// Key names the pool in the memory. The region is the target's; targets that name none say the worker's.
func (p Pool) Key() string {
	market := "on-demand"
	if p.Spot {
		market = "spot"
	}
	return strings.Join([]string{p.Target.Role, p.Target.Region, p.Type, p.Subnet, market, p.Template}, "|")
}

// Refusal is what is remembered of a pool. The zero value: nothing is.
type Refusal struct {
	// Times is how often in a row the pool was refused, At the last time, Until from when it is worth another try.
	Times int
	At    time.Time
	Until time.Time
	// Trier tries the pool; until Trial everybody else waits for what comes of it.
	Trier string
	Trial time.Time
}

// How long a refusal is remembered.
const (
	First = time.Minute
	Most  = 10 * time.Minute
	// Trial is how long one job has for its try: about a call's longest time-out.
	Trial = 30 * time.Second
	// Stale is how long after Until a pool that nobody tried counts as never refused.
	Stale = 30 * time.Minute
)

// Memory is shared by all workers.
type Memory interface {
	// Refusals gives what is remembered of the pools, by key; it may be some seconds old.
	Refusals(ctx context.Context, keys []string) (map[string]Refusal, error)
	// Refuse remembers a refusal, unless the pool is refused beyond the instant at which its call began.
	Refuse(ctx context.Context, key string, r Refusal, begun time.Time) error
	// Try lets one job try a refused pool at the instant now, until trial. It may ask again.
	Try(ctx context.Context, key, job string, now, trial time.Time) (bool, error)
	// Forget forgets refusals from before the instant.
	Forget(ctx context.Context, key string, before time.Time) error
}

// Next is the refusal that follows on r. Pace divides its time, for endpoints that run faster than AWS.
func (r Refusal) Next(now time.Time, pace float64) Refusal {
	times := 1
	if !r.staleAt(now) {
		times = r.Times + 1
	}
	lasts := min(First<<min(times-1, 16), Most)
	return Refusal{Times: times, At: now, Until: now.Add(time.Duration(float64(lasts) / max(pace, 1)))}
}

func (r Refusal) staleAt(now time.Time) bool { return r.Times == 0 || now.After(r.Until.Add(Stale)) }

// free is from when the job may try the pool.
func (r Refusal) free(job string) time.Time {
	if r.Trier != job && r.Trial.After(r.Until) {
		return r.Trial
	}
	return r.Until
}
