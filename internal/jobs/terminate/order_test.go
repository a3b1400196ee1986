package terminate_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/launchtest"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/terminate"
)

// watched is an EC2 whose terminations a test takes in hand.
type watched struct {
	*launchtest.World
	terminate func(ctx context.Context, ids []string) error
}

func (w watched) Terminate(ctx context.Context, ids ...string) error { return w.terminate(ctx, ids) }

// watch gives a fleet of twenty servers, whose terminations go through the function.
func watch(t *testing.T, do func(w *launchtest.World, ctx context.Context, ids []string) error) *launchtest.World {
	w := newWorld(t)
	fleetOf20(t, w)
	terminates(w, func(ctx context.Context, ids []string) error { return do(w, ctx, ids) })
	return w
}

// terminates lets the terminations of the world's workers go through the function.
func terminates(w *launchtest.World, do func(ctx context.Context, ids []string) error) {
	ec2 := watched{w, do}
	w.Kinds["Terminate"] = terminate.New(terminate.Config{
		EC2:          func(jobs.Target) terminate.Servers { return ec2 },
		TargetGroups: func(jobs.Target) terminate.TargetGroups { return w },
		Ledger:       w, Callback: w,
	})
}

func TestServersLeaveTheirTargetGroupsBeforeTheyGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, func(w *launchtest.World, ctx context.Context, ids []string) error {
			for _, id := range ids {
				if w.Targets[id] != "" {
					t.Errorf("%s is terminated while it is a target", id)
				}
			}
			return w.Terminate(ctx, ids...)
		})
		id := w.Submit("Terminate", "down", "1", `{"fleet": "web", "to": 12}`)
		w.Run()
		w.WantState(id, jobs.Succeeded)
	})
}

func TestACancelTakesNothingBackThatWasTerminated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		id := ""
		var told []string
		w := watch(t, func(w *launchtest.World, ctx context.Context, ids []string) error {
			w.Cancel(id)
			time.Sleep(5 * time.Second) // for it to be received
			told = append(told, ids...)
			return w.Terminate(ctx, ids...)
		})
		id = w.Submit("Terminate", "down", "1", `{"fleet": "web", "to": 12}`)
		w.Run()
		w.WantState(id, jobs.Cancelled)
		if len(told) != 8 {
			t.Fatalf("%d servers were terminated before the cancel, want 8", len(told))
		}
		for _, server := range w.Holders("web") {
			if slices.Contains(told, server.InstanceID) && server.State != ledger.Leaving {
				t.Errorf("ordinal %d is %s, and EC2 was told to terminate its server", server.Ordinal, server.State)
			}
		}
	})
}

func TestAServerThatEC2DoesNotShowYetIsNotForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shown := time.Now().Add(4 * time.Minute)
		w := newWorld(t)
		terminates(w, func(ctx context.Context, ids []string) error {
			if time.Now().Before(shown) {
				return nil // EC2 does not know them: that does not prove them gone
			}
			return w.Terminate(ctx, ids...)
		})
		up := w.Submit("Launch", "web", "up", `{"image": "web", "count": 20, "pools": [{"types": ["m7g.large"]}]}`)
		down := ""
		w.After(30*time.Second, func() {
			w.SetLag(time.Until(shown))
			down = w.Submit("Terminate", "down", "1", `{"fleet": "web", "to": 12}`)
		})
		w.Run()
		w.WantState(down, jobs.Succeeded)
		if ended := w.WantState(up, jobs.Succeeded).Ended; !ended.Before(w.Job(down).Created) {
			t.Error("the launch was not over when EC2 began to lag; the test shows nothing")
		}
		w.WantFleet("web", between(0, 11)...)
	})
}
