package localaws

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	alarms "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// scaling is an endpoint with the group "web" of four instances from version 1 of the launch template "web", which has a second
// version with another image.
type scaling struct {
	*testing.T
	server   *Server
	groups   *autoscaling.Client
	servers  *ec2.Client
	alarms   *cloudwatch.Client
	template string
	images   []string
	name     *string
}

func newScaling(t *testing.T, config Config) *scaling {
	t.Helper()
	server := start(t, config)
	s := &scaling{T: t, server: server, name: aws.String("web")}
	s.connect(server)
	found, err := s.servers.DescribeImages(background, &ec2.DescribeImagesInput{Owners: []string{"amazon"},
		Filters: []ec2types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}, {Name: aws.String("name"), Values: []string{"al2023*"}}}})
	if err != nil || len(found.Images) == 0 {
		t.Fatal(found, err)
	}
	base := found.Images[0].ImageId
	for n := range 2 {
		copied, err := s.servers.CopyImage(background, &ec2.CopyImageInput{Name: aws.String(fmt.Sprint("web", n)), SourceImageId: base, SourceRegion: aws.String("us-east-1")})
		if err != nil {
			t.Fatal(err)
		}
		s.images = append(s.images, *copied.ImageId)
	}
	time.Sleep(15 * time.Minute)
	made, err := s.servers.CreateLaunchTemplate(background, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: s.name,
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &s.images[0], InstanceType: "t3.micro"}})
	if err != nil {
		t.Fatal(err)
	}
	s.template = *made.LaunchTemplate.LaunchTemplateId
	_, err = s.servers.CreateLaunchTemplateVersion(background, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: s.name, SourceVersion: aws.String("1"),
		ClientToken: aws.String("second"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &s.images[1]}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.groups.CreateAutoScalingGroup(background, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: s.name, MinSize: aws.Int32(1), MaxSize: aws.Int32(10),
		DesiredCapacity: aws.Int32(4), LaunchTemplate: s.version("1"), AvailabilityZones: []string{"us-east-1a", "us-east-1b"},
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("edge"), PropagateAtLaunch: aws.Bool(true)}}})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
	return s
}

func (s *scaling) connect(server *Server) {
	config := sdk(server, "AKID")
	s.server, s.groups, s.servers, s.alarms = server, autoscaling.NewFromConfig(config), ec2.NewFromConfig(config), cloudwatch.NewFromConfig(config)
}

func (s *scaling) version(number string) *types.LaunchTemplateSpecification {
	return &types.LaunchTemplateSpecification{LaunchTemplateName: s.name, Version: aws.String(number)}
}

func (s *scaling) group() types.AutoScalingGroup {
	s.Helper()
	out, err := s.groups.DescribeAutoScalingGroups(background, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{*s.name}})
	if err != nil || len(out.AutoScalingGroups) != 1 {
		s.Fatal(out, err)
	}
	return out.AutoScalingGroups[0]
}

// serving counts the instances in service by version of the launch template.
func (s *scaling) serving() map[string]int {
	count := map[string]int{}
	for _, i := range s.group().Instances {
		if i.LifecycleState == types.LifecycleStateInService {
			count[*i.LaunchTemplate.Version]++
		}
	}
	return count
}

func (s *scaling) want(counts string) {
	s.Helper()
	if got := fmt.Sprint(s.serving()); got != "map["+counts+"]" {
		s.Errorf("in service, by version: %s; want %s", got, counts)
	}
}

func (s *scaling) start(preferences *types.RefreshPreferences) error {
	_, err := s.groups.StartInstanceRefresh(background, &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: s.name,
		DesiredConfiguration: &types.DesiredConfiguration{LaunchTemplate: s.version("2")}, Preferences: preferences})
	return err
}

func (s *scaling) refresh() types.InstanceRefresh {
	s.Helper()
	out, err := s.groups.DescribeInstanceRefreshes(background, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: s.name})
	if err != nil || len(out.InstanceRefreshes) == 0 {
		s.Fatal(out, err)
	}
	return out.InstanceRefreshes[0]
}

// until waits, at most an hour, for the newest refresh's state.
func (s *scaling) until(status types.InstanceRefreshStatus) {
	s.Helper()
	for range 720 {
		if s.refresh().Status == status {
			return
		}
		time.Sleep(5 * time.Second)
	}
	s.Fatalf("the refresh is %s (%s), want %s", s.refresh().Status, aws.ToString(s.refresh().StatusReason), status)
}

