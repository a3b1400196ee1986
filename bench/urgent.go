package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/rig"
)

var urgentLaunch = measure{
	name: "urgent",
	what: fmt.Sprintf("virtual seconds of an urgent launch of %d while %d low-priority servers wait for the same bucket, which a grant has just emptied; 8 workers, head-room 0; the worst of three",
		urgentServers, largest),
	bound: "its time when nobody else waits, from the same empty bucket; case alone",
	bars:  []bar{{name: "contended", value: 1.5, ratio: true}},
	take:  stampUrgently,
}

const urgentServers = 20

func stampUrgently(k *taking) error {
	alone, err := urgently(k, bucketSize+500, bucketSize+500)
	if err != nil {
		return err
	}
	contended, err := urgently(k, largest, bucketSize+500, bucketSize+1000, bucketSize+1500)
	if err != nil {
		return err
	}
	if err := k.report("alone", alone, "s", 0); err != nil {
		return err
	}
	return k.report("contended", contended, "s", alone)
}

// urgently has a low-priority launch of so many servers under way, and submits an urgent one whenever it has been granted
// so many of them. It gives the longest time that one took.
func urgently(k *taking, low int, when ...int) (longest float64, err error) {
	begun := time.Now()
	err = inVirtualTime(k.t, func(ctx context.Context, r *rig.Rig) error {
		if err := work(r, stampers); err != nil {
			return err
		}
		time.Sleep(time.Minute) // the workers stand by
		r.Endpoint.ResetCalls()
		if _, err := r.Submit(ctx, fleet("batch", low, jobs.Low), ".", "bench", nil); err != nil {
			return err
		}
		for i, granted := range when {
			awaitLaunches(r, granted/launch.BatchSize+i)
			submitted := time.Now()
			ids, err := r.Submit(ctx, fleet(fmt.Sprintf("urgent-%d", i), urgentServers, jobs.High), ".", "bench", nil)
			if err != nil {
				return err
			}
			ended, err := finished(ctx, r, time.Hour, ids)
			if err != nil {
				return err
			}
			took := ended[ids[0]].Ended.Sub(submitted).Seconds()
			fmt.Fprintf(os.Stderr, "# after %d low-priority servers: %.1f s\n", granted, took)
			longest = max(longest, took)
		}
		return nil
	}, noHeadroom)
	fmt.Fprintf(os.Stderr, "# %.1f s of real time\n", time.Since(begun).Seconds())
	return longest, err
}

// awaitLaunches waits for the instant at which so many RunInstances calls were granted.
func awaitLaunches(r *rig.Rig, granted int) {
	for {
		n := r.Endpoint.Calls()["ec2:RunInstances"]
		if n.Calls-n.Errors >= int64(granted) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
