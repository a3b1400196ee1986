package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Disks gives the volumes with the ids; unknown ones are absent.
func (r *Region) Disks(ctx context.Context, ids ...string) ([]c.Disk, error) {
	return r.disksBy(ctx, "volume-id", ids)
}

// DisksOf gives the volumes that are attached to the instances.
func (r *Region) DisksOf(ctx context.Context, instanceIDs ...string) ([]c.Disk, error) {
	return r.disksBy(ctx, "attachment.instance-id", instanceIDs)
}

// DisksTagged gives the volumes with all of the tags.
func (r *Region) DisksTagged(ctx context.Context, tags map[string]string) ([]c.Disk, error) {
	return r.describeDisks(ctx, tagFilters(tags))
}

func (r *Region) disksBy(ctx context.Context, name string, values []string) ([]c.Disk, error) {
	var all []c.Disk
	for chunk := range slices.Chunk(values, filterValues) {
		list, err := r.describeDisks(ctx, []types.Filter{filter(name, chunk...)})
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

func (r *Region) describeDisks(ctx context.Context, filters []types.Filter) ([]c.Disk, error) {
	pages := ec2.NewDescribeVolumesPaginator(r.client, &ec2.DescribeVolumesInput{Filters: filters, MaxResults: aws.Int32(pageSize)})
	var list []c.Disk
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, filterText(filters))
		}
		for _, v := range page.Volumes {
			list = append(list, disk(v))
		}
	}
	return list, nil
}

func disk(v types.Volume) c.Disk {
	out := c.Disk{ID: aws.ToString(v.VolumeId), Zone: aws.ToString(v.AvailabilityZone), State: string(v.State),
		Encrypted: aws.ToBool(v.Encrypted), Tags: tagMap(v.Tags), Created: aws.ToTime(v.CreateTime)}
	for _, a := range v.Attachments {
		out.InstanceID, out.Device, out.Attachment = aws.ToString(a.InstanceId), aws.ToString(a.Device), string(a.State)
		out.DeleteOnTermination = aws.ToBool(a.DeleteOnTermination)
	}
	return out
}

// AttachDisk attaches a free volume. It stays behind when the instance is terminated.
func (r *Region) AttachDisk(ctx context.Context, id, instanceID, device string) error {
	defer r.instances.Forget(instanceID)
	_, err := r.client.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: aws.String(id), InstanceId: aws.String(instanceID), Device: aws.String(device)})
	return wrap(err, id)
}

// DetachDisk takes the volume from the instance, and from no other one.
func (r *Region) DetachDisk(ctx context.Context, id, instanceID string) error {
	defer r.instances.Forget(instanceID)
	_, err := r.client.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: aws.String(id), InstanceId: aws.String(instanceID)})
	return wrap(err, id)
}