// protect protects all instances from scale-in, or none.
func (s *scaling) protect(on bool) {
	s.Helper()
	var ids []string
	for _, i := range s.group().Instances {
		ids = append(ids, *i.InstanceId)
	}
	if _, err := s.groups.SetInstanceProtection(background, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: s.name, InstanceIds: ids, ProtectedFromScaleIn: &on}); err != nil {
		s.Fatal(err)
	}
}

func bubble(t *testing.T, config Config, f func(*scaling)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(newScaling(t, config)) })
}

func TestAGroupKeepsItsCapacity(t *testing.T) {
	bubble(t, Config{Seed: 1}, func(s *scaling) {
		s.want("1:4")
		g := s.group()
		if len(g.Instances) != 4 || aws.ToString(g.LaunchTemplate.Version) != "1" {
			s.Fatalf("%+v", g)
		}
		zones := map[string]int{}
		for _, i := range g.Instances {
			zones[*i.AvailabilityZone]++
		}
		if zones["us-east-1a"] != 2 || zones["us-east-1b"] != 2 {
			s.Errorf("zones %v", zones)
		}
		victim := *g.Instances[0].InstanceId
		if _, err := s.servers.TerminateInstances(background, &ec2.TerminateInstancesInput{InstanceIds: []string{victim}}); err != nil {
			s.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.want("1:4")
		if slices.ContainsFunc(s.group().Instances, func(i types.Instance) bool { return *i.InstanceId == victim }) {
			s.Error("the terminated instance is still in the group")
		}
		s.protect(true)
		if _, err := s.groups.SetDesiredCapacity(background, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: s.name, DesiredCapacity: aws.Int32(2)}); err != nil {
			s.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.want("1:4")
		s.protect(false)
		time.Sleep(time.Minute)
		s.want("1:2")
		if _, err := s.groups.DeleteAutoScalingGroup(background, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: s.name}); codeOf(err) != "ResourceInUse" {
			s.Errorf("deleting a group with instances: %v", err)
		}
		if _, err := s.groups.DeleteAutoScalingGroup(background, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: s.name, ForceDelete: aws.Bool(true)}); err != nil {
			s.Fatal(err)
		}
		time.Sleep(time.Minute)
		left, err := s.groups.DescribeAutoScalingInstances(background, &autoscaling.DescribeAutoScalingInstancesInput{})
		if err != nil || len(left.AutoScalingInstances) != 0 {
			s.Errorf("left of the group: %v, %v", left.AutoScalingInstances, err)
		}
	})
}

func TestGroupsAreFoundByTheirTagsPageByPage(t *testing.T) {
	bubble(t, Config{Seed: 1}, func(s *scaling) {
		for n := range 5 {
			_, err := s.groups.CreateAutoScalingGroup(background, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String(fmt.Sprint("other", n)), MinSize: aws.Int32(0), MaxSize: aws.Int32(1),
				LaunchTemplate: s.version("1"), AvailabilityZones: []string{"us-east-1a"}})
			if err != nil {
				s.Fatal(err)
			}
		}
		_, err := s.groups.CreateOrUpdateTags(background, &autoscaling.CreateOrUpdateTagsInput{Tags: []types.Tag{
			{ResourceId: aws.String("other3"), ResourceType: aws.String("auto-scaling-group"), Key: aws.String("team"), Value: aws.String("edge"), PropagateAtLaunch: aws.Bool(false)}}})
		if err != nil {
			s.Fatal(err)
		}
		var names []string
		pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(s.groups, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(background)
			if err != nil {
				s.Fatal(err)
			}
			for _, g := range page.AutoScalingGroups {
				names = append(names, *g.AutoScalingGroupName)
			}
		}
		if got := strings.Join(names, " "); got != "other0 other1 other2 other3 other4 web" {
			s.Errorf("all groups: %s", got)
		}
		found, err := s.groups.DescribeAutoScalingGroups(background, &autoscaling.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: aws.String("tag:team"), Values: []string{"edge"}}}})
		if err != nil || len(found.AutoScalingGroups) != 2 {
			s.Errorf("groups with the tag: %v, %v", found.AutoScalingGroups, err)
		}
		tags, err := s.groups.DescribeTags(background, &autoscaling.DescribeTagsInput{Filters: []types.Filter{{Name: aws.String("auto-scaling-group"), Values: []string{"web"}}}})
		if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "edge" {
			s.Errorf("tags %v, %v", tags, err)
		}
	})
}

