package rig_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	groups "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

func TestACancelledRolloutLeavesNoRefreshBehind(t *testing.T) {
	t.Parallel()
	everyCall(t, cancelledRefresh(), 6, cancelled, cancelledAndDead)
	everyCallTo(t, cancelledRefresh(), lateAndCancelled, 2, "autoscaling:StartInstanceRefresh")
}

// lateAndCancelled: the call's connection breaks, the next delivery makes it again, the job is cancelled, and then the first takes effect.
var lateAndCancelled = mishap{"late effect and cancel", func(s rig.Story, call int) (rig.Story, *rig.Line) {
	reached := make(chan struct{})
	s.Meanwhile = func(ctx context.Context, r *rig.Rig, ids []string) {
		select {
		case <-reached:
		case <-ctx.Done():
			return
		}
		time.Sleep(time.Minute)
		if err := r.Cancel(background, ids[0], 1); err != nil {
			panic(err)
		}
	}
	return s, &rig.Line{LateAt: call, LateFor: 4 * time.Minute, At: func(n int, _ string) {
		if n == call {
			close(reached)
		}
	}}
}}

// cancelledRefresh is a rollout of a group that ends whole, or leaves nothing under way.
func cancelledRefresh() rig.Story {
	story := refreshStory("")
	var left error // it stays wrong, whatever is asked later
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if left != nil {
			return left
		}
		for _, job := range ended {
			if job.State == jobs.Succeeded {
				return refreshed(r, 2)
			}
		}
		time.Sleep(5 * time.Minute)
		all, err := refreshesNow(r)
		if err != nil {
			return err
		}
		for _, f := range all {
			if f.Status == groups.InstanceRefreshStatusInProgress || f.Status == groups.InstanceRefreshStatusPending {
				_, err := ownOf(r).Groups.CancelInstanceRefresh(background, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("pool")}) // else the test's world goes on
				left = fmt.Errorf("the instance refresh %s is %s (%v)", *f.InstanceRefreshId, f.Status, err)
				return left
			}
		}
		servers, err := r.User.Ledger.Servers(background, "web")
		if err == nil && len(servers) > 0 {
			err = fmt.Errorf("the ledger still names %+v", servers)
		}
		return err
	}
	return story
}
