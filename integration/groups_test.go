package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	groups "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// group makes an Auto Scaling group of the installation's own from an AMI, with so many instances in service.
func (m *mill) group(ami, version string, size int) string {
	m.t.Helper()
	name := m.prefix + "-group"
	own := []types.TagSpecification{{ResourceType: types.ResourceTypeLaunchTemplate, Tags: []types.Tag{{Key: aws.String("stampmill:installation"), Value: &m.prefix}}}}
	if _, err := m.aws().EC2.CreateLaunchTemplate(m.t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, TagSpecifications: own,
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &ami, InstanceType: types.InstanceTypeT3Medium}}); err != nil {
		m.t.Fatal(err)
	}
	subnets, err := m.EC2.For(m.own()).Subnets(m.t.Context(), nil, nil)
	if err != nil || len(subnets) == 0 {
		m.t.Fatalf("no default subnet: %v", err)
	}
	if _, err := m.aws().Groups.CreateAutoScalingGroup(m.t.Context(), &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: &name,
		MinSize: aws.Int32(0), MaxSize: aws.Int32(10), DesiredCapacity: aws.Int32(int32(size)), VPCZoneIdentifier: &subnets[0].ID, HealthCheckGracePeriod: aws.Int32(1),
		LaunchTemplate: &groups.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: &version}}); err != nil {
		m.t.Fatal(err)
	}
	m.until("the group's instances", func() bool { return len(m.inService(name)) == size })
	return name
}

// inService are the ids and AMIs of a group's instances.
func (m *mill) inService(name string) map[string]string {
	m.t.Helper()
	out, err := m.aws().Groups.DescribeAutoScalingGroups(m.t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil || len(out.AutoScalingGroups) != 1 {
		m.t.Fatalf("the group %s: %v, %v", name, out, err)
	}
	var there []string
	for _, i := range out.AutoScalingGroups[0].Instances {
		if i.LifecycleState == groups.LifecycleStateInService {
			there = append(there, aws.ToString(i.InstanceId))
		}
	}
	amis := map[string]string{}
	if len(there) == 0 {
		return amis
	}
	found, err := m.aws().EC2.DescribeInstances(m.t.Context(), &ec2.DescribeInstancesInput{InstanceIds: there})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, r := range found.Reservations {
		for _, i := range r.Instances {
			amis[aws.ToString(i.InstanceId)] = aws.ToString(i.ImageId)
		}
	}
	return amis
}

// templateVersions are the AMIs of a launch template's versions, the first one first.
func (m *mill) templateVersions(name string) []string {
	m.t.Helper()
	out, err := m.aws().EC2.DescribeLaunchTemplateVersions(m.t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: &name})
	if err != nil {
		m.t.Fatal(err)
	}
	slices.SortFunc(out.LaunchTemplateVersions, func(a, b types.LaunchTemplateVersion) int {
		return int(aws.ToInt64(a.VersionNumber) - aws.ToInt64(b.VersionNumber))
	})
	var amis []string
	for _, v := range out.LaunchTemplateVersions {
		amis = append(amis, aws.ToString(v.LaunchTemplateData.ImageId))
	}
	return amis
}

func TestAGroupIsImportedAndRolledByAnInstanceRefresh(t *testing.T) {
	t.Parallel()
	unserved(t, map[string]string{localstack: noGroups})
	m := newMill(t)
	m.work()
	m.bakeWebTwice()
	one, two := m.version("web", 1).Regions[region].AMI, m.version("web", 2).Regions[region].AMI
	name := m.group(one, "1", 2)
	before := m.inService(name)
	m.do("import", "fleet", "shop", "--auto-scaling-group", name, "--yes")
	fleet := show[struct {
		Group, Image string
		Count        int
	}](m, "fleet", "show", "shop")
	if fleet.Group != name || fleet.Image != "web@1" || fleet.Count != 2 {
		t.Errorf("imported is %+v", fleet)
	}

	id := m.submit("kind: Rollout\nname: shop\nspec: {fleet: shop, image: web@2, waves: [100%]}\n")[0]
	m.until("a version of the launch template", func() bool { return slices.Equal(m.templateVersions(name), []string{one, two}) })
	t.Run("refresh", func(t *testing.T) {
		m.untilNoRefreshes(id)
		unserved(t, map[string]string{independent: noRefreshes})
		m.ended(0, id)
		after := m.inService(name)
		for instance, ami := range after {
			if ami != two || before[instance] != "" {
				t.Errorf("%s runs %s, expected a new instance of %s", instance, ami, two)
			}
		}
		if len(after) != 2 {
			t.Errorf("the group has %v", after)
		}
		m.inLine("shop")
	})
}

// untilNoRefreshes waits, on an endpoint without instance refreshes, until the rollout says that it waits for them.
func (m *mill) untilNoRefreshes(id string) {
	m.t.Helper()
	if endpointName() != independent {
		return
	}
	m.until("the rollout to say what it waits for", func() bool {
		row := m.row(id)
		return row != nil && row.Job.Wait != nil && strings.Contains(row.Job.Wait.For, "autoscaling DescribeInstanceRefreshes")
	})
}

func TestAGroupThatFollowsItsTemplateIsRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	unserved(t, map[string]string{localstack: noGroups})
	m := newMill(t)
	m.work()
	m.bakeWeb()
	m.do("import", "fleet", "shop", "--auto-scaling-group", m.group(linux, "$Latest", 1), "--yes")
	job := m.ended(exitJobFailed, m.submit("kind: Rollout\nname: shop\nspec: {fleet: shop, image: web}\n")...)[0]
	if !strings.Contains(job.Failure, "$Latest") || !strings.Contains(job.Failure, "update-auto-scaling-group") {
		t.Errorf("the refusal names no remedy: %s", job)
	}
}
