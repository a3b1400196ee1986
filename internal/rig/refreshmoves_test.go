package rig_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	groups "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	alarms "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// unmoved makes the group, and has its owner bring all its instances to web@2 while the group itself launches web@1 still: nothing
// is left to roll but the group.
func unmoved(r *rig.Rig) error {
	if err := alarmed(r); err != nil {
		return err
	}
	own, ami := ownOf(r), versionOf(r, "web", 2).Regions[rig.Region].AMI
	if _, err := own.EC2.CreateLaunchTemplateVersion(background, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: aws.String("pool"), SourceVersion: aws.String("1"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &ami}}); err != nil {
		return err
	}
	if _, err := own.Groups.StartInstanceRefresh(background, &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("pool"),
		DesiredConfiguration: &groups.DesiredConfiguration{LaunchTemplate: &groups.LaunchTemplateSpecification{LaunchTemplateName: aws.String("pool"), Version: aws.String("2")}},
		Preferences:          &groups.RefreshPreferences{InstanceWarmup: aws.Int32(0), MinHealthyPercentage: aws.Int32(0), BakeTime: aws.Int32(100000)}}); err != nil {
		return err
	}
	time.Sleep(20 * time.Minute)
	if _, err := own.Groups.CancelInstanceRefresh(background, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("pool")}); err != nil {
		return err
	}
	time.Sleep(5 * time.Minute)
	g, err := groupNow(r)
	if err != nil {
		return err
	}
	for _, i := range g.Instances {
		if *i.ImageId != ami || *g.LaunchTemplate.Version != "1" {
			return fmt.Errorf("before the rollout the group of version %s has %s of %s", *g.LaunchTemplate.Version, *i.InstanceId, *i.ImageId)
		}
	}
	return nil
}

// raise sets the alarm of the gate.
func raise(r *rig.Rig, state alarms.StateValue) {
	if _, err := ownOf(r).Alarms.SetAlarmState(background, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("errors"), StateValue: state, StateReason: aws.String("a test")}); err != nil {
		panic(err)
	}
}

// raisedWith raises the alarm as soon as the rollout's first refresh has replaced so many percent.
func raisedWith(ctx context.Context, r *rig.Rig, percent int32) bool {
	for ctx.Err() == nil {
		time.Sleep(5 * time.Second)
		if all, err := refreshesNow(r); err == nil && len(all) > 1 && *all[0].PercentageComplete >= percent {
			raise(r, alarms.StateValueAlarm)
			return true
		}
	}
	return false
}

// A rollout that finds every server on its image has the group to move yet. Where that refresh fails, it has not succeeded.
func TestARolloutWhoseGroupDoesNotMoveIsNotDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		percent int32
		hold    bool
	}{"before a replacement": {0, false}, "after some": {25, false}, "held": {25, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			more := ", gate: [{alarm: errors}]"
			if c.hold {
				more += ", onFailure: hold"
			}
			story := refreshStory(more)
			story.Prepare = unmoved
			story.Meanwhile = func(ctx context.Context, r *rig.Rig, ids []string) {
				if !raisedWith(ctx, r, c.percent) || !c.hold {
					return
				}
				time.Sleep(30 * time.Minute)
				row, err := r.User.Store.Load(background, ids[0])
				if err != nil || row.Job.State != jobs.Open || row.Job.Wait == nil || !strings.Contains(row.Job.Wait.For, "still launches version 1") {
					t.Errorf("the rollout whose group does not move is %+v, %v", row, err)
					return
				}
				raise(r, alarms.StateValueOk)
				if err := r.User.Queue.Send(background, jobs.LaneHigh, &jobs.Message{Type: jobs.Ordering, Job: ids[0], Run: 1, Verb: jobs.Resume, At: time.Now()}, 0); err != nil {
					panic(err)
				}
			}
			story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
				for _, job := range ended {
					switch {
					case c.hold && job.State != jobs.Succeeded:
						return fmt.Errorf("the rollout is %s: %s", job.State, job.Failure)
					case !c.hold && (job.State != jobs.Failed || !strings.Contains(job.Failure, "still launches version 1") || !strings.Contains(job.Failure, "ALARM")):
						return fmt.Errorf("the rollout is %s: %s", job.State, job.Failure)
					}
				}
				if c.percent == 0 { // nothing was touched
					g, err := groupNow(r)
					if err == nil && *g.LaunchTemplate.Version != "1" {
						err = fmt.Errorf("the group launches version %s", *g.LaunchTemplate.Version)
					}
					return err
				}
				if c.hold {
					return refreshed(r, 2)
				}
				return refreshed(r, 1)
			}
			synctest.Test(t, func(t *testing.T) {
				if _, err := story.Run(background, &rig.Line{}); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// A pause ends the refresh that moves the group, too, and a resume begins another.
func TestAPauseHoldsTheGroupsMoveUp(t *testing.T) {
	t.Parallel()
	story := refreshStory("")
	check := story.Check
	story.Prepare = unmoved
	story.Meanwhile = func(ctx context.Context, r *rig.Rig, ids []string) {
		order := func(verb jobs.Verb) {
			if err := r.User.Queue.Send(background, jobs.LaneHigh, &jobs.Message{Type: jobs.Ordering, Job: ids[0], Run: 1, Verb: verb, At: time.Now()}, 0); err != nil {
				panic(err)
			}
		}
		for ctx.Err() == nil {
			time.Sleep(5 * time.Second)
			if all, err := refreshesNow(r); err == nil && len(all) > 1 && *all[0].PercentageComplete >= 25 {
				break
			}
		}
		order(jobs.Pause)
		time.Sleep(30 * time.Minute)
		if all, err := refreshesNow(r); err != nil || len(all) != 2 || all[0].Status != groups.InstanceRefreshStatusCancelled {
			t.Errorf("while it is paused: %+v, %v", all, err)
		}
		order(jobs.Resume)
	}
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if err := check(r, ended); err != nil && !strings.Contains(err.Error(), "has 3 versions") { // its owner made one
			return err
		}
		return refreshed(r, 2)
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := story.Run(background, &rig.Line{}); err != nil {
			t.Fatal(err)
		}
	})
}
