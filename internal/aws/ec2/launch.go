package ec2

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Launch starts servers: one RunInstances. What the request leaves empty is the launch template's or EC2's to say. The
// same token with the same parameters gives the same servers again.
func (r *Region) Launch(ctx context.Context, q c.LaunchRequest) ([]c.Instance, error) {
	out, err := r.client.RunInstances(ctx, launchInput(q))
	if err != nil {
		return nil, wrap(err, pool(q))
	}
	instances := make([]c.Instance, 0, len(out.Instances))
	for _, i := range out.Instances {
		instances = append(instances, instance(i))
	}
	return instances, nil
}

// pool names where and what a launch asked for.
func pool(q c.LaunchRequest) string {
	var parts []string
	for _, part := range []string{q.Type, q.SubnetID, q.ImageID} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if q.Spot {
		parts = append(parts, "spot")
	}
	if len(parts) == 0 && q.LaunchTemplate != nil {
		parts = append(parts, q.LaunchTemplate.Name+q.LaunchTemplate.ID)
	}
	return strings.Join(parts, " ")
}

func launchInput(q c.LaunchRequest) *ec2.RunInstancesInput {
	in := &ec2.RunInstancesInput{
		ClientToken:                       optional(q.Token),
		MinCount:                          aws.Int32(int32(max(q.Min, 1))),
		MaxCount:                          aws.Int32(int32(max(q.Max, q.Min, 1))),
		ImageId:                           optional(q.ImageID),
		InstanceType:                      types.InstanceType(q.Type),
		LaunchTemplate:                    templateSpec(q.LaunchTemplate),
		KeyName:                           optional(q.KeyName),
		BlockDeviceMappings:               devices(q.Volumes),
		EbsOptimized:                      q.EBSOptimized,
		InstanceInitiatedShutdownBehavior: types.ShutdownBehavior(q.ShutdownBehavior),
		MetadataOptions: &types.InstanceMetadataOptionsRequest{
			HttpTokens:   types.HttpTokensStateRequired,
			HttpEndpoint: types.InstanceMetadataEndpointStateEnabled,
		},
		TagSpecifications: launchTags(q),
	}
	if q.MetadataTokens != "" {
		in.MetadataOptions.HttpTokens = types.HttpTokensState(q.MetadataTokens)
	}
	if q.MetadataHops > 0 {
		in.MetadataOptions.HttpPutResponseHopLimit = aws.Int32(int32(q.MetadataHops))
	}
	if q.MetadataTags {
		in.MetadataOptions.InstanceMetadataTags = types.InstanceMetadataTagsStateEnabled
	}
	if len(q.UserData) > 0 {
		in.UserData = aws.String(base64.StdEncoding.EncodeToString(q.UserData))
	}
	if q.Monitoring {
		in.Monitoring = &types.RunInstancesMonitoringEnabled{Enabled: aws.Bool(true)}
	}
	if q.Spot {
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
	}
	switch {
	case q.InstanceProfile == "":
	case strings.HasPrefix(q.InstanceProfile, "arn:"):
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Arn: aws.String(q.InstanceProfile)}
	default:
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String(q.InstanceProfile)}
	}
	placeInNetwork(in, q)
	return in
}

// placeInNetwork says where the servers stand. Whether they get a public address is the subnet's to say unless the request
// does: then EC2 wants subnet and groups inside the network interface. The token's scope is then the region.
func placeInNetwork(in *ec2.RunInstancesInput, q c.LaunchRequest) {
	if q.PublicIP == nil {
		in.SubnetId = optional(q.SubnetID)
		in.SecurityGroupIds = q.SecurityGroupIDs
		return
	}
	in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{{
		DeviceIndex:              aws.Int32(0),
		SubnetId:                 optional(q.SubnetID),
		Groups:                   q.SecurityGroupIDs,
		AssociatePublicIpAddress: q.PublicIP,
		DeleteOnTermination:      aws.Bool(true),
	}}
}

func launchTags(q c.LaunchRequest) []types.TagSpecification {
	specs := tagSpec(nil, types.ResourceTypeInstance, q.InstanceTags)
	volumeTags := q.VolumeTags
	if len(volumeTags) == 0 {
		volumeTags = q.InstanceTags
	}
	specs = tagSpec(specs, types.ResourceTypeVolume, volumeTags)
	specs = tagSpec(specs, types.ResourceTypeNetworkInterface, q.InstanceTags)
	if q.Spot {
		specs = tagSpec(specs, types.ResourceTypeSpotInstancesRequest, q.InstanceTags)
	}
	return specs
}

func templateSpec(t *c.LaunchTemplate) *types.LaunchTemplateSpecification {
	if t == nil {
		return nil
	}
	return &types.LaunchTemplateSpecification{
		LaunchTemplateId:   optional(t.ID),
		LaunchTemplateName: nameUnlessID(*t),
		Version:            optional(t.Version),
	}
}
