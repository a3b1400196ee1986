// Package budget shares EC2's throttling buckets among all workers: how many calls of an action, and how many servers by it,
// an account may ask for in a region.
//
// A Bucket is the state of one action's tokens, as a GCRA bucket with lines: tokens come at the action's rate; those that
// nobody waits for gather up to the bucket's size; whoever asks for more than there is gets a place in the line of its
// priority, and is served when enough tokens have come. Everything is a function of the state and of the time, so that
// whoever reads the state knows what was served, and nothing needs to be written while tokens flow. The state is a few
// numbers however many wait: a place is a position in the line, kept by whom it belongs to.
//
// A place that was served is used once. One that is lost with its owner wastes its tokens; none grants twice.
package budget

import (
	"fmt"
	"slices"
	"time"
)

// Bucket is one action's tokens in one account and region. The zero value is no bucket: see New.
type Bucket struct {
	// At is up to when tokens have been handed out.
	At       time.Time `json:"at"`
	Requests Tokens    `json:"q"`
	// Resources is nil for actions that take none.
	Resources *Tokens `json:"s,omitempty"`
	// Throttles counts the refusals that moved the bucket, Throttled is when the last one did.
	Throttles int       `json:"n,omitempty"`
	Throttled time.Time `json:"t,omitzero"`
}

// Tokens are those of one dimension: requests, or servers.
type Tokens struct {
	// Level is how many nobody has been promised.
	Level float64       `json:"l"`
	Lines [classes]Line `json:"w"`
	// Factor is what a throttle left of the rate at Learned; from then on it recovers. 0 is 1.
	Factor  float64   `json:"f,omitempty"`
	Learned time.Time `json:"lt,omitzero"`
	// Stray: that throttle was one of its kind, and the rate recovers soon.
	Stray bool `json:"fs,omitempty"`
	// Known is when it was last known how many tokens EC2 had: the bucket was full by our count, or a throttle told.
	Known time.Time `json:"kn,omitzero"`
}

// Ask is what a call takes.
type Ask struct {
	Class     Class
	Requests  float64
	Resources float64
}

// Place is where an ask stands in the lines: the ends of its parts.
type Place struct {
	Ask
	RequestsEnd  float64
	ResourcesEnd float64
}

// New is a full bucket.
func New(limit Limit, now time.Time) Bucket {
	b := Bucket{At: now, Requests: Tokens{Level: limit.Requests.Size, Known: now}}
	if limit.Resources != (Rate{}) {
		b.Resources = &Tokens{Level: limit.Resources.Size, Known: now}
	}
	return b
}

// Clone copies a bucket, its lines included.
func (b Bucket) Clone() Bucket {
	b.Requests = b.Requests.clone()
	if b.Resources != nil {
		resources := b.Resources.clone()
		b.Resources = &resources
	}
	return b
}

func (t Tokens) clone() Tokens {
	for i := range t.Lines {
		t.Lines[i].Holes = slices.Clone(t.Lines[i].Holes)
	}
	return t
}

// Check refuses a state that nobody wrote who follows the rules: the numbers come from a table.
func (b Bucket) Check() error {
	all := []Tokens{b.Requests}
	if b.Resources != nil {
		all = append(all, *b.Resources)
	}
	for _, t := range all {
		if !(t.Level >= -tiny && t.Level <= most) || !(t.Factor >= 0 && t.Factor <= 1) {
			return fmt.Errorf("a level of %g tokens and %g of the rate; expected 0 to %g and 0 to 1", t.Level, t.Factor, most)
		}
		for _, line := range t.Lines {
			if !(line.Served >= 0 && line.Issued >= line.Served-tiny && line.Issued <= most) || len(line.Holes) > maxHoles {
				return fmt.Errorf("a line that is served up to %g of %g, with %d holes", line.Served, line.Issued, len(line.Holes))
			}
			for _, hole := range line.Holes {
				if !(hole[0] <= hole[1] && hole[1] <= line.Issued+tiny) {
					return fmt.Errorf("a hole from %g to %g in a line of %g", hole[0], hole[1], line.Issued)
				}
			}
		}
	}
	return nil
}

