package ec2

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestADataVolumeOutlivesItsInstanceAndMovesToAnother(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		inZone := func(in *sdk.RunInstancesInput) {
			in.Placement = &types.Placement{AvailabilityZone: aws.String("eu-west-1b")}
		}
		create := &sdk.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1b"), Size: aws.Int32(10), VolumeType: "gp3", ClientToken: aws.String("v")}
		volume := *must(b.CreateVolume(ctx, create))(t).VolumeId
		if again := *must(b.CreateVolume(ctx, create))(t).VolumeId; again != volume {
			t.Error("the same token made another volume")
		}
		first := b.running(t, inZone)
		attach := func(instance string) {
			must(b.AttachVolume(ctx, &sdk.AttachVolumeInput{VolumeId: &volume, InstanceId: &instance, Device: aws.String("/dev/sdf")}))(t)
			must(b.StopInstances(ctx, &sdk.StopInstancesInput{InstanceIds: []string{instance}}))(t)
			time.Sleep(12 * time.Second)
			must(b.StartInstances(ctx, &sdk.StartInstancesInput{InstanceIds: []string{instance}}))(t)
			time.Sleep(10 * time.Second)
		}
		attach(first)
		b.host.of(t, first).write("/dev/sdf", "/data", "precious")
		must(b.TerminateInstances(ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{first}}))(t)
		time.Sleep(10 * time.Second)
		second := b.running(t, inZone)
		attach(second)
		if content := b.host.of(t, second).read("/dev/sdf", "/data"); content != "precious" {
			t.Errorf("the second instance reads %q", content)
		}
		_, err := b.DeleteVolume(ctx, &sdk.DeleteVolumeInput{VolumeId: &volume})
		wantCode(t, err, "VolumeInUse")
		must(b.DetachVolume(ctx, &sdk.DetachVolumeInput{VolumeId: &volume}))(t)
		_, err = b.DeleteVolume(ctx, &sdk.DeleteVolumeInput{VolumeId: &volume})
		wantCode(t, err, "VolumeInUse")
		time.Sleep(4 * time.Second)
		must(b.DeleteVolume(ctx, &sdk.DeleteVolumeInput{VolumeId: &volume}))(t)
	})
}

func TestAddressesOfASubnetAreCountedAndRunOut(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		free := func() int32 {
			return *must(b.DescribeSubnets(ctx, &sdk.DescribeSubnetsInput{Filters: []types.Filter{{Name: aws.String("availability-zone"), Values: []string{"eu-west-1a"}}}}))(t).Subnets[0].AvailableIpAddressCount
		}
		subnet := b.run(t, 1, func(in *sdk.RunInstancesInput) {
			in.Placement = &types.Placement{AvailabilityZone: aws.String("eu-west-1a")}
		}).Instances[0].SubnetId
		if n := free(); n != 4090 {
			t.Errorf("%d addresses are free, want 4090", n)
		}
		inSubnet := func(in *sdk.RunInstancesInput) { in.SubnetId = subnet }
		if n := len(b.run(t, 5000, inSubnet).Instances); n != 4090 {
			t.Errorf("granted %d instances", n)
		}
		_, err := b.tryRun(1, inSubnet)
		wantCode(t, err, "InsufficientFreeAddressesInSubnet")
		seen := map[string]bool{}
		for _, i := range b.service.Inspect().Instances {
			if seen[i.PrivateIP] {
				t.Fatalf("two instances have %s", i.PrivateIP)
			}
			seen[i.PrivateIP] = true
		}
	})
}

func TestTagsAreSetReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx, id := t.Context(), b.running(t)
		set := func(key, value string) error {
			_, err := b.CreateTags(ctx, &sdk.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: &key, Value: &value}}})
			return err
		}
		for _, value := range []string{"one", "two"} {
			if err := set("Name", value); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, set("aws:own", "x"), "InvalidParameterValue")
		byTag := func(value string) int {
			out := must(b.DescribeInstances(ctx, &sdk.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("tag:Name"), Values: []string{value}}}}))(t)
			return len(out.Reservations)
		}
		if byTag("one") != 0 || byTag("two") != 1 {
			t.Error("the filter does not follow the tag")
		}
		listed := must(b.DescribeTags(ctx, &sdk.DescribeTagsInput{Filters: []types.Filter{{Name: aws.String("resource-id"), Values: []string{id}}}}))(t)
		if len(listed.Tags) != 1 || *listed.Tags[0].Value != "two" || listed.Tags[0].ResourceType != "instance" {
			t.Errorf("tags: %+v", listed.Tags)
		}
		remove := func(value string) {
			must(b.DeleteTags(ctx, &sdk.DeleteTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: aws.String("Name"), Value: &value}}}))(t)
		}
		remove("one")
		if byTag("two") != 1 {
			t.Error("a tag with another value was deleted")
		}
		remove("two")
		if byTag("two") != 0 {
			t.Error("the tag is still found")
		}
		for n := range maxTags {
			if err := set(fmt.Sprint("k", n), "v"); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, set("one-more", "v"), "TagLimitExceeded")
	})
}

