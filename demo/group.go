package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scaling "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const groupServers = 3

// adopt makes an Auto Scaling group as somebody else would, and imports it.
func (s *show) adopt(ctx context.Context) error {
	ami, err := s.Stampmill(ctx, "image", "show", image, "--ami")
	if err != nil {
		return err
	}
	template, err := s.aws.EC2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String(group),
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(strings.TrimSpace(ami)), InstanceType: types.InstanceTypeM7gMedium}})
	if err != nil {
		return err
	}
	subnets, err := s.aws.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil {
		return err
	}
	var places []string
	for _, subnet := range subnets.Subnets {
		places = append(places, *subnet.SubnetId)
	}
	_, err = s.aws.Groups.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(group), MinSize: aws.Int32(groupServers), MaxSize: aws.Int32(2 * groupServers), DesiredCapacity: aws.Int32(groupServers),
		VPCZoneIdentifier: aws.String(strings.Join(places, ",")),
		LaunchTemplate:    &scaling.LaunchTemplateSpecification{LaunchTemplateId: template.LaunchTemplate.LaunchTemplateId, Version: aws.String("1")},
	})
	if err != nil {
		return err
	}
	if err := s.inService(ctx); err != nil {
		return err
	}
	_, err = s.Stampmill(ctx, "import", "fleet", group, "--auto-scaling-group", group, "--label", "patch=monthly", "--yes")
	if err == nil {
		s.say.line(green, "an Auto Scaling group of %d servers was there already: stampmill import fleet %s --auto-scaling-group %s", groupServers, group, group)
	}
	return err
}

// inService waits until the group has its servers.
func (s *show) inService(ctx context.Context) error {
	ticker := time.NewTicker(300 * time.Millisecond)
	defer ticker.Stop()
	for {
		out, err := s.aws.Groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
		if err != nil {
			return err
		}
		ready := 0
		for _, g := range out.AutoScalingGroups {
			for _, i := range g.Instances {
				if i.LifecycleState == scaling.LifecycleStateInService {
					ready++
				}
			}
		}
		if ready == groupServers {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of the group's %d servers are in service: %w", ready, groupServers, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
