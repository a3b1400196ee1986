// Package elbv2 is Elastic Load Balancing as the kinds need it: target groups and the servers in them.
package elbv2

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// targetsPerCall keeps a request of registrations small.
const targetsPerCall = 100

// Service gives regions.
type Service struct{ clients *clients.Clients }

// New makes the service.
func New(clients *clients.Clients) *Service { return &Service{clients: clients} }

// For is the target's region.
func (s *Service) For(target jobs.Target) *Region {
	return &Region{client: s.clients.For(target).ELBv2}
}

// Region is Elastic Load Balancing in one account and region. It is safe for concurrent use.
type Region struct {
	client *elasticloadbalancingv2.Client
}

// TargetGroup gives the ARN of the target group with that name or ARN. One that does not exist is an error that fails for
// good, and so is one whose targets are not instances.
func (r *Region) TargetGroup(ctx context.Context, nameOrARN string) (arn string, err error) {
	in := &elasticloadbalancingv2.DescribeTargetGroupsInput{}
	if strings.HasPrefix(nameOrARN, "arn:") {
		in.TargetGroupArns = []string{nameOrARN}
	} else {
		in.Names = []string{nameOrARN}
	}
	out, err := r.client.DescribeTargetGroups(ctx, in)
	if err != nil && !awserr.IsCode(err, "TargetGroupNotFound") {
		return "", awserr.From(err, nameOrARN)
	}
	if err != nil || len(out.TargetGroups) == 0 {
		return "", jobs.Fatalf("elasticloadbalancingv2 DescribeTargetGroups", nameOrARN, "there is no such target group", "check its name, region and account")
	}
	group := out.TargetGroups[0]
	if group.TargetType != "" && group.TargetType != types.TargetTypeEnumInstance {
		return "", jobs.Fatalf("elasticloadbalancingv2 DescribeTargetGroups", nameOrARN, "its targets are of type "+string(group.TargetType), "use a target group with target type instance")
	}
	return aws.ToString(group.TargetGroupArn), nil
}

// Register puts the servers into the target group. One that is in it already stays so.
func (r *Region) Register(ctx context.Context, arn string, instanceIDs ...string) error {
	for chunk := range slices.Chunk(instanceIDs, targetsPerCall) {
		_, err := r.client.RegisterTargets(ctx, &elasticloadbalancingv2.RegisterTargetsInput{TargetGroupArn: aws.String(arn), Targets: targets(chunk)})
		if err != nil {
			return awserr.From(err, arn)
		}
	}
	return nil
}

// Deregister takes the servers out, which then drain. What is not in the group, or a group that is gone, is no error; a
// server that the group refuses keeps none of the others in it.
func (r *Region) Deregister(ctx context.Context, arn string, instanceIDs ...string) error {
	for chunk := range slices.Chunk(instanceIDs, targetsPerCall) {
		_, err := r.client.DeregisterTargets(ctx, &elasticloadbalancingv2.DeregisterTargetsInput{TargetGroupArn: aws.String(arn), Targets: targets(chunk)})
		switch {
		case awserr.IsCode(err, "TargetGroupNotFound"):
			return nil
		case awserr.IsCode(err, "InvalidTarget") && len(chunk) > 1:
			half := len(chunk) / 2
			if err := errors.Join(r.Deregister(ctx, arn, chunk[:half]...), r.Deregister(ctx, arn, chunk[half:]...)); err != nil {
				return err
			}
		case err != nil && !awserr.IsCode(err, "InvalidTarget"):
			return awserr.From(err, arn)
		}
	}
	return nil
}

// Health tells of the servers, or of all in the group. One that is not in the group is unused.
func (r *Region) Health(ctx context.Context, arn string, instanceIDs ...string) ([]c.TargetHealth, error) {
	if len(instanceIDs) == 0 {
		return r.health(ctx, arn, nil)
	}
	var list []c.TargetHealth
	for chunk := range slices.Chunk(instanceIDs, targetsPerCall) {
		found, err := r.health(ctx, arn, targets(chunk))
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

func (r *Region) health(ctx context.Context, arn string, of []types.TargetDescription) ([]c.TargetHealth, error) {
	out, err := r.client.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: aws.String(arn), Targets: of})
	if awserr.IsCode(err, "InvalidTarget") && len(of) > 0 { // the group refuses one of them: what it says of all has the others
		out, err = r.client.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: aws.String(arn)})
	}
	if err != nil {
		return nil, awserr.From(err, arn)
	}
	var list []c.TargetHealth
	for _, d := range out.TargetHealthDescriptions {
		if d.Target == nil || d.TargetHealth == nil || !asked(of, aws.ToString(d.Target.Id)) {
			continue
		}
		list = append(list, c.TargetHealth{
			InstanceID: aws.ToString(d.Target.Id), State: string(d.TargetHealth.State), Reason: string(d.TargetHealth.Reason),
		})
	}
	return list, nil
}

func asked(of []types.TargetDescription, id string) bool {
	return len(of) == 0 || slices.ContainsFunc(of, func(t types.TargetDescription) bool { return aws.ToString(t.Id) == id })
}

func targets(ids []string) []types.TargetDescription {
	list := make([]types.TargetDescription, 0, len(ids))
	for _, id := range ids {
		list = append(list, types.TargetDescription{Id: aws.String(id)})
	}
	return list
}
