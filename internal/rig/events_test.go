package rig_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

func TestABakeGoesOnWithinTwoSecondsOfItsAMI(t *testing.T) {
	t.Parallel()
	story := plainBake()
	// Looks come on ticks: none comes just after this.
	story.Config.Endpoint.EC2.ImageMin, story.Config.Endpoint.EC2.ImageMax = 7*time.Minute+6*time.Second, 7*time.Minute+6*time.Second
	installed(t, story.Config, func(b *bubble) {
		b.worker(nil)
		job := b.ends(b.submit("k", story.Spec), jobs.Succeeded)
		made, published := told(job, "made image"), told(job, "published")
		if made.IsZero() || published.IsZero() {
			t.Fatalf("the history tells nothing of the AMI: %v", job.History)
		}
		if late := published.Sub(made) - story.Config.Endpoint.EC2.ImageMax; late < 0 || late > 2*time.Second {
			t.Errorf("it was published %s after the AMI was available", late)
		}
	})
}

// told is when the job's history first said so.
func told(job *jobs.Job, text string) time.Time {
	for _, line := range job.History {
		if strings.Contains(line.Text, text) {
			return line.Time
		}
	}
	return time.Time{}
}

func TestABakeThatHearsOfNothingSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	story := plainBake()
	story.Config.NoEvents = true
	everyCall(t, story, 3, deaths...)
}

func TestAClaimThatHasPassedOnAwaitsNothing(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		const key = "000000000000/eu-west-1/ami-01234567"
		waiter := func(run int) jobs.Waiter {
			return jobs.Waiter{Job: "bake-web-a", Incarnation: "one", Run: run, Urgent: true, Company: 1500 * time.Millisecond}
		}
		await := func(fence int64, run int) error {
			return b.User.Store.Await(background, jobs.Guard{Job: "bake-web-a", Incarnation: "one", Fence: fence}, waiter(run), []string{key}, time.Now().Add(time.Hour))
		}
		b.must(await(7, 2))
		if err := await(6, 1); !errors.Is(err, jobs.ErrFenced) {
			t.Errorf("the answer to a claim that has passed on is %v", err)
		}
		b.must(await(7, 2)) // an answer was lost
		waiters, err := b.User.Store.Awaiting(background, []string{key, "000000000000/eu-west-1/ami-nobody"})
		if err != nil || len(waiters) != 1 || waiters[key] != waiter(2) {
			t.Errorf("it is awaited by %v (%v)", waiters, err)
		}
		time.Sleep(2 * time.Hour)
		if waiters, err := b.User.Store.Awaiting(background, []string{key}); err != nil || len(waiters) > 0 {
			t.Errorf("after its time it is awaited by %v (%v)", waiters, err)
		}
	})
}

// A launch awaits no event of its servers, and the rules send none of servers that begin to run.
func TestALaunchOfManyServersIsTheSameWithAndWithoutEvents(t *testing.T) {
	t.Parallel()
	looks := map[bool]int64{}
	for _, deaf := range []bool{false, true} {
		story := launchStory()
		story.Config.NoEvents = deaf
		installed(t, story.Config, func(b *bubble) {
			b.worker(nil)
			b.Endpoint.ResetCalls()
			b.ends(b.submit("k", story.Spec), jobs.Succeeded)
			looks[deaf] = b.Endpoint.Calls()["sqs:DeleteMessageBatch"].Calls
		})
	}
	if looks[false] > looks[true]+1 {
		t.Errorf("messages were deleted in %d calls with events, in %d without", looks[false], looks[true])
	}
}