func TestARefreshReplacesAllAndThenMovesTheGroup(t *testing.T) {
	bubble(t, Config{Seed: 2}, func(s *scaling) {
		if err := s.start(&types.RefreshPreferences{MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(150), InstanceWarmup: aws.Int32(30)}); err != nil {
			s.Fatal(err)
		}
		if err := s.start(nil); codeOf(err) != "InstanceRefreshInProgress" {
			s.Errorf("a second refresh: %v", err)
		}
		least := 4
		for s.refresh().Status != types.InstanceRefreshStatusSuccessful {
			if version := *s.group().LaunchTemplate.Version; version != "1" {
				s.Fatalf("the group moved to version %s before its refresh ended", version)
			}
			least = min(least, s.serving()["1"]+s.serving()["2"])
			if n := len(s.group().Instances); n > 8 {
				s.Fatalf("%d instances", n)
			}
			time.Sleep(5 * time.Second)
		}
		if least < 4 {
			s.Errorf("with 100%% healthy at least, %d of 4 served", least)
		}
		s.want("2:4")
		if version := *s.group().LaunchTemplate.Version; version != "2" {
			s.Errorf("the group is at version %s", version)
		}
		for _, i := range s.group().Instances {
			if *i.ImageId != s.images[1] {
				s.Errorf("%s runs %s", *i.InstanceId, *i.ImageId)
			}
		}
		if _, err := s.groups.RollbackInstanceRefresh(background, &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: s.name}); codeOf(err) != "ActiveInstanceRefreshNotFound" {
			s.Errorf("rolling back what ended: %v", err)
		}
	})
}

func TestARefreshWaitsAtItsCheckpointAndRollsBack(t *testing.T) {
	bubble(t, Config{Seed: 3}, func(s *scaling) {
		preferences := &types.RefreshPreferences{MinHealthyPercentage: aws.Int32(75), InstanceWarmup: aws.Int32(0), CheckpointPercentages: []int32{50, 100}, CheckpointDelay: aws.Int32(600)}
		if err := s.start(preferences); err != nil {
			s.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		s.want("1:2 2:2")
		if f := s.refresh(); f.Status != types.InstanceRefreshStatusInProgress || *f.PercentageComplete != 50 || *f.InstancesToUpdate != 2 {
			s.Fatalf("at the checkpoint: %s, %d%%, %d to update", f.Status, *f.PercentageComplete, *f.InstancesToUpdate)
		}
		if _, err := s.groups.RollbackInstanceRefresh(background, &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: s.name}); err != nil {
			s.Fatal(err)
		}
		s.until(types.InstanceRefreshStatusRollbackSuccessful)
		s.want("1:4")
	})
}

func TestACancelledRefreshGoesOnWithSkipMatching(t *testing.T) {
	bubble(t, Config{Seed: 4}, func(s *scaling) {
		if err := s.start(&types.RefreshPreferences{MinHealthyPercentage: aws.Int32(75), InstanceWarmup: aws.Int32(0), CheckpointPercentages: []int32{25, 100}, CheckpointDelay: aws.Int32(7200)}); err != nil {
			s.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		s.want("1:3 2:1")
		if _, err := s.groups.CancelInstanceRefresh(background, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: s.name}); err != nil {
			s.Fatal(err)
		}
		s.until(types.InstanceRefreshStatusCancelled)
		if version := *s.group().LaunchTemplate.Version; version != "1" {
			s.Errorf("the group is at version %s", version)
		}
		if err := s.start(&types.RefreshPreferences{MinHealthyPercentage: aws.Int32(75), InstanceWarmup: aws.Int32(0), SkipMatching: aws.Bool(true)}); err != nil {
			s.Fatal(err)
		}
		if f := s.refresh(); *f.InstancesToUpdate != 3 {
			s.Errorf("%d instances to update, want 3", *f.InstancesToUpdate)
		}
		s.until(types.InstanceRefreshStatusSuccessful)
		s.want("2:4")
	})
}

