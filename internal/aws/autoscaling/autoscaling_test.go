package autoscaling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/localaws"
)

var background = context.Background()

// desk is the embedded endpoint with the group "web" of four instances of version 1 of a launch template; version 2 has another
// image.
type desk struct {
	*testing.T
	*Region
	endpoint *localaws.Server
	sdk      *clients.Regional
	template c.LaunchTemplate // version 2
	images   []string
}

func desked(t *testing.T, test func(*desk)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endpoint, err := localaws.New(localaws.Config{Seed: 1, Unlimited: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := endpoint.Close(); err != nil {
				t.Error(err)
			}
		}()
		sdk, err := clients.New(clients.Config{Region: "eu-west-1", Endpoint: endpoint.URL(), Transport: endpoint.RoundTripper(),
			Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")})
		if err != nil {
			t.Fatal(err)
		}
		d := &desk{T: t, Region: New(sdk).For(jobs.Target{}), endpoint: endpoint, sdk: sdk.For(jobs.Target{})}
		d.prepare()
		test(d)
	})
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) prepare() {
	d.Helper()
	found, err := d.sdk.EC2.DescribeImages(background, &ec2.DescribeImagesInput{Owners: []string{"amazon"},
		Filters: []ec2types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}, {Name: aws.String("name"), Values: []string{"al2023*"}}}})
	d.must(err)
	for n := range 2 {
		copied, err := d.sdk.EC2.CopyImage(background, &ec2.CopyImageInput{Name: aws.String(fmt.Sprint("web", n)), SourceImageId: found.Images[0].ImageId, SourceRegion: aws.String("eu-west-1")})
		d.must(err)
		d.images = append(d.images, *copied.ImageId)
	}
	time.Sleep(15 * time.Minute)
	made, err := d.sdk.EC2.CreateLaunchTemplate(background, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("web"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &d.images[0], InstanceType: "t3.micro"}})
	d.must(err)
	_, err = d.sdk.EC2.CreateLaunchTemplateVersion(background, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: aws.String("web"), SourceVersion: aws.String("1"),
		ClientToken: aws.String("second"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &d.images[1]}})
	d.must(err)
	d.template = c.LaunchTemplate{ID: *made.LaunchTemplate.LaunchTemplateId, Version: "2"}
	d.make("web", func(*autoscaling.CreateAutoScalingGroupInput) {})
}

func (d *desk) make(name string, change func(*autoscaling.CreateAutoScalingGroupInput)) {
	d.Helper()
	in := &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: &name, MinSize: aws.Int32(1), MaxSize: aws.Int32(10), DesiredCapacity: aws.Int32(4),
		LaunchTemplate:    &types.LaunchTemplateSpecification{LaunchTemplateId: &d.template.ID, Version: aws.String("1")},
		AvailabilityZones: []string{"eu-west-1a", "eu-west-1b"}, HealthCheckGracePeriod: aws.Int32(30),
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("edge"), PropagateAtLaunch: aws.Bool(true)}}}
	change(in)
	_, err := d.sdk.Groups.CreateAutoScalingGroup(background, in)
	d.must(err)
	time.Sleep(2 * time.Minute)
}

func (d *desk) fault(rule localaws.Rule) {
	d.Helper()
	rule.Service = "autoscaling"
	_, err := d.endpoint.AddFault(rule)
	d.must(err)
}

// rolling is a refresh of the group to version 2, which stops at half of it.
func (d *desk) rolling() c.RefreshRequest {
	return c.RefreshRequest{Group: "web", Template: d.template, MinHealthy: 100, MaxHealthy: 125, Checkpoints: []int{50, 100}, Delay: 10 * time.Minute}
}

// newest waits, at most two hours, until the newest refresh has the state.
func (d *desk) newest(status string) c.Refresh {
	d.Helper()
	var last []c.Refresh
	for range 1440 {
		var err error
		last, err = d.Refreshes(background, "web")
		d.must(err)
		if len(last) > 0 && last[0].Status == status {
			return last[0]
		}
		time.Sleep(5 * time.Second)
	}
	d.Fatalf("the refreshes are %+v, want %s", last, status)
	return c.Refresh{}
}

func TestAGroupIsToldWithItsInstances(t *testing.T) {
	desked(t, func(d *desk) {
		g, known, err := d.Group(background, "web")
		d.must(err)
		if !known || g.Min != 1 || g.Max != 10 || g.Desired != 4 || g.Template.ID != d.template.ID || g.Template.Version != "1" || g.Mixed || g.Tags["team"] != "edge" {
			t.Errorf("the group is %+v", g)
		}
		for _, m := range g.Members {
			if !m.Serves() || m.ImageID != d.images[0] || m.Template.Version != "1" || m.Type != "t3.micro" || m.Protected {
				t.Errorf("a member is %+v", m)
			}
		}
		if len(g.Members) != 4 {
			t.Errorf("%d members", len(g.Members))
		}
		if g, known, err := d.Group(background, "nobody"); known || err != nil {
			t.Errorf("a group that is not there: %+v, %v", g, err)
		}
	})
}