// most is more tokens than an account ever takes.
const most = 1e12

// Advance hands out the tokens that have come since. A clock that is behind changes nothing.
func (b *Bucket) Advance(limit Limit, now time.Time) {
	if limit.Resources != (Rate{}) && b.Resources == nil {
		b.Resources = &Tokens{Level: limit.Resources.Size}
	}
	if !now.After(b.At) {
		now = b.At
	}
	b.Requests.advance(limit.Requests, b.At, now)
	if b.Resources != nil {
		b.Resources.advance(limit.Resources, b.At, now)
	}
	b.At = now
}

func (t *Tokens) advance(r Rate, from, to time.Time) {
	t.Level = hand(&t.Lines, t.Level+t.come(r, from, to))
	if t.Level >= r.Size {
		t.Level, t.Known = r.Size, to
	}
}

// Take gives the ask its place, and says when it is served; not after now means that it is.
func (b *Bucket) Take(limit Limit, now time.Time, ask Ask) (Place, time.Time) {
	b.Advance(limit, now)
	place := Place{Ask: ask}
	place.RequestsEnd = b.Requests.join(ask.Class, ask.Requests)
	if b.Resources != nil && ask.Resources > 0 {
		place.ResourcesEnd = b.Resources.join(ask.Class, ask.Resources)
	}
	return place, b.Due(limit, place)
}

// Spare takes up to most requests that nobody waits for, and says how many it got.
func (b *Bucket) Spare(limit Limit, now time.Time, most int) int {
	b.Advance(limit, now)
	got := min(most, int(b.Requests.Level+tiny))
	b.Requests.Level -= float64(got)
	return got
}

func (t *Tokens) join(class Class, tokens float64) (end float64) {
	line := &t.Lines[class]
	line.Issued += tokens
	end = line.Issued
	t.Level = hand(&t.Lines, t.Level)
	return end
}

// Due is when the place is served, if nobody passes it; not after At means that it is.
func (b *Bucket) Due(limit Limit, place Place) time.Time {
	due := b.At.Add(b.Requests.until(limit.Requests, b.At, place.Class, place.RequestsEnd))
	if b.Resources != nil && place.Resources > 0 {
		if d := b.At.Add(b.Resources.until(limit.Resources, b.At, place.Class, place.ResourcesEnd)); d.After(due) {
			due = d
		}
	}
	return due
}

func (t *Tokens) until(r Rate, now time.Time, class Class, end float64) time.Duration {
	tokens := ahead(t.clone().Lines, class, end)
	if tokens <= tiny {
		return 0
	}
	return time.Duration(tokens / t.rate(r, now) * float64(time.Second))
}

// GiveBack returns a place that will not be used, whether it is served or not.
func (b *Bucket) GiveBack(limit Limit, now time.Time, place Place) {
	b.Advance(limit, now)
	b.Requests.giveBack(limit.Requests, place.Class, place.RequestsEnd, place.Requests)
	if b.Resources != nil && place.Resources > 0 {
		b.Resources.giveBack(limit.Resources, place.Class, place.ResourcesEnd, place.Resources)
	}
}

func (t *Tokens) giveBack(r Rate, class Class, end, tokens float64) {
	served := t.Lines[class].giveBack(end, tokens)
	t.Level = min(hand(&t.Lines, t.Level+served), r.Size)
}

// Rates are what comes a second now, as learned.
func (b *Bucket) Rates(limit Limit) (requests, resources float64) {
	requests = b.Requests.rate(limit.Requests, b.At)
	if b.Resources != nil {
		resources = b.Resources.rate(limit.Resources, b.At)
	}
	return requests, resources
}