func TestAnAlarmRollsARefreshBackOfItself(t *testing.T) {
	bubble(t, Config{Seed: 5}, func(s *scaling) {
		_, err := s.alarms.PutMetricAlarm(background, &cloudwatch.PutMetricAlarmInput{AlarmName: aws.String("errors"), MetricName: aws.String("5xx"), Namespace: aws.String("web"),
			Statistic: alarms.StatisticSum, Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1.5), ComparisonOperator: alarms.ComparisonOperatorGreaterThanThreshold})
		if err != nil {
			s.Fatal(err)
		}
		if err := s.start(&types.RefreshPreferences{MinHealthyPercentage: aws.Int32(75), InstanceWarmup: aws.Int32(60), AutoRollback: aws.Bool(true),
			AlarmSpecification: &types.AlarmSpecification{Alarms: []string{"errors"}}}); err != nil {
			s.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := s.alarms.SetAlarmState(background, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("errors"), StateValue: alarms.StateValueAlarm, StateReason: aws.String("test")}); err != nil {
			s.Fatal(err)
		}
		told, err := s.alarms.DescribeAlarms(background, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"errors", "none"}})
		if err != nil || len(told.MetricAlarms) != 1 || told.MetricAlarms[0].StateValue != alarms.StateValueAlarm || *told.MetricAlarms[0].Threshold != 1.5 || told.MetricAlarms[0].StateUpdatedTimestamp.IsZero() {
			s.Fatalf("%+v, %v", told, err)
		}
		s.until(types.InstanceRefreshStatusRollbackSuccessful)
		s.want("1:4")
		if d := s.refresh().RollbackDetails; d == nil || !strings.Contains(*d.RollbackReason, "errors") {
			s.Errorf("%+v", d)
		}
		if _, err := s.alarms.DeleteAlarms(background, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"none"}}); codeOf(err) != "ResourceNotFound" {
			s.Errorf("deleting an unknown alarm: %v", err)
		}
	})
}

func TestWhatAWSRefusesOfARefreshIsRefused(t *testing.T) {
	bubble(t, Config{Seed: 6}, func(s *scaling) {
		for name, c := range map[string]struct {
			preferences types.RefreshPreferences
			code        string
		}{
			"descending checkpoints":         {types.RefreshPreferences{CheckpointPercentages: []int32{50, 20}}, "ValidationError"},
			"a delay without checkpoints":    {types.RefreshPreferences{CheckpointDelay: aws.Int32(1)}, "ValidationError"},
			"a maximum without a minimum":    {types.RefreshPreferences{MaxHealthyPercentage: aws.Int32(120)}, "ValidationError"},
			"bounds too far from each other": {types.RefreshPreferences{MinHealthyPercentage: aws.Int32(50), MaxHealthyPercentage: aws.Int32(160)}, "ValidationError"},
			"another delay than there is":    {types.RefreshPreferences{CheckpointPercentages: []int32{50}, CheckpointDelay: aws.Int32(172801)}, "ValidationError"},
		} {
			if err := s.start(&c.preferences); codeOf(err) != c.code {
				s.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
		if _, err := s.groups.CancelInstanceRefresh(background, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: s.name}); codeOf(err) != "ActiveInstanceRefreshNotFound" {
			s.Errorf("cancelling nothing: %v", err)
		}
		if _, err := s.groups.UpdateAutoScalingGroup(background, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: s.name, LaunchTemplate: s.version("$Latest")}); err != nil {
			s.Fatal(err)
		}
		if _, err := s.groups.StartInstanceRefresh(background, &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: s.name, DesiredConfiguration: &types.DesiredConfiguration{LaunchTemplate: s.version("1")},
			Preferences: &types.RefreshPreferences{AutoRollback: aws.Bool(true)}}); codeOf(err) != "ValidationError" {
			s.Errorf("automatic rollback from $Latest: %v", err)
		}
		if err := s.start(nil); err != nil {
			s.Fatal(err)
		}
		if _, err := s.groups.RollbackInstanceRefresh(background, &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: s.name}); codeOf(err) != "IrreversibleInstanceRefresh" {
			s.Errorf("rolling back from $Latest: %v", err)
		}
	})
}
