// Package autoscaling is EC2 Auto Scaling as the kinds need it: groups, and their instance refreshes.
package autoscaling

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Service gives regions.
type Service struct{ clients *clients.Clients }

// New makes the service.
func New(clients *clients.Clients) *Service { return &Service{clients: clients} }

// For is the target's region.
func (s *Service) For(target jobs.Target) *Region {
	return &Region{client: s.clients.For(target).Groups}
}

// Region is EC2 Auto Scaling in one account and region. It is safe for concurrent use.
type Region struct {
	client *autoscaling.Client
}

// Group gives the group of that name with all its instances; false if there is none.
func (r *Region) Group(ctx context.Context, name string) (c.Group, bool, error) {
	found, ok, err := r.group(ctx, name)
	if err != nil || !ok {
		return c.Group{}, false, err
	}
	return group(found), true, nil
}

func (r *Region) group(ctx context.Context, name string) (types.AutoScalingGroup, bool, error) {
	out, err := r.client.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil {
		return types.AutoScalingGroup{}, false, awserr.From(err, name)
	}
	if len(out.AutoScalingGroups) == 0 {
		return types.AutoScalingGroup{}, false, nil
	}
	return out.AutoScalingGroups[0], true, nil
}

// Refreshes are the group's newest instance refreshes, the newest first.
func (r *Region) Refreshes(ctx context.Context, name string) ([]c.Refresh, error) {
	out, err := r.client.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String(name), MaxRecords: aws.Int32(10)})
	if err != nil {
		return nil, awserr.From(err, name)
	}
	list := make([]c.Refresh, 0, len(out.InstanceRefreshes))
	for _, f := range out.InstanceRefreshes {
		list = append(list, refresh(f))
	}
	return list, nil
}

// CancelRefresh asks for the end of the group's active refresh, once what is being launched and ended is through. Without an active
// one it is done.
func (r *Region) CancelRefresh(ctx context.Context, name string) error {
	_, err := r.client.CancelInstanceRefresh(ctx, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String(name)})
	if awserr.IsCode(err, "ActiveInstanceRefreshNotFound") {
		return nil
	}
	return awserr.From(err, name)
}

// RollbackRefresh has AWS roll the group's active refresh back. It is false where AWS does not do that: there is no active refresh
// any more, or AWS cannot roll it back.
func (r *Region) RollbackRefresh(ctx context.Context, name string) (begun bool, err error) {
	_, err = r.client.RollbackInstanceRefresh(ctx, &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String(name)})
	if awserr.IsCode(err, "ActiveInstanceRefreshNotFound", "IrreversibleInstanceRefresh") {
		return false, nil
	}
	return err == nil, awserr.From(err, name)
}

// StartRefresh begins an instance refresh. One that is under way already, whoever started it, is an error of class Busy.
func (r *Region) StartRefresh(ctx context.Context, request c.RefreshRequest) (id string, err error) {
	desired, err := r.desired(ctx, request)
	if err != nil {
		return "", err
	}
	preferences := &types.RefreshPreferences{
		MinHealthyPercentage: aws.Int32(int32(request.MinHealthy)), MaxHealthyPercentage: aws.Int32(int32(request.MaxHealthy)),
		SkipMatching: aws.Bool(true), ScaleInProtectedInstances: types.ScaleInProtectedInstancesIgnore, StandbyInstances: types.StandbyInstancesIgnore,
	}
	if request.Protected {
		preferences.ScaleInProtectedInstances = types.ScaleInProtectedInstancesRefresh
	}
	for _, percent := range request.Checkpoints {
		preferences.CheckpointPercentages = append(preferences.CheckpointPercentages, int32(percent))
	}
	if len(request.Checkpoints) > 0 {
		preferences.CheckpointDelay = seconds(request.Delay)
	}
	if request.Warmup != nil {
		preferences.InstanceWarmup = seconds(*request.Warmup)
	}
	if len(request.Alarms) > 0 {
		preferences.AlarmSpecification = &types.AlarmSpecification{Alarms: request.Alarms}
	}
	out, err := r.client.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String(request.Group), DesiredConfiguration: desired, Preferences: preferences, Strategy: types.RefreshStrategyRolling,
	})
	if err != nil {
		return "", awserr.From(err, request.Group)
	}
	return aws.ToString(out.InstanceRefreshId), nil
}

