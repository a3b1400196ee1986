package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/rig"
)

// bootSeconds is from a launch to a server that answers (aws-facts "Times seen in the field").
const bootSeconds = 30

// A target is healthy one interval of checks after it was registered, and drains as long as its group says.
const (
	checkSeconds = 10
	drainSeconds = 30
)

// chain is the line of images whose captures took longest together, with a boot for each and one for a server of its fleet,
// one health check and one draining.
func (d patchDay) chain(ctx context.Context, r *rig.Rig) (float64, error) {
	images, err := r.User.Ledger.ListImages(ctx)
	if err != nil {
		return 0, err
	}
	versions, err := r.User.Ledger.CurrentVersions(ctx, images)
	if err != nil {
		return 0, err
	}
	longest := 0.0
	for _, v := range versions {
		line, boots := 0.0, 1
		for at, known := v, true; known; at, known = versions[ledger.ImageOf(at.Parent)] {
			line += at.Took["capture "+rig.Region]
			boots++
		}
		longest = max(longest, line+float64(boots*bootSeconds))
	}
	return longest + checkSeconds + drainSeconds, nil
}

// makeTargetGroups makes target groups of the account's first VPC.
func makeTargetGroups(ctx context.Context, r *rig.Rig, names []string) error {
	own := r.User.Clients.For(jobs.Target{})
	subnets, err := own.EC2.DescribeSubnets(ctx, &sdkec2.DescribeSubnetsInput{})
	if err != nil {
		return err
	}
	if len(subnets.Subnets) == 0 {
		return errors.New("the endpoint has no subnets")
	}
	for _, name := range names {
		made, err := own.ELBv2.CreateTargetGroup(ctx, &elasticloadbalancingv2.CreateTargetGroupInput{Name: aws.String(name), Port: aws.Int32(80),
			Protocol: elb.ProtocolEnumHttp, VpcId: subnets.Subnets[0].VpcId, TargetType: elb.TargetTypeEnumInstance, HealthCheckIntervalSeconds: aws.Int32(checkSeconds)})
		if err != nil {
			return err
		}
		if _, err := own.ELBv2.ModifyTargetGroupAttributes(ctx, &elasticloadbalancingv2.ModifyTargetGroupAttributesInput{
			TargetGroupArn: made.TargetGroups[0].TargetGroupArn, Attributes: []elb.TargetGroupAttribute{{
				Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String(strconv.Itoa(drainSeconds))}}}); err != nil {
			return err
		}
	}
	return nil
}
