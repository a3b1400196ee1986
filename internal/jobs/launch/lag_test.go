package launch_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/launchtest"
)

func TestAPoolGivesWhatItHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.Capacity["subnet-a"], w.Capacity["subnet-b"] = 11, 9
		w.launch("1", spec(30, ""), jobs.Succeeded)
		pools := map[string]int{}
		for _, server := range w.Holders("web") {
			pools[server.SubnetID]++
		}
		if pools["subnet-a"] != 11 || pools["subnet-b"] != 9 || pools["subnet-c"] != 10 {
			t.Errorf("servers by pool %v, want 11, 9 and 10", pools)
		}
	})
}

func TestAServersOrdinalFollowsItsLaunchIndex(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.launch("1", spec(12, ""), jobs.Succeeded)
		for _, server := range w.Holders("web") {
			if index := w.Instance(server.InstanceID).LaunchIndex; index != server.Ordinal {
				t.Errorf("ordinal %d is held by the server with launch index %d, which was told another name", server.Ordinal, index)
			}
		}
	})
}

// watched is an EC2 whose launches a test looks at before they take effect.
type watched struct {
	*launchtest.World
	look func(q cloud.LaunchRequest)
}

func (w watched) Launch(ctx context.Context, q cloud.LaunchRequest) ([]cloud.Instance, error) {
	w.look(q)
	return w.World.Launch(ctx, q)
}

func TestAnAttemptIsSavedBeforeItsCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, calls := newWorld(t), 0
		look := func(q cloud.LaunchRequest) {
			calls++
			for _, job := range w.Jobs() {
				if job.Incarnation != q.InstanceTags[launch.TagBatch] {
					continue
				}
				turn := &jobs.Turn{Job: job}
				if saved := string(job.Data); turn.Token("servers") != q.Token || !strings.Contains(saved, `"attempt":{`) || !strings.Contains(saved, q.SubnetID) {
					t.Errorf("launch in %s under %s while the item has %s and gives %s", q.SubnetID, q.Token, saved, turn.Token("servers"))
				}
			}
		}
		config := launch.Config{
			EC2:          func(jobs.Target) launch.EC2 { return watched{w, look} },
			TargetGroups: func(jobs.Target) launch.TargetGroups { return w },
			Parameters:   func(jobs.Target) launch.Parameters { return w },
			Capacity:     w.Refusals(), Ledger: w, Files: w, Callback: w, Region: "eu-west-1",
		}
		w.Kinds = jobs.NewKinds(launch.New(config), launch.NewBatch(config))
		w.Capacity["subnet-a"], w.Capacity["subnet-b"] = 11, 9
		id := w.Submit("Launch", "web", "1", spec(30, ""))
		w.Run()
		w.WantState(id, jobs.Succeeded)
		if calls != 3 {
			t.Errorf("%d launches were looked at, want 3", calls)
		}
	})
}

// lag is how long EC2 does not show what it has launched; the propagation limit is five minutes.
const lag = 3 * time.Minute

func TestServersThatEC2DoesNotShowYetAreWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.Lag = lag
		w.launch("1", spec(12, ""), jobs.Succeeded)
		w.WantFleet("web", upTo(12)...)
		if n := w.EC2Calls["RunInstances"]; n != 1 {
			t.Errorf("%d launches, want 1: servers that were not to be seen were launched again", n)
		}
	})
}

func TestServersThatEC2DoesNotShowYetAreNotReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, second := newWorld(t), ""
		first := w.Submit("Launch", "web", "1", spec(12, ""))
		w.After(30*time.Second, func() {
			w.SetLag(lag)
			second = w.Submit("Launch", "web", "2", spec(12, ""))
		})
		w.Run()
		w.WantState(second, jobs.Succeeded)
		if ended := w.WantState(first, jobs.Succeeded).Ended; !ended.Before(w.Job(second).Created) {
			t.Error("the first launch was not over when EC2 began to lag; the test shows nothing")
		}
		w.WantFleet("web", upTo(12)...)
		if n := w.EC2Calls["RunInstances"]; n != 1 {
			t.Errorf("%d launches, want 1", n)
		}
	})
}

func TestAnUndoEndsServersThatEC2DoesNotShowYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worldOf{newWorld(t), t}
		w.Lag = lag
		id := w.Submit("Launch", "web", "1", spec(12, ""))
		w.After(20*time.Second, func() { w.Cancel(id) })
		w.Run()
		w.WantState(id, jobs.Cancelled)
		w.WantFleet("web")
	})
}
