package rig_test

import (
	"context"
	"encoding/json"
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

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/rig"
)

// groupSize is how many instances the group of a story has.
const groupSize = 8

// ownOf are the user's own clients.
func ownOf(r *rig.Rig) *clients.Regional { return r.User.Clients.For(jobs.Target{}) }

// grouped makes the images web@1 and web@2, and the group "pool" of web@1 as the fleet "web".
func grouped(r *rig.Rig) error {
	own := ownOf(r)
	var amis []string
	for n := range 2 {
		out, err := own.EC2.CopyImage(background, &ec2.CopyImageInput{Name: aws.String(fmt.Sprint("web-", n)), SourceImageId: aws.String(arm64()), SourceRegion: aws.String(rig.Region)})
		if err != nil {
			return err
		}
		amis = append(amis, *out.ImageId)
	}
	time.Sleep(15 * time.Minute)
	if err := makeGroup(r, "pool", amis[0], groupSize); err != nil {
		return err
	}
	return did(r, "kind: Import\nname: web\nspec: {image: {ami: "+amis[0]+"}}\n", "kind: Import\nname: web\nspec: {fleet: {group: pool}}\n",
		"kind: Import\nname: web\nspec: {image: {ami: "+amis[1]+"}}\n")
}

func makeGroup(r *rig.Rig, name, ami string, size int) error {
	own := ownOf(r)
	if _, err := own.EC2.CreateLaunchTemplate(background, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name,
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &ami, InstanceType: "m7g.large",
			IamInstanceProfile: &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: aws.String("server")}}}); err != nil {
		return err
	}
	if _, err := own.Groups.CreateAutoScalingGroup(background, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: &name, MinSize: aws.Int32(1), MaxSize: aws.Int32(100),
		DesiredCapacity: aws.Int32(int32(size)), LaunchTemplate: &groups.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: aws.String("1")},
		AvailabilityZones: []string{rig.Region + "a", rig.Region + "b"}, HealthCheckGracePeriod: aws.Int32(30)}); err != nil {
		return err
	}
	time.Sleep(2 * time.Minute)
	return nil
}

func groupNow(r *rig.Rig) (groups.AutoScalingGroup, error) {
	out, err := ownOf(r).Groups.DescribeAutoScalingGroups(background, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"pool"}})
	if err != nil || len(out.AutoScalingGroups) != 1 {
		return groups.AutoScalingGroup{}, fmt.Errorf("the group: %v, %w", out, err)
	}
	return out.AutoScalingGroups[0], nil
}

func refreshesNow(r *rig.Rig) ([]groups.InstanceRefresh, error) {
	out, err := ownOf(r).Groups.DescribeInstanceRefreshes(background, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("pool")})
	if err != nil {
		return nil, err
	}
	return out.InstanceRefreshes, nil
}

// refreshed checks that the group has all its instances from the version's AMI, and launches from nothing that moves.
func refreshed(r *rig.Rig, version int) error {
	g, err := groupNow(r)
	if err != nil {
		return err
	}
	ami := versionOf(r, "web", version).Regions[rig.Region].AMI
	if len(g.Instances) != int(*g.DesiredCapacity) {
		return fmt.Errorf("the group has %d instances, want %d", len(g.Instances), *g.DesiredCapacity)
	}
	for _, i := range g.Instances {
		if *i.ImageId != ami || i.LifecycleState != groups.LifecycleStateInService {
			return fmt.Errorf("%s runs %s and is %s, want %s in service", *i.InstanceId, *i.ImageId, i.LifecycleState, ami)
		}
	}
	if strings.HasPrefix(*g.LaunchTemplate.Version, "$") {
		return fmt.Errorf("the group launches from version %s", *g.LaunchTemplate.Version)
	}
	_, launches, err := r.User.EC2.For(jobs.Target{}).TemplateVersion(background, cloud.LaunchTemplate{ID: *g.LaunchTemplate.LaunchTemplateId, Version: *g.LaunchTemplate.Version})
	if err != nil || launches != ami {
		return fmt.Errorf("the group launches %s from now on, want %s (%w)", launches, ami, err)
	}
	return unheld(r, version)
}

// unheld checks that the ledger names the fleet's image, and no server of a group that keeps its own.
func unheld(r *rig.Rig, version int) error {
	fleet, known, err := r.User.Ledger.GetFleet(background, "web")
	if err != nil || !known || fleet.Owner != "" || fleet.Image != fmt.Sprint("web@", version) {
		return fmt.Errorf("the fleet is %+v, %v, %w", fleet, known, err)
	}
	servers, err := r.User.Ledger.Servers(background, "web")
	if err == nil && len(servers) > 0 {
		err = fmt.Errorf("the ledger still names %+v", servers)
	}
	return err
}