func TestARefreshGoesOnFromItsCheckpointToItsEnd(t *testing.T) {
	desked(t, func(d *desk) {
		request := d.rolling()
		id, err := d.StartRefresh(background, request)
		d.must(err)
		if _, err := d.StartRefresh(background, request); !jobs.IsClass(err, jobs.Busy) {
			t.Errorf("a second refresh: %v, want one of class Busy", err)
		}
		time.Sleep(8 * time.Minute)
		at, err := d.Refreshes(background, "web")
		d.must(err)
		if len(at) != 1 || at[0].ID != id || at[0].Percent != 50 || at[0].Left != 2 || at[0].Template.ID != d.template.ID || at[0].Template.Version != "2" ||
			!slices.Equal(at[0].Checkpoints, request.Checkpoints) || at[0].Started.IsZero() {
			t.Errorf("at the checkpoint: %+v", at)
		}
		if end := d.newest(c.RefreshSuccessful); end.Percent != 100 || end.Ended.IsZero() {
			t.Errorf("at the end: %+v", end)
		}
		g, _, err := d.Group(background, "web")
		d.must(err)
		if g.Template.Version != "2" {
			t.Errorf("AWS leaves the group at version %s", g.Template.Version)
		}
	})
}

func TestARefreshIsCancelledOnceAndBroughtBackWhereAWSDoesThat(t *testing.T) {
	desked(t, func(d *desk) {
		if begun, err := d.RollbackRefresh(background, "web"); begun || err != nil {
			t.Errorf("without a refresh: begun %v, %v", begun, err)
		}
		d.must(d.CancelRefresh(background, "web"))
		_, err := d.StartRefresh(background, d.rolling())
		d.must(err)
		time.Sleep(8 * time.Minute)
		begun, err := d.RollbackRefresh(background, "web")
		d.must(err)
		if !begun {
			t.Fatal("AWS did not begin to roll back")
		}
		d.newest(c.RefreshRolledBack)
		_, err = d.StartRefresh(background, d.rolling())
		d.must(err)
		time.Sleep(8 * time.Minute)
		for range 2 { // the second time is one whose answer was lost
			d.must(d.CancelRefresh(background, "web"))
			d.newest(c.RefreshCancelled)
		}
	})
}

func TestAMixedGroupKeepsItsPolicyButForTheVersion(t *testing.T) {
	desked(t, func(d *desk) {
		overrides := []types.LaunchTemplateOverrides{{InstanceType: aws.String("t3.micro")}, {InstanceType: aws.String("t3.small")}}
		d.make("mixed", func(in *autoscaling.CreateAutoScalingGroupInput) {
			in.MixedInstancesPolicy = &types.MixedInstancesPolicy{LaunchTemplate: &types.LaunchTemplate{LaunchTemplateSpecification: in.LaunchTemplate, Overrides: overrides},
				InstancesDistribution: &types.InstancesDistribution{OnDemandBaseCapacity: aws.Int32(1)}}
			in.LaunchTemplate = nil
		})
		g, _, err := d.Group(background, "mixed")
		d.must(err)
		if !g.Mixed || g.OwnTemplates || g.Template.Version != "1" {
			t.Errorf("the group is %+v", g)
		}
		request := d.rolling()
		request.Group = "mixed"
		_, err = d.StartRefresh(background, request)
		d.must(err)
		out, err := d.sdk.Groups.DescribeInstanceRefreshes(background, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("mixed")})
		d.must(err)
		policy := out.InstanceRefreshes[0].DesiredConfiguration.MixedInstancesPolicy
		if policy == nil || *policy.LaunchTemplate.LaunchTemplateSpecification.Version != "2" || len(policy.LaunchTemplate.Overrides) != 2 ||
			aws.ToInt32(policy.InstancesDistribution.OnDemandBaseCapacity) != 1 {
			t.Errorf("the desired configuration is %+v", policy)
		}
		if told, err := d.Refreshes(background, "mixed"); err != nil || told[0].Template.Version != "2" {
			t.Errorf("the refresh is %+v, %v", told, err)
		}
	})
}

