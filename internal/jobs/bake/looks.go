package bake

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// When to look at what takes AWS minutes (aws-facts "Times seen in the field"): at first when it is likely to be done soon, as
// the versions before this one tell, then after a part of its age, so that it is noticed late in proportion to what it took.
const (
	// firstImageLook and firstCopyLook are for the first version of an image: an AMI takes 4 to 10 minutes, a copy about 20.
	firstImageLook = 4 * time.Minute
	firstCopyLook  = 5 * time.Minute
	firstBootLook  = 15 * time.Second
	// A look comes when the thing has become older by a thirtieth, in steps of common ticks.
	lookPart                 = 30
	lookStep                 = 15 * time.Second
	shortestLook, seldomLook = lookStep, time.Minute
	bootLook, laterBootLook  = 5 * time.Second, 15 * time.Second
	longBoot                 = 2 * time.Minute
	// bootLimit is how long a server may take to come online where the spec does not say.
	bootLimit = 15 * time.Minute
	// longestLook is how long nobody looks at all, whatever is usual: what became small is not waited for in vain.
	longestLook = 5 * time.Minute
	// eventCompany is how long the event of an AMI or of a builder's stop may wait for others, so that one call serves their
	// bakes. That of a server's end may as long as its look: nobody waits for it.
	eventCompany = 1500 * time.Millisecond
	// lookSlack is by how much a look may be early, since a wait's end goes to the nearest tick.
	lookSlack = 8 * time.Second
)

// What is usual is known by what it is and where.
func captureIn(region string) string { return "capture " + region }
func copyTo(region string) string    { return "copy " + region }
func bootIn(region string) string    { return "boot " + region }

// nextLook is when to look at an AMI that is being made.
func (b *program) nextLook(made image, what string, first time.Duration) time.Time {
	last, early := made.Begun, b.early(what, first)
	if made.Looked.After(last) {
		last = made.Looked
	}
	if rest := made.Begun.Add(early).Sub(last); rest > 0 {
		return last.Add(min(rest, b.pace(longestLook)))
	}
	pause := last.Sub(made.Begun) / lookPart
	return last.Add(min(max(pause.Round(b.pace(lookStep)), b.pace(shortestLook)), b.pace(seldomLook)))
}

// early is after how long it is likely to be done soon.
func (b *program) early(what string, first time.Duration) time.Duration {
	if early, known := b.progress.Usual[what].Early(); known {
		return early
	}
	return b.pace(first)
}

// due reports whether it is time to look, or something happened.
func (b *program) due(ctx context.Context, now time.Time, made image, what string, first time.Duration) bool {
	if jobs.KnowsNews(ctx) && now.Sub(made.Begun) >= b.pace(young) { // else the news was of what came before it
		return true
	}
	return !now.Add(b.pace(lookSlack)).Before(b.nextLook(made, what, first))
}

// untilLook is how long to wait for the next look.
func (b *program) untilLook(now time.Time, made image, what string, first time.Duration) time.Duration {
	return max(b.nextLook(made, what, first).Sub(now), 0)
}

// bootEarly is the age at which the server may be online.
func (b *program) bootEarly(thing string) time.Duration {
	if thing == thingTest {
		return min(b.early(bootIn(b.region), firstBootLook), b.spec.Builder.Within.Or(bootLimit)/2)
	}
	return b.pace(firstBootLook)
}

// bootWait is how long until the next look: a server is reachable about 25 s after its launch.
func (b *program) bootWait(thing string, age time.Duration) time.Duration {
	switch early := b.bootEarly(thing); {
	case age < early:
		return min(early-age, b.pace(longestLook))
	case age < b.pace(longBoot):
		return b.pace(bootLook)
	}
	return b.pace(laterBootLook)
}

// took is how long something took that is seen done now: it was done between the last look and this one, or just now where
// news came of it. Where nobody looked before, it is put low, so that the next first look comes earlier.
func took(ctx context.Context, now, begun, looked time.Time) time.Duration {
	age := now.Sub(begun)
	switch {
	case jobs.KnowsNews(ctx):
		return age
	case looked.After(begun):
		return age - now.Sub(looked)/2
	}
	return age * 3 / 4
}

// took is what the next versions learn of this one.
func (b *program) took() map[string]float64 {
	all := map[string]float64{}
	note := func(what string, d time.Duration) {
		if d > 0 {
			all[what] = d.Round(100 * time.Millisecond).Seconds()
		}
	}
	note(captureIn(b.region), b.progress.Image.Took)
	note(bootIn(b.region), b.progress.Test.Took)
	for region, copied := range b.progress.Copies {
		note(copyTo(region), copied.Took)
	}
	return all
}
