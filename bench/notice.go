package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/rig"
)

var amiNotice = measure{
	name: "ami-notice",
	what: fmt.Sprintf("virtual seconds from the instant at which an AMI is available to the instant at which its bake goes on, mean over %d bakes in parallel whose AMIs take 4 to 10 minutes; "+
		"case events: the account's events reach the queue; case polls: none do; case describes: DescribeImages calls an AMI in the latter, the looks at sources included", virtualBakes),
	bound: "0: an event at once",
	bars:  []bar{{name: "events", value: 2}, {name: "polls", value: 10}, {name: "describes", value: 2}},
	take:  noticeAMIs,
}

func noticeAMIs(k *taking) error {
	byEvents, err := bakeInParallel(k, withEvents)
	if err != nil {
		return err
	}
	byPolls, err := bakeInParallel(k, withoutEvents)
	if err != nil {
		return err
	}
	if err := k.report("events", byEvents.notice, "s", 0); err != nil {
		return err
	}
	if err := k.report("polls", byPolls.notice, "s", 0); err != nil {
		return err
	}
	describes := byPolls.calls["ec2:DescribeImages"]
	return k.report("describes", float64(describes.Calls)/virtualBakes, "calls/AMI", 0)
}

// Whether the account's events reach the installation's queue.
const (
	withEvents    = "events"
	withoutEvents = "polls"
)

// bakedInParallel is what the bakes of bake-ec2-calls and ami-notice came to.
type bakedInParallel struct {
	calls map[string]localaws.Count
	// notice is the mean of the seconds from an AMI's being available to its bake's going on.
	notice float64
}

// bakings are the runs so far: two measures are about each.
var bakings = map[string]bakedInParallel{}

// bakeInParallel carries the bakes out with one worker.
func bakeInParallel(k *taking, attention string) (bakedInParallel, error) {
	if b, known := bakings[attention]; known {
		return b, nil
	}
	messages, err := bakes(virtualBakes, base(0))
	if err != nil {
		return bakedInParallel{}, err
	}
	var b bakedInParallel
	err = inVirtualTime(k.t, func(ctx context.Context, r *rig.Rig) error {
		if err := work(r, 1); err != nil {
			return err
		}
		r.Endpoint.ResetCalls()
		if err := submitAll(ctx, r.User.Queue, messages); err != nil {
			return err
		}
		ended, err := finished(ctx, r, 3*time.Hour, ids(messages))
		if err != nil {
			return err
		}
		b.calls = r.Endpoint.Calls()
		b.notice, err = notice(r, ended)
		return err
	}, func(c *rig.Config) { c.NoEvents = attention == withoutEvents })
	if err == nil {
		bakings[attention] = b
	}
	return b, err
}

// notice compares the endpoint's own truth with the bakes' histories: after the AMI is available a plain bake publishes it.
func notice(r *rig.Rig, ended map[string]*jobs.Job) (float64, error) {
	var sum time.Duration
	images := r.EC2().Inspect().Images
	for _, image := range images {
		job := ended[image.Tags[jobs.TagJob]]
		if job == nil {
			return 0, fmt.Errorf("%s is no bake's: %v", image.ID, image.Tags)
		}
		at, ok := published(job)
		if !ok {
			return 0, fmt.Errorf("%s does not tell when it published %s", job.ID, image.ID)
		}
		sum += at.Sub(image.Due)
	}
	if len(images) != len(ended) {
		return 0, fmt.Errorf("%d AMIs are there after %d bakes", len(images), len(ended))
	}
	return (sum / time.Duration(len(images))).Seconds(), nil
}

func published(job *jobs.Job) (time.Time, bool) {
	for _, line := range job.History {
		if strings.HasPrefix(line.Text, "published ") {
			return line.Time, true
		}
	}
	return time.Time{}, false
}
