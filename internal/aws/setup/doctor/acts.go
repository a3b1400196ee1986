package doctor

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/stampmill/stampmill/internal/jobs"
)

// tagged are the tags on create that the policies ask for.
func tagged(installation string, resources ...types.ResourceType) []types.TagSpecification {
	specs := make([]types.TagSpecification, len(resources))
	for i, resource := range resources {
		specs[i] = types.TagSpecification{ResourceType: resource, Tags: []types.Tag{{Key: aws.String(jobs.TagInstallation), Value: &installation}}}
	}
	return specs
}

// launch tries a launch, with tags on create, of a public AMI in the first subnet.
func (l *looker) launch(ctx context.Context, installation string) trial {
	t := trial{action: launching, changes: true}
	image, err := l.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(publicImage)})
	if err != nil || image.Parameter == nil {
		return t
	}
	subnets, err := l.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{MaxResults: aws.Int32(5)})
	if err != nil || len(subnets.Subnets) == 0 {
		return t
	}
	t.try = func(ctx context.Context) error {
		_, err := l.ec2.RunInstances(ctx, &ec2.RunInstancesInput{DryRun: dry, ImageId: image.Parameter.Value, SubnetId: subnets.Subnets[0].SubnetId,
			InstanceType: types.InstanceTypeT4gNano, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			TagSpecifications: tagged(installation, types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface)})
		return err
	}
	return t
}

// onServer are the dry runs on a server. The first one would do no harm if an endpoint took it seriously: the tag is there.
func (l *looker) onServer(id, installation string) []trial {
	ids, e := []string{id}, l.ec2
	return on(id, []trial{
		{"ec2:CreateTags", true, func(ctx context.Context) error {
			_, err := e.CreateTags(ctx, &ec2.CreateTagsInput{DryRun: dry, Resources: ids, Tags: tagged(installation, types.ResourceTypeInstance)[0].Tags})
			return err
		}},
		{"ec2:CreateImage", true, func(ctx context.Context) error {
			_, err := e.CreateImage(ctx, &ec2.CreateImageInput{DryRun: dry, InstanceId: &id, Name: aws.String("stampmill-doctor"),
				TagSpecifications: tagged(installation, types.ResourceTypeImage, types.ResourceTypeSnapshot)})
			return err
		}},
		{"ec2:StartInstances", true, func(ctx context.Context) error {
			_, err := e.StartInstances(ctx, &ec2.StartInstancesInput{DryRun: dry, InstanceIds: ids})
			return err
		}},
		{"ec2:StopInstances", true, func(ctx context.Context) error {
			_, err := e.StopInstances(ctx, &ec2.StopInstancesInput{DryRun: dry, InstanceIds: ids})
			return err
		}},
		{"ec2:RebootInstances", true, func(ctx context.Context) error {
			_, err := e.RebootInstances(ctx, &ec2.RebootInstancesInput{DryRun: dry, InstanceIds: ids})
			return err
		}},
		{"ec2:TerminateInstances", true, func(ctx context.Context) error {
			_, err := e.TerminateInstances(ctx, &ec2.TerminateInstancesInput{DryRun: dry, InstanceIds: ids})
			return err
		}},
		{"ec2:GetConsoleOutput", false, func(ctx context.Context) error {
			_, err := e.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{DryRun: dry, InstanceId: &id})
			return err
		}},
	})
}

// onImage are the dry runs on an AMI.
func (l *looker) onImage(id, installation string) []trial {
	e := l.ec2
	return on(id, []trial{
		{"ec2:DescribeImageAttribute", false, func(ctx context.Context) error {
			_, err := e.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{DryRun: dry, ImageId: &id,
				Attribute: types.ImageAttributeNameLaunchPermission})
			return err
		}},
		{"ec2:DescribeImageReferences", false, func(ctx context.Context) error {
			_, err := e.DescribeImageReferences(ctx, &ec2.DescribeImageReferencesInput{DryRun: dry, ImageIds: []string{id},
				IncludeAllResourceTypes: aws.Bool(true)})
			return err
		}},
		{"ec2:CopyImage", true, func(ctx context.Context) error {
			_, err := e.CopyImage(ctx, &ec2.CopyImageInput{DryRun: dry, SourceImageId: &id, SourceRegion: aws.String(l.target.Region),
				Name:              aws.String("stampmill-doctor"),
				TagSpecifications: tagged(installation, types.ResourceTypeImage, types.ResourceTypeSnapshot)})
			return err
		}},
		{"ec2:ModifyImageAttribute", true, func(ctx context.Context) error {
			_, err := e.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{DryRun: dry, ImageId: &id, Attribute: aws.String("description"),
				Description: &types.AttributeValue{Value: aws.String("")}})
			return err
		}},
		{"ec2:EnableImageDeprecation", true, func(ctx context.Context) error {
			_, err := e.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{DryRun: dry, ImageId: &id,
				DeprecateAt: aws.Time(time.Now().Add(365 * 24 * time.Hour))})
			return err
		}},
		{"ec2:EnableImageDeregistrationProtection", true, func(ctx context.Context) error {
			_, err := e.EnableImageDeregistrationProtection(ctx, &ec2.EnableImageDeregistrationProtectionInput{DryRun: dry, ImageId: &id})
			return err
		}},
		{"ec2:DisableImageDeregistrationProtection", true, func(ctx context.Context) error {
			_, err := e.DisableImageDeregistrationProtection(ctx, &ec2.DisableImageDeregistrationProtectionInput{DryRun: dry, ImageId: &id})
			return err
		}},
		{"ec2:DeregisterImage", true, func(ctx context.Context) error {
			_, err := e.DeregisterImage(ctx, &ec2.DeregisterImageInput{DryRun: dry, ImageId: &id})
			return err
		}},
	})
}

// onOthers are the dry runs on a snapshot, a volume and a spot request.
func (l *looker) onOthers(have belongings) []trial {
	e := l.ec2
	all := on(have.snapshot, []trial{
		{"ec2:DescribeSnapshotAttribute", false, func(ctx context.Context) error {
			_, err := e.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{DryRun: dry, SnapshotId: &have.snapshot,
				Attribute: types.SnapshotAttributeNameCreateVolumePermission})
			return err
		}},
		{"ec2:ModifySnapshotAttribute", true, func(ctx context.Context) error {
			_, err := e.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{DryRun: dry, SnapshotId: &have.snapshot,
				Attribute: types.SnapshotAttributeNameCreateVolumePermission, OperationType: types.OperationTypeRemove, UserIds: []string{"123456789012"}})
			return err
		}},
		{"ec2:DeleteSnapshot", true, func(ctx context.Context) error {
			_, err := e.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{DryRun: dry, SnapshotId: &have.snapshot})
			return err
		}},
	})
	all = append(all, on(have.volume, []trial{{"ec2:DeleteVolume", true, func(ctx context.Context) error {
		_, err := e.DeleteVolume(ctx, &ec2.DeleteVolumeInput{DryRun: dry, VolumeId: &have.volume})
		return err
	}}})...)
	return append(all, on(have.spot, []trial{{"ec2:CancelSpotInstanceRequests", true, func(ctx context.Context) error {
		_, err := e.CancelSpotInstanceRequests(ctx, &ec2.CancelSpotInstanceRequestsInput{DryRun: dry, SpotInstanceRequestIds: []string{have.spot}})
		return err
	}}})...)
}

// on leaves the trials untried where there is nothing to try them on.
func on(id string, trials []trial) []trial {
	if id == "" {
		for i := range trials {
			trials[i].try = nil
		}
	}
	return trials
}
