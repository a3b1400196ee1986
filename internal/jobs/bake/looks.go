package bake

import (
	"time"

	"github.com/stampmill/stampmill/internal/jobs/copies"
)

// When to look at what takes AWS minutes where nothing is known of the image (aws-facts "Times seen in the field"); copies
// says when to look again.
const (
	// firstImageLook is for the first version of an image: an AMI takes 4 to 10 minutes.
	firstImageLook          = 4 * time.Minute
	firstBootLook           = 15 * time.Second
	bootLook, laterBootLook = 5 * time.Second, 15 * time.Second
	longBoot                = 2 * time.Minute
	// bootLimit is how long a server may take to come online where the spec does not say.
	bootLimit = 15 * time.Minute
)

// What is usual is known by what it is and where.
func captureIn(region string) string { return "capture " + region }
func bootIn(region string) string    { return "boot " + region }

// looks say when to look at an AMI that is being made.
func (b *program) looks() copies.Looks {
	return copies.Looks{Usual: b.progress.Usual, Pace: b.pace}
}

// bootEarly is the age at which the server may be online.
func (b *program) bootEarly(thing string) time.Duration {
	if thing == thingTest {
		return min(b.looks().Early(bootIn(b.region), firstBootLook), b.spec.Builder.Within.Or(bootLimit)/2)
	}
	return b.pace(firstBootLook)
}

// bootWait is how long until the next look: a server is reachable about 25 s after its launch.
func (b *program) bootWait(thing string, age time.Duration) time.Duration {
	switch early := b.bootEarly(thing); {
	case age < early:
		return min(early-age, b.pace(copies.LongestLook))
	case age < b.pace(longBoot):
		return b.pace(bootLook)
	}
	return b.pace(laterBootLook)
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
		note(copies.To(region), copied.Took)
	}
	return all
}
