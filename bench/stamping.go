package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/rig"
)

// stampers is how many workers carry a large launch, all in one bubble of virtual time.
const stampers = 8

// Of RunInstances' resource bucket, aws-facts "EC2 API throttling": what it holds, and what it gets back each second.
const bucketSize, bucketRefill = 1000, 2

// fleet is the document of a launch of plain servers from a public AMI: no settings, no bootstrap.
func fleet(name string, count int, priority jobs.Priority) string {
	return fmt.Sprintf("kind: Launch\nname: %s\npriority: %s\nspec:\n  image: %s\n  count: %d\n  pools: [{types: [m7g.large]}]\n",
		name, priority, base(0), count)
}

// noHeadroom leaves nothing of the limits to other users of the account.
func noHeadroom(c *rig.Config) {
	inner := c.Worker
	c.Worker = func(w *config.Worker) {
		inner(w)
		w.Headroom = 0
	}
}

// stamped is what a large launch took.
type stamped struct {
	seconds float64 // from its submission to its end, of virtual time
	ec2     localaws.Count
}

// stamp launches the servers and counts the calls. Beside it runs disturb, until the launch has ended.
func stamp(k *taking, count int, configure func(*rig.Config), disturb func(ctx context.Context, r *rig.Rig)) (took stamped, err error) {
	begun := time.Now()
	err = inVirtualTime(k.t, func(ctx context.Context, r *rig.Rig) error {
		if err := work(r, stampers); err != nil {
			return err
		}
		time.Sleep(time.Minute) // the workers stand by
		r.Endpoint.ResetCalls()
		if disturb != nil {
			disturbing, stop := context.WithCancel(ctx)
			defer stop()
			go disturb(disturbing, r)
		}
		submitted := time.Now()
		ids, err := r.Submit(ctx, fleet("web", count, jobs.Normal), ".", "bench", nil)
		if err != nil {
			return err
		}
		ended, err := finished(ctx, r, 6*time.Hour, ids)
		if err != nil {
			return err
		}
		calls := r.Endpoint.Calls()
		took = stamped{seconds: ended[ids[0]].Ended.Sub(submitted).Seconds(), ec2: called(calls, "ec2")}
		tell(calls, "ec2", 1)
		if n := runningServers(r); n != count {
			return fmt.Errorf("%d servers run; expected %d", n, count)
		}
		return nil
	}, configure)
	fmt.Fprintf(os.Stderr, "# %d servers: %.0f s of virtual, %.1f s of real time, %d refused calls\n", count, took.seconds, time.Since(begun).Seconds(), took.ec2.Throttled)
	return took, err
}

// runningServers counts them by the endpoint's own truth.
func runningServers(r *rig.Rig) int {
	n := 0
	for _, instance := range r.EC2().Inspect().Instances {
		if instance.State == "running" {
			n++
		}
	}
	return n
}

// somebodyElse takes that share of what RunInstances' resource bucket gets back, as it comes. What is not there is owed.
func somebodyElse(share float64) func(ctx context.Context, r *rig.Rig) {
	return func(ctx context.Context, r *rig.Rig) {
		owed := 0.0
		for ctx.Err() == nil {
			owed += share * bucketRefill
			owed -= float64(r.EC2().Drain(api.DefaultAccount, rig.Region, "RunInstances", int(owed)))
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
}