func seconds(d time.Duration) *int32 { return aws.Int32(int32(d / time.Second)) }

// desired is the pinned configuration. A group with a mixed instances policy keeps all of it but the launch template's version.
func (r *Region) desired(ctx context.Context, request c.RefreshRequest) (*types.DesiredConfiguration, error) {
	pinned := &types.LaunchTemplateSpecification{LaunchTemplateId: aws.String(request.Template.ID), Version: aws.String(request.Template.Version)}
	found, ok, err := r.group(ctx, request.Group)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, jobs.Fatalf("autoscaling StartInstanceRefresh", request.Group, "there is no such Auto Scaling group", "check its name, region and account")
	}
	if policy := found.MixedInstancesPolicy; policy != nil && policy.LaunchTemplate != nil {
		policy.LaunchTemplate.LaunchTemplateSpecification = pinned
		return &types.DesiredConfiguration{MixedInstancesPolicy: policy}, nil
	}
	return &types.DesiredConfiguration{LaunchTemplate: pinned}, nil
}

func group(g types.AutoScalingGroup) c.Group {
	shown := c.Group{
		Name: aws.ToString(g.AutoScalingGroupName), ARN: aws.ToString(g.AutoScalingGroupARN), Min: int(aws.ToInt32(g.MinSize)), Max: int(aws.ToInt32(g.MaxSize)),
		Desired: int(aws.ToInt32(g.DesiredCapacity)), Template: template(g.LaunchTemplate), Tags: map[string]string{}, TargetGroups: g.TargetGroupARNs,
		HealthCheckType: aws.ToString(g.HealthCheckType),
	}
	if policy := g.MixedInstancesPolicy; policy != nil && policy.LaunchTemplate != nil {
		shown.Mixed, shown.Template = true, template(policy.LaunchTemplate.LaunchTemplateSpecification)
		for _, override := range policy.LaunchTemplate.Overrides {
			shown.OwnTemplates = shown.OwnTemplates || override.LaunchTemplateSpecification != nil
		}
	}
	for _, tag := range g.Tags {
		shown.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	for _, i := range g.Instances {
		shown.Members = append(shown.Members, c.Member{
			InstanceID: aws.ToString(i.InstanceId), ImageID: aws.ToString(i.ImageId), Type: aws.ToString(i.InstanceType), Zone: aws.ToString(i.AvailabilityZone),
			State: string(i.LifecycleState), Healthy: strings.EqualFold(aws.ToString(i.HealthStatus), "Healthy"), Protected: aws.ToBool(i.ProtectedFromScaleIn),
			Template: template(i.LaunchTemplate),
		})
	}
	return shown
}

func template(t *types.LaunchTemplateSpecification) c.LaunchTemplate {
	if t == nil {
		return c.LaunchTemplate{}
	}
	shown := c.LaunchTemplate{ID: aws.ToString(t.LaunchTemplateId), Name: aws.ToString(t.LaunchTemplateName), Version: aws.ToString(t.Version)}
	if shown.Version == "" {
		shown.Version = "$Default"
	}
	return shown
}

func refresh(f types.InstanceRefresh) c.Refresh {
	shown := c.Refresh{
		ID: aws.ToString(f.InstanceRefreshId), Status: string(f.Status), Reason: aws.ToString(f.StatusReason), Percent: int(aws.ToInt32(f.PercentageComplete)),
		Left: int(aws.ToInt32(f.InstancesToUpdate)), Started: aws.ToTime(f.StartTime), Ended: aws.ToTime(f.EndTime),
	}
	if d := f.DesiredConfiguration; d != nil {
		if policy := d.MixedInstancesPolicy; policy != nil && policy.LaunchTemplate != nil {
			shown.Template = template(policy.LaunchTemplate.LaunchTemplateSpecification)
		} else if d.LaunchTemplate != nil {
			shown.Template = template(d.LaunchTemplate)
		}
	}
	if f.Preferences != nil {
		for _, percent := range f.Preferences.CheckpointPercentages {
			shown.Checkpoints = append(shown.Checkpoints, int(percent))
		}
	}
	if d := f.RollbackDetails; d != nil {
		shown.RollbackReason = aws.ToString(d.RollbackReason)
	}
	return shown
}
