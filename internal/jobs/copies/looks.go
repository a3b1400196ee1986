package copies

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// When to look at what takes AWS minutes (aws-facts "Times seen in the field"): at first when it is likely to be done soon, as
// the versions before this one tell, then after a part of its age, so that it is noticed late in proportion to what it took.
const (
	// firstLook is for the first copy of an image: one takes about 20 minutes.
	firstLook = 5 * time.Minute
	// A look comes when the thing has become older by a thirtieth, in steps of common ticks.
	lookPart                 = 30
	lookStep                 = 15 * time.Second
	shortestLook, seldomLook = lookStep, time.Minute
	// LongestLook is how long nobody looks at all, whatever is usual: what became small is not waited for in vain.
	LongestLook = 5 * time.Minute
	// EventCompany is how long the event of an AMI may wait for others, so that one call serves their jobs.
	EventCompany = 1500 * time.Millisecond
	// lookSlack is by how much a look may be early, since a wait's end goes to the nearest tick.
	lookSlack = 8 * time.Second
	// Young is the age at which nothing can be done yet.
	Young = 5 * time.Second
)

// To is under what name it is known how long copies to the place's region take, whoever owns them.
func To(place string) string {
	_, region := l.SplitPlace(place)
	return "copy " + region
}

// Looks says when to look at an AMI that is being made.
type Looks struct {
	// Usual is how long things took before, by their names.
	Usual map[string]l.Usual
	Pace  func(time.Duration) time.Duration
}

// next is when to look.
func (k Looks) next(made AMI, what string, first time.Duration) time.Time {
	last, early := made.Begun, k.Early(what, first)
	if made.Looked.After(last) {
		last = made.Looked
	}
	if rest := made.Begun.Add(early).Sub(last); rest > 0 {
		return last.Add(min(rest, k.Pace(LongestLook)))
	}
	pause := last.Sub(made.Begun) / lookPart
	return last.Add(min(max(pause.Round(k.Pace(lookStep)), k.Pace(shortestLook)), k.Pace(seldomLook)))
}

// Early is after how long it is likely to be done soon.
func (k Looks) Early(what string, first time.Duration) time.Duration {
	if early, known := k.Usual[what].Early(); known {
		return early
	}
	return k.Pace(first)
}

// Due reports whether it is time to look, or something happened.
func (k Looks) Due(ctx context.Context, now time.Time, made AMI, what string, first time.Duration) bool {
	if jobs.KnowsNews(ctx) && now.Sub(made.Begun) >= k.Pace(Young) { // else the news was of what came before it
		return true
	}
	return !now.Add(k.Pace(lookSlack)).Before(k.next(made, what, first))
}

// Until is how long to wait for the next look.
func (k Looks) Until(now time.Time, made AMI, what string, first time.Duration) time.Duration {
	return max(k.next(made, what, first).Sub(now), 0)
}

// Took is how long something took that is seen done now: it was done between the last look and this one, or just now where
// news came of it. Where nobody looked before, it is put low, so that the next first look comes earlier.
func Took(ctx context.Context, now, begun, looked time.Time) time.Duration {
	age := now.Sub(begun)
	switch {
	case jobs.KnowsNews(ctx):
		return age
	case looked.After(begun):
		return age - now.Sub(looked)/2
	}
	return age * 3 / 4
}
