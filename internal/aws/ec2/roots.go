package ec2

import (
	"context"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

const unknownTask = "InvalidReplaceRootVolumeTaskId.NotFound"

// ReplaceRoot begins to give a running instance another root volume. The same token gives the same task again.
func (r *Region) ReplaceRoot(ctx context.Context, q c.RootRequest) (c.RootTask, error) {
	out, err := r.client.CreateReplaceRootVolumeTask(ctx, &ec2.CreateReplaceRootVolumeTaskInput{
		InstanceId: aws.String(q.InstanceID), ClientToken: optional(q.Token), ImageId: optional(q.ImageID), VolumeId: optional(q.VolumeID),
		DeleteReplacedRootVolume: aws.Bool(q.DeleteOld), TagSpecifications: tagSpec(nil, types.ResourceTypeReplaceRootVolumeTask, q.Tags),
	})
	if err != nil {
		return c.RootTask{}, wrap(err, q.InstanceID)
	}
	defer r.instances.Forget(q.InstanceID)
	return rootTask(*out.ReplaceRootVolumeTask), nil
}

// RootTasks gives the tasks with the ids, in the ids' order; those that EC2 does not know (yet) are absent. Calls that come
// together share requests.
func (r *Region) RootTasks(ctx context.Context, ids ...string) ([]c.RootTask, error) {
	return values(ctx, r.roots, ids)
}

// GoWith has the volume at the device deleted when the instance is terminated.
func (r *Region) GoWith(ctx context.Context, instanceID, device string) error {
	_, err := r.client.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{
		InstanceId: aws.String(instanceID), BlockDeviceMappings: []types.InstanceBlockDeviceMappingSpecification{{
			DeviceName: aws.String(device), Ebs: &types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: aws.Bool(true)},
		}},
	})
	return wrap(err, instanceID)
}

var taskID = regexp.MustCompile(`\breplacevol-[0-9a-f]+\b`)

// fetchRootTasks asks by id, without pages: by filter a page has 50 tasks. Unknown ones are split off.
func (r *Region) fetchRootTasks(ctx context.Context, ids []string) (map[string]c.RootTask, error) {
	found := make(map[string]c.RootTask, len(ids))
	for len(ids) > 0 {
		out, err := r.client.DescribeReplaceRootVolumeTasks(ctx, &ec2.DescribeReplaceRootVolumeTasksInput{ReplaceRootVolumeTaskIds: ids})
		if awserr.IsCode(err, unknownTask) {
			unknown := taskID.FindAllString(err.Error(), -1)
			rest := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(unknown, id) })
			if len(rest) < len(ids) {
				ids = rest
				continue
			}
		}
		if err != nil {
			return nil, wrap(err, ids...)
		}
		for _, t := range out.ReplaceRootVolumeTasks {
			found[aws.ToString(t.ReplaceRootVolumeTaskId)] = rootTask(t)
		}
		break
	}
	return found, nil
}

func rootTask(t types.ReplaceRootVolumeTask) c.RootTask {
	return c.RootTask{ID: aws.ToString(t.ReplaceRootVolumeTaskId), InstanceID: aws.ToString(t.InstanceId),
		ImageID: aws.ToString(t.ImageId), State: string(t.TaskState)}
}
