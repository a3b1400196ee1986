package preflight

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// Budgets tell how EC2's buckets stand, for a plan's times.
type Budgets interface {
	// Now is the bucket of an action in the target's region, and what it is limited to. Kept: somebody called the action before;
	// else it is full.
	Now(ctx context.Context, target jobs.Target, action string) (bucket budget.Bucket, limit budget.Limit, kept bool, err error)
}

// Full are budgets that nobody has taken of: AWS's own where nothing is known.
type Full struct{ Limits budget.Limits }

// Now is a full bucket.
func (f Full) Now(_ context.Context, target jobs.Target, action string) (budget.Bucket, budget.Limit, bool, error) {
	limit := f.Limits.Of(target.Region, action)
	return budget.New(limit, time.Now()), limit, false, nil
}

// Need is what a job will ask of an action's bucket.
type Need struct {
	Action              string
	Region              string
	Requests, Resources float64
}

// Planned is how one bucket stands before a job, and how long that lets the job wait.
type Planned struct {
	Region string `json:"region"`
	Action string `json:"action"`
	Tokens string `json:"tokens"` // requests or servers
	// Needs is how many the job asks for. Level is how many are there, of at most Size; Rate how many come a second now, of Limit.
	Needs float64 `json:"needs"`
	Level float64 `json:"level"`
	Size  float64 `json:"size"`
	Rate  float64 `json:"ratePerSecond"`
	Limit float64 `json:"limitPerSecond"`
	// Ahead is how many are waited for by others of the same priority or a higher one, Behind by those of a lower one.
	Ahead  float64 `json:"waitAhead"`
	Behind float64 `json:"waitBehind"`
	Unused bool    `json:"unused,omitempty"` // nobody has called the action: it is taken for full
	// Seconds until the last of what is needed is granted.
	Seconds float64 `json:"seconds"`
}

// Reckon asks how the needs' buckets stand, and gives them, the one that takes longest first. A bucket that cannot be read is a
// warning, and taken for full.
func Reckon(ctx context.Context, budgets Budgets, target jobs.Target, class budget.Class, needs []Need) (all []Planned, findings []jobs.Finding, err error) {
	for _, need := range needs {
		target.Region = need.Region
		bucket, limit, kept, err := budgets.Now(ctx, target, need.Action)
		if err != nil {
			if ctx.Err() != nil {
				return nil, nil, err
			}
			findings = append(findings, jobs.Finding{Warning: true,
				Message: "the budget of " + need.Action + " in " + need.Region + " could not be read, and is taken for full: " + err.Error()})
			bucket, kept = budget.New(limit, time.Now()), false
		}
		requests, resources := bucket.Forecast(limit, bucket.At, budget.Ask{Class: class, Requests: need.Requests, Resources: need.Resources})
		requestRate, resourceRate := bucket.Rates(limit)
		of := Planned{Region: need.Region, Action: need.Action, Unused: !kept}
		all = append(all, of.with("requests", need.Requests, bucket.Requests, limit.Requests, requestRate, class, requests))
		if bucket.Resources != nil && need.Resources > 0 {
			all = append(all, of.with("servers", need.Resources, *bucket.Resources, limit.Resources, resourceRate, class, resources))
		}
	}
	slices.SortStableFunc(all, func(a, b Planned) int { return int(math.Ceil(b.Seconds) - math.Ceil(a.Seconds)) })
	return all, findings, nil
}

func (p Planned) with(tokens string, needs float64, t budget.Tokens, limit budget.Rate, rate float64, class budget.Class, wait time.Duration) Planned {
	p.Tokens, p.Needs, p.Level, p.Size, p.Rate, p.Limit = tokens, needs, rounded(t.Level), limit.Size, rounded(rate), limit.Refill
	p.Ahead = rounded(t.Ahead(class))
	p.Behind = rounded(t.Ahead(budget.Low)) - p.Ahead
	p.Seconds = rounded(wait.Seconds())
	return p
}

// rounded leaves out what no person reads.
func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

// Waits: the job does not get all of it at once, or somebody stands before it.
func (p Planned) Waits() bool { return p.Seconds > 0 || p.Ahead > 0 }

// Wait is how long it takes, as people say it.
func (p Planned) Wait() string {
	return time.Duration(math.Ceil(p.Seconds) * float64(time.Second)).String()
}

// Name is the bucket's with its limit: RunInstances servers (900 + 1.8/s).
func (p Planned) Name() string {
	return fmt.Sprintf("%s %s (%.4g + %.4g/s)", p.Action, p.Tokens, p.Size, p.Limit)
}

// Text tells how the bucket stands.
func (p Planned) Text() string {
	rate := fmt.Sprintf("%.4g more a second", p.Rate)
	if p.Rate < p.Limit*0.999 {
		rate = fmt.Sprintf("%.4g more a second, of %.4g: EC2 refused a call", p.Rate, p.Limit)
	}
	parts := []string{fmt.Sprintf("%.0f of %.0f %s, %s", math.Floor(p.Level), math.Floor(p.Size), p.Tokens, rate)}
	if p.Unused {
		parts = append(parts, "nobody has used it yet")
	}
	if p.Ahead > 0 {
		parts = append(parts, fmt.Sprintf("%.0f wait ahead", math.Ceil(p.Ahead)))
	}
	if p.Behind > 0 {
		parts = append(parts, fmt.Sprintf("%.0f of lower priority wait", math.Ceil(p.Behind)))
	}
	return p.Action + " in " + p.Region + ": " + strings.Join(parts, "; ")
}
