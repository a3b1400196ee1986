package rig_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scaling "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

func TestAnImportedGroupKeepsItsServersToItself(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		own := b.User.Clients.For(jobs.Target{})
		template, err := own.EC2.CreateLaunchTemplate(background, &sdkec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("pool"),
			LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(arm64()), InstanceType: types.InstanceTypeM7gLarge}})
		b.must(err)
		_, err = own.Groups.CreateAutoScalingGroup(background, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("pool"),
			MinSize: aws.Int32(0), MaxSize: aws.Int32(3), DesiredCapacity: aws.Int32(0), AvailabilityZones: []string{rig.Region + "a"},
			LaunchTemplate: &scaling.LaunchTemplateSpecification{LaunchTemplateId: template.LaunchTemplate.LaunchTemplateId, Version: aws.String("1")}})
		b.must(err)
		before := estateOf(b.Rig)
		b.worker(nil)
		b.ends(b.submit("import", "kind: Import\nname: pool\nspec: {fleet: {group: pool}}\n"), jobs.Succeeded)
		for key, text := range map[string]string{
			"launch":    "kind: Launch\nname: pool\nspec: {image: " + arm64() + ", count: 1, pools: [{types: [m7g.large]}]}\n",
			"terminate": "kind: Terminate\nname: down\nspec: {fleet: pool, all: true}\n",
			"again":     "kind: Import\nname: second\nspec: {fleet: {group: pool}}\n",
		} {
			if job := b.ends(b.submit(key, text), jobs.Failed); !strings.Contains(job.Failure, "the Auto Scaling group pool") {
				t.Errorf("%s failed of %q", key, job.Failure)
			}
		}
		if _, kinds := b.drifts(false); len(kinds) > 0 {
			t.Errorf("drift of the group: %v", kinds)
		}
		b.ends(b.submit("back", "kind: Import\nname: pool\nspec: {undo: fleet}\n"), jobs.Succeeded)
		b.must(untouched(b.Rig, before))
	})
}
