package rig_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/rig"
)

// poor is an account with few servers a second, of which its workers know.
func poor(c *rig.Config, size, refill float64) {
	c.Endpoint.EC2.Limits = map[string]ec2.Limit{"RunInstances resources": {Size: size, Refill: refill}}
	c.Worker = func(w *config.Worker) {
		w.Headroom, w.Limits = 0, []string{fmt.Sprintf("RunInstances:resources=%g/%g", size, refill)}
	}
}

// Thirty servers are asked of three pools in turn: 30, 18 and 7 tokens of a bucket that holds forty.
func lineStory() rig.Story {
	story := launchStory()
	poor(&story.Config, 40, 1)
	check := story.Check
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if n := r.EC2().Throttled(); n > 0 {
			return fmt.Errorf("EC2 refused %d calls: a grant was used twice, or before its time", n)
		}
		return check(r, ended)
	}
	return story
}

func TestALaunchInLineSurvivesADeathAtEveryCallAndUsesEachGrantOnce(t *testing.T) {
	t.Parallel()
	everyDeath(t, lineStory())
}

func TestALaunchInLineSurvivesLostAnswersToItsBudgetsAndLaunches(t *testing.T) {
	if testing.Short() {
		t.Skip("its deaths are tried with -short")
	}
	t.Parallel()
	story := lineStory()
	// What is sent again because its answer was lost takes its tokens again: EC2 may refuse it then.
	check := launchStory().Check
	story.Check = check
	everyCallTo(t, story, lostAnswer, 12, "dynamodb:UpdateItem", "ec2:RunInstances")
}

func TestManyWorkersNeverDrainABucketBehindEachOthersBacks(t *testing.T) {
	t.Parallel()
	w := wire{fault: func(r *api.Request) localaws.Fault {
		if r.Action == "UpdateItem" {
			return localaws.Fault{DelayAnswer: 40 * time.Millisecond} // so that one worker's write meets another's
		}
		return localaws.Fault{}
	}}
	c := rig.Config{}
	poor(&c, 10, 0.5)
	c.Endpoint.Intercept = w.intercept
	installed(t, c, func(b *bubble) {
		for range 6 {
			b.worker(nil)
		}
		var ids []string
		for i := range 40 {
			ids = append(ids, b.submit(fmt.Sprint(i), fmt.Sprintf(`
kind: Launch
name: fleet-%02d
spec: {image: %s, count: %d, pools: [{types: [m7g.large]}]}
`, i, arm64(), 1+i%4)))
		}
		for _, id := range ids {
			b.ends(id, jobs.Succeeded)
		}
		if n := b.EC2().Throttled(); n > 0 {
			t.Errorf("EC2 refused %d calls", n)
		}
	})
}

func TestAnUrgentLaunchPassesALineOfLowOnes(t *testing.T) {
	t.Parallel()
	c := rig.Config{}
	poor(&c, 60, 1)
	installed(t, c, func(b *bubble) {
		b.worker(nil)
		b.worker(nil)
		var low []string
		for i := range 20 {
			low = append(low, b.submit(fmt.Sprint(i), fmt.Sprintf("kind: Launch\nname: low-%02d\npriority: low\nspec: {image: %s, count: 10, pools: [{types: [m7g.large]}]}\n", i, arm64())))
		}
		time.Sleep(20 * time.Second)
		begun := time.Now()
		b.ends(b.submit("urgent", fmt.Sprintf("kind: Launch\nname: urgent\npriority: high\nspec: {image: %s, count: 10, pools: [{types: [m7g.large]}]}\n", arm64())), jobs.Succeeded)
		if took := time.Since(begun); took > time.Minute { // ten tokens at 15/16 a second, a boot and ticks
			t.Errorf("ten urgent servers took %s behind a line of 200", took)
		}
		for _, id := range low {
			b.ends(id, jobs.Succeeded)
		}
		if n := b.EC2().Throttled(); n > 0 {
			t.Errorf("EC2 refused %d calls", n)
		}
	})
}
