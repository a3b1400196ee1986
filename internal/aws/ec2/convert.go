package ec2

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// wrap classifies an error of a call about the things.
func wrap(err error, things ...string) error {
	thing := strings.Join(things, ", ")
	if len(things) > 3 {
		thing = fmt.Sprintf("%s and %d more", strings.Join(things[:3], ", "), len(things)-3)
	}
	return awserr.From(err, thing)
}

func instance(i types.Instance) c.Instance {
	out := c.Instance{
		ID:           aws.ToString(i.InstanceId),
		ImageID:      aws.ToString(i.ImageId),
		Type:         string(i.InstanceType),
		StateReason:  reason(i.StateReason),
		SubnetID:     aws.ToString(i.SubnetId),
		VpcID:        aws.ToString(i.VpcId),
		PrivateIP:    aws.ToString(i.PrivateIpAddress),
		PublicIP:     aws.ToString(i.PublicIpAddress),
		PrivateDNS:   aws.ToString(i.PrivateDnsName),
		Spot:         i.InstanceLifecycle == types.InstanceLifecycleTypeSpot,
		LaunchIndex:  int(aws.ToInt32(i.AmiLaunchIndex)),
		ClientToken:  aws.ToString(i.ClientToken),
		Tags:         tagMap(i.Tags),
		Launched:     aws.ToTime(i.LaunchTime),
		RootDevice:   aws.ToString(i.RootDeviceName),
		Volumes:      map[string]string{},
		Architecture: string(i.Architecture),
		Platform:     platform(string(i.Platform)),
		KeyName:      aws.ToString(i.KeyName),
	}
	if i.State != nil {
		out.State = string(i.State.Name)
	}
	if i.Placement != nil {
		out.Zone = aws.ToString(i.Placement.AvailabilityZone)
	}
	if i.IamInstanceProfile != nil {
		out.InstanceProfile = aws.ToString(i.IamInstanceProfile.Arn)
	}
	for _, mapping := range i.BlockDeviceMappings {
		if mapping.Ebs != nil {
			out.Volumes[aws.ToString(mapping.DeviceName)] = aws.ToString(mapping.Ebs.VolumeId)
			if !aws.ToBool(mapping.Ebs.DeleteOnTermination) {
				out.Outlives = append(out.Outlives, aws.ToString(mapping.Ebs.VolumeId))
			}
		}
	}
	out.Holds = holds(i)
	if m := i.MetadataOptions; m != nil {
		out.MetadataTokens, out.MetadataHops = string(m.HttpTokens), int(aws.ToInt32(m.HttpPutResponseHopLimit))
		out.MetadataTags = m.InstanceMetadataTags == types.InstanceMetadataTagsStateEnabled
	}
	out.Monitoring = i.Monitoring != nil && i.Monitoring.State == types.MonitoringStateEnabled
	for _, group := range i.SecurityGroups {
		out.SecurityGroupIDs = append(out.SecurityGroupIDs, aws.ToString(group.GroupId))
		out.SecurityGroupNames = append(out.SecurityGroupNames, aws.ToString(group.GroupName))
	}
	return out
}

// holds: a volume or an interface stays when the instance goes, or an address of an account's own, not of Amazon's, is its.
func holds(i types.Instance) bool {
	for _, mapping := range i.BlockDeviceMappings {
		if ebs := mapping.Ebs; ebs != nil && aws.ToString(mapping.DeviceName) != aws.ToString(i.RootDeviceName) && !aws.ToBool(ebs.DeleteOnTermination) {
			return true
		}
	}
	for _, n := range i.NetworkInterfaces {
		if a := n.Attachment; a != nil && aws.ToInt32(a.DeviceIndex) > 0 && !aws.ToBool(a.DeleteOnTermination) {
			return true
		}
		if a := n.Association; a != nil && aws.ToString(a.IpOwnerId) != "" && aws.ToString(a.IpOwnerId) != "amazon" {
			return true
		}
	}
	return false
}

