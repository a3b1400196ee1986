package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
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

// waveSeconds is what a wave takes at least: a boot, one health check and one draining.
const waveSeconds = bootSeconds + checkSeconds + drainSeconds

// chain is the line of images that took longest, and one wave for those that have a fleet.
func (d patchDay) chain(lines map[string]float64) float64 {
	longest := 0.0
	for _, line := range lines {
		longest = max(longest, line)
	}
	for _, demand := range d.demands(lines) {
		longest = max(longest, demand.at+waveSeconds)
	}
	return longest
}

// lines are when each image can be there at the earliest: after the captures of its line, which took what they took, and a boot
// of a builder for each.
func (d patchDay) lines(ctx context.Context, r *rig.Rig) (map[string]float64, error) {
	images, err := r.User.Ledger.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	versions, err := r.User.Ledger.CurrentVersions(ctx, images)
	if err != nil {
		return nil, err
	}
	lines := map[string]float64{}
	for name, v := range versions {
		for at, known := v, true; known; at, known = versions[ledger.ImageOf(at.Parent)] {
			lines[name] += at.Took["capture "+rig.Region] + bootSeconds
		}
	}
	return lines, nil
}

// demand is tokens that a bucket is asked for at an instant at the earliest.
type demand struct{ at, tokens float64 }

// demands are those of the fleets' servers: they come when their image is there.
func (d patchDay) demands(lines map[string]float64) (all []demand) {
	for n := range d.fleets {
		all = append(all, demand{lines[d.imageOf(n)], float64(d.each)})
	}
	return all
}

// least is when a bucket that is full at first can have granted them all: whatever comes from an instant on finds no more than
// a full bucket then.
func least(all []demand, size, refill float64) float64 {
	slices.SortFunc(all, func(a, b demand) int { return cmp.Compare(b.at, a.at) })
	sum, last := 0.0, 0.0
	for _, d := range all {
		sum += d.tokens
		last = max(last, d.at+max(sum-size, 0)/refill)
	}
	return last
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