// refreshStory rolls the group from web@1 to web@2 in waves.
func refreshStory(more string) rig.Story {
	return rig.Story{Key: "k", Folder: ".", Limit: 12 * time.Hour, Prepare: grouped,
		Spec: "kind: Rollout\nname: web\nspec: {fleet: web, image: web@2, surge: 25%, waves: [25%, 100%]" + more + "}\n",
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if job.State != jobs.Succeeded {
					return fmt.Errorf("the rollout is %s: %s", job.State, job.Failure)
				}
			}
			all, err := refreshesNow(r)
			if err != nil {
				return err
			}
			if len(all) > 3 {
				return fmt.Errorf("it took %d instance refreshes", len(all))
			}
			if err := oneVersion(r); err != nil {
				return err
			}
			for _, job := range ended {
				if err := accounted(r, job, 1, 2); err != nil {
					return err
				}
			}
			return refreshed(r, 2)
		},
	}
}

// accounted checks that the rollout's report names each instance of the group before and after, whichever AWS replaced by which.
func accounted(r *rig.Rig, job *jobs.Job, before, after int) error {
	var result rollout.Result
	if err := json.Unmarshal(job.Result, &result); err != nil {
		return err
	}
	content, found, err := r.User.Files.Get(background, result.Report)
	if err != nil || !found {
		return fmt.Errorf("the report %q: %t, %w", result.Report, found, err)
	}
	var servers []rollout.ServerReport
	if err := json.Unmarshal(content, &servers); err != nil {
		return err
	}
	g, err := groupNow(r)
	if err != nil {
		return err
	}
	now := map[string]bool{}
	for _, s := range servers {
		if s.Before == nil || s.After == nil || s.Before.Image != fmt.Sprint("web@", before) || s.After.Image != fmt.Sprint("web@", after) || s.Before.Instance == s.After.Instance {
			return fmt.Errorf("the report says of ordinal %d: %+v, %+v", s.Ordinal, s.Before, s.After)
		}
		now[s.After.Instance] = true
	}
	for _, i := range g.Instances {
		if !now[*i.InstanceId] {
			return fmt.Errorf("the report does not name %s of the group: %s", *i.InstanceId, content)
		}
	}
	return nil
}

// oneVersion checks that the rollout made one version of the launch template, however often it asked.
func oneVersion(r *rig.Rig) error {
	out, err := ownOf(r).EC2.DescribeLaunchTemplateVersions(background, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("pool")})
	if err == nil && len(out.LaunchTemplateVersions) != 2 {
		err = fmt.Errorf("the launch template has %d versions, want 2", len(out.LaunchTemplateVersions))
	}
	return err
}

func TestAGroupIsRefreshedInWavesWhateverDies(t *testing.T) {
	t.Parallel()
	everyDeath(t, refreshStory(""))
}

func TestARefreshIsStartedOnceWhateverBecomesOfTheCall(t *testing.T) {
	t.Parallel()
	calls := []string{"autoscaling:StartInstanceRefresh", "autoscaling:CancelInstanceRefresh", "ec2:CreateLaunchTemplateVersion"}
	once := refreshStory("")
	check := once.Check
	once.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if all, err := refreshesNow(r); err != nil || len(all) != 2 {
			return fmt.Errorf("there were %d instance refreshes, want one a wave (%v)", len(all), err)
		}
		return check(r, ended)
	}
	for _, m := range append(deaths, lostAnswer) {
		everyCallTo(t, once, m, 2, calls...)
	}
	late := refreshStory("")
	late.Check = func(r *rig.Rig, _ map[string]*jobs.Job) error { // a refresh that comes late finds nothing to replace
		if err := oneVersion(r); err != nil {
			return err
		}
		return refreshed(r, 2)
	}
	everyCallTo(t, late, lateEffect, 2, calls...)
}

func TestSomebodyElsesRefreshIsWaitedFor(t *testing.T) {
	t.Parallel()
	story := refreshStory("")
	story.Prepare = func(r *rig.Rig) error {
		if err := grouped(r); err != nil {
			return err
		}
		_, err := ownOf(r).Groups.StartInstanceRefresh(background, &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("pool"),
			Preferences: &groups.RefreshPreferences{InstanceWarmup: aws.Int32(60), MinHealthyPercentage: aws.Int32(90)}})
		return err
	}
	check := story.Check
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		all, err := refreshesNow(r)
		if err != nil {
			return err
		}
		if len(all) != 3 {
			return fmt.Errorf("there were %d instance refreshes, want somebody else's and two", len(all))
		}
		if first := all[len(all)-1]; first.Status != groups.InstanceRefreshStatusSuccessful {
			return fmt.Errorf("somebody else's refresh is %s", first.Status)
		}
		return check(r, ended)
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := story.Run(background, &rig.Line{}); err != nil {
			t.Fatal(err)
		}
	})
}