func image(i types.Image) c.Image {
	out := c.Image{
		ID:              aws.ToString(i.ImageId),
		Name:            aws.ToString(i.Name),
		OwnerID:         aws.ToString(i.OwnerId),
		State:           string(i.State),
		StateReason:     reason(i.StateReason),
		Architecture:    string(i.Architecture),
		Platform:        platform(string(i.Platform)),
		RootDevice:      aws.ToString(i.RootDeviceName),
		Tags:            tagMap(i.Tags),
		Created:         moment(aws.ToString(i.CreationDate)),
		SourceImageID:   aws.ToString(i.SourceImageId),
		Public:          aws.ToBool(i.Public),
		DeprecationTime: moment(aws.ToString(i.DeprecationTime)),
		Marketplace:     len(i.ProductCodes) > 0,
		Allowed:         i.ImageAllowed,
	}
	for _, mapping := range i.BlockDeviceMappings {
		if mapping.Ebs == nil {
			continue
		}
		out.Volumes = append(out.Volumes, c.Volume{
			Device:              aws.ToString(mapping.DeviceName),
			Size:                int(aws.ToInt32(mapping.Ebs.VolumeSize)),
			Type:                string(mapping.Ebs.VolumeType),
			IOPS:                int(aws.ToInt32(mapping.Ebs.Iops)),
			Throughput:          int(aws.ToInt32(mapping.Ebs.Throughput)),
			Encrypted:           mapping.Ebs.Encrypted,
			KMSKey:              aws.ToString(mapping.Ebs.KmsKeyId),
			SnapshotID:          aws.ToString(mapping.Ebs.SnapshotId),
			DeleteOnTermination: mapping.Ebs.DeleteOnTermination,
		})
	}
	return out
}

func snapshot(s types.Snapshot) c.Snapshot {
	return c.Snapshot{
		ID:        aws.ToString(s.SnapshotId),
		State:     string(s.State),
		VolumeID:  aws.ToString(s.VolumeId),
		KMSKey:    aws.ToString(s.KmsKeyId),
		Encrypted: aws.ToBool(s.Encrypted),
		Tags:      tagMap(s.Tags),
		Started:   aws.ToTime(s.StartTime),
	}
}

func subnet(s types.Subnet) c.Subnet {
	return c.Subnet{
		ID:            aws.ToString(s.SubnetId),
		Zone:          aws.ToString(s.AvailabilityZone),
		VpcID:         aws.ToString(s.VpcId),
		FreeAddresses: int(aws.ToInt32(s.AvailableIpAddressCount)),
		Default:       aws.ToBool(s.DefaultForAz),
		Tags:          tagMap(s.Tags),
	}
}

// devices are the block device mappings of a launch or a capture.
func devices(volumes []c.Volume) []types.BlockDeviceMapping {
	var mappings []types.BlockDeviceMapping
	for _, v := range volumes {
		mapping := types.BlockDeviceMapping{DeviceName: aws.String(v.Device)}
		if v.Exclude {
			mapping.NoDevice = aws.String("")
			mappings = append(mappings, mapping)
			continue
		}
		mapping.Ebs = &types.EbsBlockDevice{
			VolumeSize:          positive(v.Size),
			VolumeType:          types.VolumeType(v.Type),
			Iops:                positive(v.IOPS),
			Throughput:          positive(v.Throughput),
			Encrypted:           v.Encrypted,
			KmsKeyId:            optional(v.KMSKey),
			SnapshotId:          optional(v.SnapshotID),
			DeleteOnTermination: v.DeleteOnTermination,
		}
		if v.KMSKey != "" && v.Encrypted == nil {
			mapping.Ebs.Encrypted = aws.Bool(true)
		}
		mappings = append(mappings, mapping)
	}
	return mappings
}

func positive(n int) *int32 {
	if n <= 0 {
		return nil
	}
	return aws.Int32(int32(n))
}

// reason joins a state reason's code and message. EC2's messages often begin with the code.
func reason(r *types.StateReason) string {
	if r == nil {
		return ""
	}
	code, message := aws.ToString(r.Code), aws.ToString(r.Message)
	switch {
	case message == "" || message == code:
		return code
	case code == "" || strings.HasPrefix(message, code):
		return message
	}
	return code + ": " + message
}

// platform: EC2 names Windows only.
func platform(p string) string {
	if strings.EqualFold(p, "windows") {
		return "windows"
	}
	return "linux"
}

// moment reads the dates that EC2 gives as text; what is none is the zero time.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
