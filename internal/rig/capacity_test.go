package rig_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/rig"
)

func TestACapacityErrorMovesABakeToTheNextPoolUnderAnotherToken(t *testing.T) {
	t.Parallel()
	var w wire
	c := rig.Config{}
	c.Endpoint.Intercept = w.intercept
	c.Endpoint.EC2.Capacity = []ec2.CapacityRule{{Type: "m7g.large", Capacity: 0}}
	installed(t, c, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("k", strings.Replace(plainBake().Spec, "[m7g.large]", "[m7g.large, m6g.large]", 1)), jobs.Succeeded)
		calls := w.all("ec2:RunInstances")
		if len(calls) != 2 || calls[0].token == calls[1].token || !strings.HasPrefix(calls[0].pool, "m7g") || !strings.HasPrefix(calls[1].pool, "m6g") {
			t.Fatalf("launches %+v: want m7g.large, then m6g.large under another token", calls)
		}
		b.must(oneImage(b.Rig, nil))
	})
}

func TestEachPoolOfALaunchHasItsOwnTokens(t *testing.T) {
	t.Parallel()
	var w wire
	story := launchStory()
	story.Config.Endpoint.Intercept = w.intercept
	installed(t, story.Config, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("k", story.Spec), jobs.Succeeded)
		b.must(thirty(b.Rig))
		pools := map[string]bool{}
		for token, used := range w.tokens() {
			if len(used) != 1 {
				t.Errorf("the token %s was used for the pools %q", token, used)
			}
			pools[used[0]] = true
		}
		if len(pools) < 3 {
			t.Errorf("only the pools %q were asked", keys(pools))
		}
	})
}

func TestAThrottledCallWaitsWithoutASlot(t *testing.T) {
	t.Parallel()
	throttle := true
	w := wire{fault: func(r *api.Request) localaws.Fault {
		if r.Action == "RunInstances" && throttle {
			return throttled()
		}
		return localaws.Fault{}
	}}
	c := rig.Config{Worker: func(c *config.Worker) { c.Slots = 1 }}
	c.Endpoint.Intercept = w.intercept
	installed(t, c, func(b *bubble) {
		b.worker(nil)
		bake := b.submit("k", plainBake().Spec)
		b.until(bake, "throttled", time.Minute, func(job *jobs.Job) bool {
			return job.Wait != nil && strings.Contains(job.Wait.For, "RequestLimitExceeded")
		})
		for range 5 {
			begun := time.Now()
			b.ends(b.submit(begun.Format("150405"), "kind: Ping\nname: hello\nspec: {}\n"), jobs.Succeeded)
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("a Ping beside the throttled bake took %s", took)
			}
			time.Sleep(time.Minute)
		}
		if job := b.job(bake); job.Finished() || !job.Lease.IsZero() || job.Wait == nil {
			t.Errorf("the throttled bake is %s, leased until %s: want it to wait", job.State, job.Lease)
		}
		asked := len(w.all("ec2:RunInstances"))
		if asked > 25 {
			t.Errorf("RunInstances was called %d times in 5 minutes while it was throttled", asked)
		}
		throttle = false
		b.ends(bake, jobs.Succeeded)
		if tokens := w.tokens(); len(tokens) != 1 {
			t.Errorf("a throttle changed the token: %q", keys(tokens))
		}
		b.must(oneImage(b.Rig, nil))
	})
}

func TestHighPriorityGoesFirst(t *testing.T) {
	t.Parallel()
	w := wire{fault: func(r *api.Request) localaws.Fault {
		if r.Action == "PutItem" {
			return localaws.Fault{DelayAnswer: 100 * time.Millisecond}
		}
		return localaws.Fault{}
	}}
	c := rig.Config{Worker: func(c *config.Worker) { c.Slots = 1 }}
	c.Endpoint.Intercept = w.intercept
	installed(t, c, func(b *bubble) {
		var normal, high []string
		for i := range 40 {
			normal = append(normal, b.submit("n"+string(rune('A'+i)), "kind: Ping\nname: hello\nspec: {}\n"))
		}
		b.worker(nil)
		b.until(normal[0], "over", time.Minute, func(*jobs.Job) bool { return true })
		for i := range 8 {
			high = append(high, b.submit("h"+string(rune('A'+i)), "kind: Ping\nname: hello\npriority: high\nspec: {}\n"))
		}
		submitted := time.Now()
		var last time.Time
		for _, id := range high {
			if ended := b.ends(id, jobs.Succeeded).Ended; ended.After(last) {
				last = ended
			}
		}
		overtook := 0
		for _, id := range normal {
			if ended := b.ends(id, jobs.Succeeded).Ended; ended.After(submitted) && ended.Before(last) {
				overtook++
			}
		}
		if overtook > 3 { // the one under way, and a small share, so that nothing starves
			t.Errorf("%d normal jobs ended before 8 urgent ones that were waiting", overtook)
		}
		after := slices.DeleteFunc(normal, func(id string) bool { return !b.job(id).Ended.After(last) })
		if len(after) < 10 {
			t.Errorf("only %d normal jobs were left when the urgent ones came; the test shows nothing", len(after))
		}
	})
}