func TestAServerReadsItsTagsWhereMetadataAllowsIt(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		id := b.running(t, func(in *sdk.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{tagged("instance", "Name", "web")}
		})
		read := b.host.of(t, id).config.Tags
		if tags := read(); tags != nil {
			t.Errorf("without InstanceMetadataTags the server reads %v", tags)
		}
		must(b.ModifyInstanceMetadataOptions(t.Context(), &sdk.ModifyInstanceMetadataOptionsInput{InstanceId: &id, InstanceMetadataTags: "enabled"}))(t)
		must(b.CreateTags(t.Context(), &sdk.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: aws.String("Team"), Value: aws.String("edge")}}}))(t)
		if tags := read(); tags["Name"] != "web" || tags["Team"] != "edge" {
			t.Errorf("the server reads %v", tags)
		}
	})
}

func TestSecurityGroupsAreFoundByNameAndHeldByTheirInstances(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		create := &sdk.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("web")}
		group := must(b.CreateSecurityGroup(ctx, create))(t).GroupId
		_, err := b.CreateSecurityGroup(ctx, create)
		wantCode(t, err, "InvalidGroup.Duplicate")
		rule := &sdk.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: []types.IpPermission{
			{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(80), IpRanges: []types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}}},
		}}
		must(b.AuthorizeSecurityGroupIngress(ctx, rule))(t)
		_, err = b.AuthorizeSecurityGroupIngress(ctx, rule)
		wantCode(t, err, "InvalidPermission.Duplicate")
		found := must(b.DescribeSecurityGroups(ctx, &sdk.DescribeSecurityGroupsInput{GroupNames: []string{"web"}}))(t).SecurityGroups[0]
		if *found.GroupId != *group || *found.IpPermissions[0].IpRanges[0].CidrIp != "10.0.0.0/8" {
			t.Errorf("found %+v", found)
		}
		id := b.running(t, func(in *sdk.RunInstancesInput) { in.SecurityGroups = []string{"web"} })
		_, err = b.DeleteSecurityGroup(ctx, &sdk.DeleteSecurityGroupInput{GroupId: group})
		wantCode(t, err, "DependencyViolation")
		must(b.TerminateInstances(ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
		time.Sleep(10 * time.Second)
		must(b.DeleteSecurityGroup(ctx, &sdk.DeleteSecurityGroupInput{GroupId: group}))(t)
	})
}

func TestTypesSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		m7g := must(b.DescribeInstanceTypes(ctx, &sdk.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"m7g.xlarge"}}))(t).InstanceTypes[0]
		if *m7g.VCpuInfo.DefaultVCpus != 4 || *m7g.MemoryInfo.SizeInMiB != 16384 || m7g.ProcessorInfo.SupportedArchitectures[0] != "arm64" ||
			!slices.Contains(m7g.SupportedUsageClasses, "spot") {
			t.Errorf("m7g.xlarge: %+v", m7g)
		}
		_, err := b.DescribeInstanceTypes(ctx, &sdk.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"z1.huge"}})
		wantCode(t, err, "InvalidInstanceType")
		count := 0
		pages := sdk.NewDescribeInstanceTypesPaginator(b, &sdk.DescribeInstanceTypesInput{MaxResults: aws.Int32(20)})
		for pages.HasMorePages() {
			count += len(must(pages.NextPage(ctx))(t).InstanceTypes)
		}
		if count != len(instanceTypes) {
			t.Errorf("pages show %d types of %d", count, len(instanceTypes))
		}
	})
}

func TestTheSameSeedGivesTheSameIDs(t *testing.T) {
	t.Parallel()
	var made [2][]string
	for n := range made {
		virtual(t, func(t *testing.T, b *bundle) {
			made[n] = ids(b.run(t, 3, token("same")))
			made[n] = append(made[n], b.image(t, b.running(t), "web", true))
		})
	}
	if !slices.Equal(made[0], made[1]) {
		t.Errorf("ids differ: %v", made)
	}
}

func TestAnUnknownActionIsRefused(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		_, err := b.MonitorInstances(t.Context(), &sdk.MonitorInstancesInput{InstanceIds: []string{"i-1"}})
		wantCode(t, err, "InvalidAction")
	})
}

func TestWildcardsMatchAsEC2s(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"*", "", true}, {"a*c", "abc", true}, {"a*c", "ab", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{`a\*c`, "a*c", true}, {`a\*c`, "abc", false}, {"**x", "yx", true}, {"", "a", false},
	} {
		if got := wildcard(c.pattern, c.value); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.value, got)
		}
	}
}
