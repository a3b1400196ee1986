package jobs

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// Grant is a job's place in the line of a budget. It is saved with the job's wait, and used once when it is due: reserving
// anew at each wake would never end. A crash may waste it; a delivery after one that ended without a save does not use it.
type Grant struct {
	// Bucket names the budget: account, region and action.
	Bucket string `json:"b"`
	// Class is the priority's, Requests and Resources what was asked for.
	Class     budget.Class `json:"c,omitempty"`
	Requests  float64      `json:"q,omitempty"`
	Resources float64      `json:"s,omitempty"`
	// RequestsEnd and ResourcesEnd are where the place ends in each line.
	RequestsEnd  float64 `json:"qe,omitempty"`
	ResourcesEnd float64 `json:"se,omitempty"`
	// Due is when it was to be served, as it was last known: one that is used much later may have lapsed.
	Due time.Time `json:"d,omitzero"`
	// Refused is how often in a row EC2 refused the call though its tokens had come, and After when it is worth the next try.
	Refused int       `json:"r,omitempty"`
	After   time.Time `json:"a,omitzero"`
}

// Place is the grant's, as the budget knows it.
func (g Grant) Place() budget.Place {
	return budget.Place{Ask: budget.Ask{Class: g.Class, Requests: g.Requests, Resources: g.Resources},
		RequestsEnd: g.RequestsEnd, ResourcesEnd: g.ResourcesEnd}
}

// Budgets is what the engine needs of the budgets: to give back what a job will not use.
type Budgets interface {
	// GiveBack returns places, used by nobody. What it does not come to is wasted, never granted twice.
	GiveBack(ctx context.Context, grants []Grant)
}

// ClassFor is the line of a priority.
func ClassFor(p Priority) budget.Class {
	switch p {
	case High:
		return budget.High
	case Low:
		return budget.Low
	}
	return budget.Normal
}

// Booking is the grants of the job whose step makes a call. Adapters find it in the call's context.
type Booking struct {
	mu  sync.Mutex
	job *Job
}

type bookingKey struct{}

// Book is ctx in the name of the job.
func Book(ctx context.Context, job *Job) context.Context {
	return context.WithValue(ctx, bookingKey{}, &Booking{job: job})
}

// BookingOf gives the booking of the job in whose name ctx is; none for the reaper, and for calls that jobs share.
func BookingOf(ctx context.Context) (*Booking, bool) {
	b, ok := ctx.Value(bookingKey{}).(*Booking)
	return b, ok
}

// Class is the line that the job stands in.
func (b *Booking) Class() budget.Class { return ClassFor(b.job.Priority) }

// Held is the job's grant for a call that takes so many resources.
func (b *Booking) Held(bucket string, resources float64) (Grant, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, grant := range b.job.Grants {
		if grant.Bucket == bucket && grant.Resources == resources {
			return grant, true
		}
	}
	return Grant{}, false
}

// Keep adds a grant that is not due yet. It is saved with the wait to which the refused call leads.
func (b *Booking) Keep(grant Grant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.job.Grants = append(slices.Clone(b.job.Grants), grant)
}

// Replace puts what became of a grant in its place.
func (b *Booking) Replace(grant, by Grant) {
	b.Use(grant)
	b.Keep(by)
}

// Use takes a grant out: the call is made now.
func (b *Booking) Use(grant Grant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := slices.Index(b.job.Grants, grant); at >= 0 {
		b.job.Grants = slices.Delete(slices.Clone(b.job.Grants), at, at+1)
	}
}

// longestTurn is for how long a job waits for its turn before it asks again when that comes: others may have left the line,
// and the tokens that it was served sooner must not flow over.
const longestTurn = 5 * time.Minute

// waitTurn is the wait for a budget: exact, since EC2's tokens are lost in a bucket that is full.
func (s *stint) waitTurn(e *Error) Move {
	d := min(max(e.Until.Sub(s.turn.Now()), time.Second), longestTurn)
	s.turn.Job.waited(e.Thing, d)
	move := Wait(d, "%s", e.Message)
	move.exact = true
	return move
}

// release takes the job's grants out, to be given back when the save that says so has been made.
func (s *stint) release() {
	s.released = append(s.released, s.turn.Job.Grants...)
	s.turn.Job.Grants = nil
}

func (s *stint) giveBack(ctx context.Context) {
	if len(s.released) > 0 && s.engine.Budgets != nil {
		s.engine.Budgets.GiveBack(ctx, s.released)
	}
	s.released = nil
}

// waited adds to how long the job has waited for a bucket. The map may be shared with what was saved before.
func (j *Job) waited(bucket string, d time.Duration) {
	all := maps.Clone(j.Waited)
	if all == nil {
		all = map[string]float64{}
	}
	all[bucket] += d.Seconds()
	j.Waited = all
}

// waitedWith adds the waits of children that ran side by side: of each bucket the longest.
func (j *Job) waitedWith(children []ChildResult) {
	longest := map[string]float64{}
	for _, child := range children {
		for bucket, seconds := range child.Waited {
			longest[bucket] = max(longest[bucket], seconds)
		}
	}
	for bucket, seconds := range longest {
		j.waited(bucket, time.Duration(seconds*float64(time.Second)))
	}
}