// raised makes the alarm, and raises it once the first wave runs web@2.
func raised(ctx context.Context, r *rig.Rig, _ []string) {
	for ctx.Err() == nil {
		time.Sleep(20 * time.Second)
		all, err := refreshesNow(r)
		if err != nil || len(all) == 0 || *all[0].PercentageComplete < 25 {
			continue
		}
		if _, err := ownOf(r).Alarms.SetAlarmState(background, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("errors"), StateValue: alarms.StateValueAlarm, StateReason: aws.String("a test")}); err != nil {
			panic(err)
		}
		return
	}
}

func alarmed(r *rig.Rig) error {
	if err := grouped(r); err != nil {
		return err
	}
	own := ownOf(r)
	_, err := own.Alarms.PutMetricAlarm(background, &cloudwatch.PutMetricAlarmInput{AlarmName: aws.String("errors"), MetricName: aws.String("5xx"), Namespace: aws.String("web"),
		Statistic: alarms.StatisticSum, Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: alarms.ComparisonOperatorGreaterThanThreshold})
	if err != nil {
		return err
	}
	_, err = own.Alarms.SetAlarmState(background, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("errors"), StateValue: alarms.StateValueOk, StateReason: aws.String("a test")})
	return err
}

func TestAnAlarmBringsAGroupBackWhateverDies(t *testing.T) {
	t.Parallel()
	story := refreshStory(", soak: 10m, gate: [{alarm: errors}]")
	story.Prepare, story.Meanwhile = alarmed, raised
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			if job.State != jobs.Failed || !strings.Contains(job.Failure, "rolled back to web@1") {
				return fmt.Errorf("the rollout is %s: %s", job.State, job.Failure)
			}
		}
		return refreshed(r, 1)
	}
	everyCall(t, story, 4, deaths...)
}

func TestGatesAskTheInstancesOfAGroup(t *testing.T) {
	t.Parallel()
	for gate, state := range map[string]jobs.State{"test -d /etc": jobs.Succeeded, "test -d /nowhere": jobs.Failed} {
		t.Run(gate, func(t *testing.T) {
			story := refreshStory(", gate: [{run: '" + gate + "'}]")
			check := story.Check
			story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
				for _, job := range ended {
					if job.State != state {
						return fmt.Errorf("the rollout is %s: %s", job.State, job.Failure)
					}
				}
				if state == jobs.Failed {
					return refreshed(r, 1)
				}
				return check(r, ended)
			}
			synctest.Test(t, func(t *testing.T) {
				if _, err := story.Run(background, &rig.Line{}); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestAGroupThatFollowsWhatMovesIsRefused(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"$Latest", "$Default"} {
		story := refreshStory("")
		story.Prepare = func(r *rig.Rig) error {
			if err := grouped(r); err != nil {
				return err
			}
			_, err := ownOf(r).Groups.UpdateAutoScalingGroup(background, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("pool"),
				LaunchTemplate: &groups.LaunchTemplateSpecification{LaunchTemplateName: aws.String("pool"), Version: &version}})
			return err
		}
		story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if job.State != jobs.Failed || !strings.Contains(job.Failure, version) || !strings.Contains(job.Failure, "update-auto-scaling-group") {
					return fmt.Errorf("the rollout is %s: %s", job.State, job.Failure)
				}
			}
			all, err := refreshesNow(r)
			if err == nil && len(all) > 0 {
				err = fmt.Errorf("it was refreshed: %+v", all)
			}
			return err
		}
		synctest.Test(t, func(t *testing.T) {
			if _, err := story.Run(background, &rig.Line{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Pausing ends the refresh at a safe point, and resuming goes on with the rest.
func TestAPausedRolloutRefreshesNothingMore(t *testing.T) {
	t.Parallel()
	story := refreshStory("")
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			if job.State != jobs.Succeeded {
				return fmt.Errorf("the rollout is %s: %s", job.State, job.Failure)
			}
		}
		if all, err := refreshesNow(r); err != nil || len(all) != 3 {
			return fmt.Errorf("there were %d instance refreshes, want three (%v)", len(all), err)
		}
		return refreshed(r, 2)
	}
	story.Meanwhile = func(ctx context.Context, r *rig.Rig, ids []string) {
		order := func(verb jobs.Verb) {
			if err := r.User.Queue.Send(background, jobs.LaneHigh, &jobs.Message{Type: jobs.Ordering, Job: ids[0], Run: 1, Verb: verb, At: time.Now()}, 0); err != nil {
				panic(err)
			}
		}
		for ctx.Err() == nil {
			time.Sleep(10 * time.Second)
			if all, err := refreshesNow(r); err == nil && len(all) == 2 && *all[0].PercentageComplete > 25 {
				break
			}
		}
		order(jobs.Pause)
		time.Sleep(10 * time.Minute)
		all, err := refreshesNow(r)
		if err != nil || len(all) != 2 || all[0].Status != groups.InstanceRefreshStatusCancelled {
			panic(fmt.Sprintf("while it is paused: %+v, %v", all, err))
		}
		order(jobs.Resume)
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := story.Run(background, &rig.Line{}); err != nil {
			t.Fatal(err)
		}
	})
}