func TestWhatARefreshIsAskedFor(t *testing.T) {
	desked(t, func(d *desk) {
		warmup := 45 * time.Second
		_, err := d.StartRefresh(background, c.RefreshRequest{Group: "web", Template: d.template, MinHealthy: 90, MaxHealthy: 110, Warmup: &warmup, Protected: true})
		d.must(err)
		out, err := d.sdk.Groups.DescribeInstanceRefreshes(background, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("web")})
		d.must(err)
		p := out.InstanceRefreshes[0].Preferences
		if *p.MinHealthyPercentage != 90 || *p.MaxHealthyPercentage != 110 || *p.InstanceWarmup != 45 || !*p.SkipMatching || len(p.CheckpointPercentages) > 0 || p.CheckpointDelay != nil ||
			p.ScaleInProtectedInstances != types.ScaleInProtectedInstancesRefresh || p.StandbyInstances != types.StandbyInstancesIgnore || aws.ToBool(p.AutoRollback) {
			t.Errorf("the preferences are %+v", p)
		}
		d.must(d.CancelRefresh(background, "web"))
		d.newest(c.RefreshCancelled)
		request := d.rolling()
		request.Alarms = []string{"web-5xx"}
		_, err = d.StartRefresh(background, request)
		d.must(err)
		out, err = d.sdk.Groups.DescribeInstanceRefreshes(background, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("web")})
		d.must(err)
		if p := out.InstanceRefreshes[0].Preferences; !slices.Equal(p.AlarmSpecification.Alarms, request.Alarms) || *p.CheckpointDelay != 600 ||
			p.ScaleInProtectedInstances != types.ScaleInProtectedInstancesIgnore {
			t.Errorf("the preferences are %+v", p)
		}
	})
}

func TestThrottlesAndLostAnswersAreTriedAgainAndWhatIsWrongIsNot(t *testing.T) {
	desked(t, func(d *desk) {
		group := func() error { _, _, err := d.Group(background, "web"); return err }
		refreshes := func() error { _, err := d.Refreshes(background, "web"); return err }
		begin := func() error { _, err := d.StartRefresh(background, d.rolling()); return err }
		cancel := func() error { return d.CancelRefresh(background, "web") }
		back := func() error { _, err := d.RollbackRefresh(background, "web"); return err }
		for name, tc := range map[string]struct {
			rule      localaws.Rule
			call      func() error
			class     jobs.Class
			ambiguous bool
		}{
			"a throttled look":                 {localaws.Rule{Action: "DescribeAutoScalingGroups", Code: "Throttling"}, group, jobs.Retry, false},
			"a throttled look at refreshes":    {localaws.Rule{Action: "DescribeInstanceRefreshes", Code: "Throttling"}, refreshes, jobs.Retry, false},
			"a throttled begin":                {localaws.Rule{Action: "StartInstanceRefresh", Code: "Throttling"}, begin, jobs.Retry, false},
			"contention":                       {localaws.Rule{Action: "StartInstanceRefresh", Code: "ResourceContention", Status: 500}, begin, jobs.Retry, true},
			"scaling under way":                {localaws.Rule{Action: "CancelInstanceRefresh", Code: "ScalingActivityInProgress"}, cancel, jobs.Busy, false},
			"a denied begin":                   {localaws.Rule{Action: "StartInstanceRefresh", Code: "AccessDenied", Status: 403}, begin, jobs.Fatal, false},
			"a rollback that AWS does not do":  {localaws.Rule{Action: "RollbackInstanceRefresh", Code: "IrreversibleInstanceRefresh"}, back, jobs.Unknown, false},
			"a cancel of what has ended":       {localaws.Rule{Action: "CancelInstanceRefresh", Code: "ActiveInstanceRefreshNotFound"}, cancel, jobs.Unknown, false},
			"a begin whose answer was lost":    {localaws.Rule{Action: "StartInstanceRefresh", Drop: true}, begin, jobs.Retry, true},
			"a cancel whose answer was lost":   {localaws.Rule{Action: "CancelInstanceRefresh", Drop: true}, cancel, jobs.Retry, true},
			"a rollback whose answer was lost": {localaws.Rule{Action: "RollbackInstanceRefresh", Drop: true}, back, jobs.Retry, true},
		} {
			d.endpoint.ClearFaults()
			d.fault(tc.rule)
			err := tc.call()
			told, _ := errors.AsType[*jobs.Error](err)
			if jobs.ClassOf(err) != tc.class || (err == nil) != (tc.class == jobs.Unknown) || told != nil && told.Ambiguous != tc.ambiguous {
				t.Errorf("%s: %v (ambiguous %v), want class %v", name, err, told != nil && told.Ambiguous, tc.class)
			}
		}
	})
}

func TestARefreshOfAGroupThatIsGoneFailsForGood(t *testing.T) {
	desked(t, func(d *desk) {
		request := d.rolling()
		request.Group = "nobody"
		if _, err := d.StartRefresh(background, request); !jobs.IsClass(err, jobs.Fatal) {
			t.Errorf("the answer is %v", err)
		}
	})
}
