package launch_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/launchtest"
)

// counted is a world that counts the launches asked of each subnet.
type counted struct {
	*launchtest.World
	mu    sync.Mutex
	asked map[string]int
}

// of is how often the subnet was asked so far.
func (c *counted) of(subnet string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[subnet]
}

func newCounted(t *testing.T) *counted {
	c := &counted{World: newWorld(t), asked: map[string]int{}}
	config := launch.Config{
		EC2:          func(jobs.Target) launch.EC2 { return c },
		TargetGroups: func(jobs.Target) launch.TargetGroups { return c },
		Parameters:   func(jobs.Target) launch.Parameters { return c },
		Capacity:     c.Refusals(), Ledger: c, Files: c, Callback: c, Region: "eu-west-1",
	}
	c.Kinds = jobs.NewKinds(launch.New(config), launch.NewBatch(config))
	return c
}

func (c *counted) Launch(ctx context.Context, q cloud.LaunchRequest) ([]cloud.Instance, error) {
	granted, err := c.World.Launch(ctx, q)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[q.SubnetID]++
	return granted, err
}

// slots are the worker's of this world: so many calls can be under way before the first answer is known.
const slots = 4

func TestFortyBatchesDoNotAskAnEmptyPoolFortyTimes(t *testing.T) {
	t.Parallel()
	for name, room := range map[string]int{"nothing": 0, "a part of the first batch": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCounted(t)
				c.Capacity["subnet-a"] = room
				id := c.Submit("Launch", "web", "1", spec(4000, `"pools": [{"types": ["m7g.large"], "subnets": ["subnet-a"]}, {"types": ["m7g.large"], "subnets": ["subnet-b"]}]`))
				c.Run()
				c.WantState(id, jobs.Succeeded)
				c.WantFleet("web", upTo(4000)...)
				if asked := c.of("subnet-a"); asked < 1 || asked > slots {
					t.Errorf("the empty pool was asked %d times by 40 batches, want 1 to %d", asked, slots)
				}
				if asked := c.of("subnet-b"); asked > 41 {
					t.Errorf("the other pool was asked %d times, want at most 41", asked)
				}
			})
		})
	}
}

func TestBatchesWaitForRefusedPoolsAndOneTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounted(t)
		c.Capacity["subnet-a"] = 0
		id := c.Submit("Launch", "web", "1", spec(2000, `"pools": [{"types": ["m7g.large"], "subnets": ["subnet-a"]}]`))
		tries := 0
		c.After(70*time.Second, func() {
			tries = c.of("subnet-a")
			delete(c.Capacity, "subnet-a") // there is room again, after one more was refused
		})
		c.Run()
		c.WantState(id, jobs.Succeeded)
		c.WantFleet("web", upTo(2000)...)
		if tries > slots+1 {
			t.Errorf("20 batches asked the empty pool %d times in the first 70 seconds, want at most %d and one", tries, slots)
		}
		if asked := c.of("subnet-a") - tries; asked != 20 {
			t.Errorf("with room again it was asked %d times, want once by each of 20 batches", asked)
		}
		if left := c.Refused.All(); len(left) > 0 {
			t.Errorf("a pool that grants is still remembered: %v", left)
		}
	})
}

func TestALaunchThatIsRefusedEverywhereEndsInMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounted(t)
		for _, subnet := range []string{"subnet-a", "subnet-b", "subnet-c"} {
			c.Capacity[subnet] = 0
		}
		begun := time.Now()
		id := c.Submit("Launch", "web", "1", spec(4000, ""))
		c.Run()
		job := c.WantState(id, jobs.Failed)
		if took := job.Ended.Sub(begun); took < 2*time.Minute || took > 10*time.Minute {
			t.Errorf("it took %s: want each pool to be tried again, and an end", took)
		}
		if !strings.Contains(job.Failure, "0 of 4000") || !strings.Contains(job.Failure, "pool ") && !strings.Contains(job.Failure, "place") {
			t.Errorf("the failure %q does not say why", job.Failure)
		}
		total := 0
		for _, asked := range c.asked {
			total += asked
		}
		if total > 3*(slots+2) {
			t.Errorf("three empty pools were asked %v times in %s", c.asked, job.Ended.Sub(begun))
		}
	})
}

func TestAThrottleIsNeverTakenForMissingCapacity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounted(t)
		c.Throttle = 12
		id := c.Submit("Launch", "web", "1", spec(500, threePools))
		c.Run()
		c.WantState(id, jobs.Succeeded)
		if len(c.Refused.All()) > 0 || c.of("subnet-b")+c.of("subnet-c") > 0 {
			t.Errorf("after throttles alone %v is remembered, and %v was asked", c.Refused.All(), c.asked)
		}
	})
}

func TestPoolsWhereLaunchesDieAreLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounted(t)
		c.Deaths = 3
		id := c.Submit("Launch", "web", "1", spec(30, threePools))
		c.Run()
		c.WantState(id, jobs.Succeeded)
		c.WantFleet("web", upTo(30)...)
		if fmt.Sprint(c.asked) != "map[subnet-a:1 subnet-b:1]" {
			t.Errorf("asked %v: want what died in subnet-a to go to subnet-b", c.asked)
		}
	})
}
