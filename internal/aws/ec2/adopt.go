package ec2

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// InstancesWhere gives the instances that EC2's own filters let through, by the filters' names, in one of the states.
func (r *Region) InstancesWhere(ctx context.Context, filters map[string][]string, states ...string) ([]c.Instance, error) {
	var all []types.Filter
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		all = append(all, filter(name, filters[name]...))
	}
	return r.describe(ctx, append(all, stateFilter(states)...))
}

// OwnImages gives the account's own AMIs with the ids, disabled ones included; others are absent.
func (r *Region) OwnImages(ctx context.Context, ids ...string) ([]c.Image, error) {
	var list []c.Image
	for chunk := range slices.Chunk(ids, filterValues) {
		found, err := r.describeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{self}, Filters: []types.Filter{filter("image-id", chunk...)}})
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// AttachedVolumes gives the volumes with the ids that are attached, each with its device and its instance.
func (r *Region) AttachedVolumes(ctx context.Context, ids ...string) ([]c.AttachedVolume, error) {
	var list []c.AttachedVolume
	for chunk := range slices.Chunk(ids, filterValues) {
		filters := []types.Filter{filter("volume-id", chunk...)}
		pages := ec2.NewDescribeVolumesPaginator(r.client, &ec2.DescribeVolumesInput{Filters: filters, MaxResults: aws.Int32(pageSize)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, wrap(err, filterText(filters))
			}
			for _, v := range page.Volumes {
				list = append(list, attachedVolumes(v)...)
			}
		}
	}
	return list, nil
}

func attachedVolumes(v types.Volume) []c.AttachedVolume {
	var list []c.AttachedVolume
	for _, a := range v.Attachments {
		list = append(list, c.AttachedVolume{ID: aws.ToString(v.VolumeId), InstanceID: aws.ToString(a.InstanceId), Volume: c.Volume{
			Device: aws.ToString(a.Device), Size: int(aws.ToInt32(v.Size)), Type: string(v.VolumeType), IOPS: int(aws.ToInt32(v.Iops)),
			Throughput: int(aws.ToInt32(v.Throughput)), Encrypted: v.Encrypted, KMSKey: aws.ToString(v.KmsKeyId),
			SnapshotID: aws.ToString(v.SnapshotId), DeleteOnTermination: a.DeleteOnTermination,
		}})
	}
	return list
}

// UserData is what the instance was given, as it was given; nothing where there is none.
func (r *Region) UserData(ctx context.Context, id string) ([]byte, error) {
	out, err := r.client.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{
		InstanceId: aws.String(id), Attribute: types.InstanceAttributeNameUserData,
	})
	if err != nil {
		return nil, wrap(err, id)
	}
	if out.UserData == nil {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(aws.ToString(out.UserData.Value))
	if err != nil {
		return nil, jobs.Fatalf("ec2 DescribeInstanceAttribute", id, "the user data is no base64: "+err.Error(), "")
	}
	return data, nil
}

// Untag takes tags off the things where they still have these values.
func (r *Region) Untag(ctx context.Context, ids []string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	return chunked(ids, func(ids []string) error {
		_, err := r.client.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: ids, Tags: tagList(tags)})
		return err
	})
}

// ImageMetadata tells which AMI each instance was launched from, deregistered ones included: of the instances with the ids,
// or else of all that EC2's filters let through, a thousand a call.
func (r *Region) ImageMetadata(ctx context.Context, filters map[string][]string, ids ...string) ([]c.ImageMetadata, error) {
	var all []types.Filter
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		all = append(all, filter(name, filters[name]...))
	}
	if len(ids) == 0 {
		return r.imageMetadata(ctx, all)
	}
	var list []c.ImageMetadata
	for chunk := range slices.Chunk(ids, filterValues) {
		found, err := r.imageMetadata(ctx, append(slices.Clone(all), filter("instance-id", chunk...)))
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

func (r *Region) imageMetadata(ctx context.Context, filters []types.Filter) ([]c.ImageMetadata, error) {
	pages := ec2.NewDescribeInstanceImageMetadataPaginator(r.client, &ec2.DescribeInstanceImageMetadataInput{Filters: filters, MaxResults: aws.Int32(pageSize)})
	var list []c.ImageMetadata
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, filterText(filters))
		}
		for _, m := range page.InstanceImageMetadata {
			one := c.ImageMetadata{InstanceID: aws.ToString(m.InstanceId), Type: string(m.InstanceType), Zone: aws.ToString(m.AvailabilityZone),
				Launched: aws.ToTime(m.LaunchTime), Tags: tagMap(m.Tags)}
			if m.State != nil {
				one.State = string(m.State.Name)
			}
			if i := m.ImageMetadata; i != nil {
				one.ImageID, one.ImageName, one.ImageState = aws.ToString(i.ImageId), aws.ToString(i.Name), string(i.State)
				one.ImageCreated, one.Deprecated = moment(aws.ToString(i.CreationDate)), moment(aws.ToString(i.DeprecationTime))
			}
			list = append(list, one)
		}
	}
	return list, nil
}
