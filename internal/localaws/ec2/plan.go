package ec2

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// launchPlan is a RunInstances request after everything in it was checked.
type launchPlan struct {
	in       *runInput
	data     launchData
	image    *imageRecord
	kind     instanceType
	subnet   *subnetRecord // nil: any default subnet
	groups   []groupName
	publicIP *bool
	userData []byte
	devices  []imageDevice
	metadata metadataOptions
	spot     bool
	count    int // granted
	template *templateVersion
	diesOf   string

	instanceTags, volumeTags, interfaceTags, spotTags []Tag
}

// maxUserData is the limit of user data before base64 ("Launching" in aws-facts.md).
const maxUserData = 16 << 10

func (s *Service) planLaunch(c *call, in *runInput) (*launchPlan, error) {
	p := &launchPlan{in: in, data: in.launchData}
	if in.Template != nil {
		version, err := s.findTemplateVersion(c.scope, in.Template)
		if err != nil {
			return nil, err
		}
		p.template, p.data = version, version.Data.over(in.launchData)
	}
	for _, check := range []func(*call, *launchPlan) error{
		s.planCount, s.planImage, s.planType, s.planNetwork, s.planUserData, s.planTags, s.planMetadata, s.planOptions, s.planDevices,
	} {
		if err := check(c, p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (s *Service) planCount(_ *call, p *launchPlan) error {
	switch in := p.in; {
	case in.MinCount == nil:
		return missing("MinCount")
	case in.MaxCount == nil:
		return missing("MaxCount")
	case *in.MinCount < 1:
		return api.Errorf("InvalidParameterValue", "Value (%d) for parameter minCount is invalid. Expected a number of at least 1.", *in.MinCount)
	case *in.MaxCount < *in.MinCount:
		return api.Errorf("InvalidParameterValue", "Value (%d) for parameter maxCount is invalid. Expected at least minCount (%d).", *in.MaxCount, *in.MinCount)
	}
	return nil
}

func (s *Service) planImage(c *call, p *launchPlan) error {
	id := p.data.ImageID
	if id == "" {
		return missing("ImageId")
	}
	image, err := s.usableImage(c, cmp.Or(p.in.resolved[id], id))
	if err != nil {
		return err
	}
	if image.State != "available" {
		return api.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available: it is %s", image.ID, image.State)
	}
	p.image = image
	return nil
}

func (s *Service) planType(_ *call, p *launchPlan) error {
	name := cmp.Or(p.data.InstanceType, "m1.small")
	kind, ok := instanceTypes[name]
	if !ok {
		return api.Errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", name)
	}
	p.data.InstanceType, p.kind = name, kind
	if kind.architecture != p.image.Architecture {
		return api.Errorf("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.", kind.architecture, p.image.Architecture)
	}
	if m := p.data.Market; m != nil && m.MarketType != "" {
		if m.MarketType != "spot" {
			return api.Errorf("InvalidParameterValue", "Value (%s) for parameter marketType is invalid. Expected spot.", m.MarketType)
		}
		p.spot = true
		if m.Spot == nil {
			m = &marketSpec{MarketType: m.MarketType, Spot: &spotSpec{}}
			p.data.Market = m
		}
		if m.Spot.Interruption == "stop" && m.Spot.Type != "persistent" {
			return api.Errorf("InvalidParameterCombination", "Stop is not a supported instance interruption behavior for one-time Spot requests")
		}
	}
	return nil
}

func (s *Service) planNetwork(c *call, p *launchPlan) error {
	subnetID, groupIDs, groupNames := p.in.SubnetID, p.data.SecurityGroupIDs, p.data.SecurityGroups
	if len(p.data.Interfaces) > 0 {
		if subnetID != "" {
			return api.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
		}
		if len(groupIDs)+len(groupNames) > 0 {
			return api.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
		}
		if len(p.data.Interfaces) > 1 {
			return api.Errorf("Unsupported", "This endpoint gives an instance one network interface, not %d", len(p.data.Interfaces))
		}
		first := p.data.Interfaces[0]
		subnetID, groupIDs, p.publicIP = first.SubnetID, first.Groups, first.AssociatePublicIP
		p.in.PrivateIP = cmp.Or(first.PrivateIP, p.in.PrivateIP)
	}
	if p.in.PrivateIP != "" && *p.in.MaxCount > 1 {
		return api.Errorf("InvalidParameterCombination", "A private IP address may be specified for one instance only")
	}
	if subnetID != "" {
		subnet, ok := c.subnets.get(subnetID)
		if !ok {
			return api.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", subnetID)
		}
		p.subnet = subnet
	}
	if placement := p.data.Placement; placement != nil && placement.Zone != "" {
		if !slices.Contains(c.zones, placement.Zone) {
			return api.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", placement.Zone)
		}
		if p.subnet != nil && p.subnet.Zone != placement.Zone {
			return api.Errorf("InvalidParameterValue", "The availability zone '%s' is not the one of subnet '%s' (%s)", placement.Zone, p.subnet.ID, p.subnet.Zone)
		}
		if p.subnet == nil {
			p.subnet = c.subnetIn(placement.Zone)
		}
	}
	groups, err := c.groupsFor(groupIDs, groupNames)
	p.groups = groups
	return err
}

func (s *Service) planUserData(_ *call, p *launchPlan) error {
	if p.data.UserData == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(p.data.UserData)
	if err != nil {
		return api.Errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	}
	if len(raw) > maxUserData {
		return api.Errorf("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
	}
	p.userData = raw
	return nil
}

func (s *Service) planTags(_ *call, p *launchPlan) error {
	all := []string{"instance", "volume", "network-interface", "spot-instances-request"}
	for i, into := range []*[]Tag{&p.instanceTags, &p.volumeTags, &p.interfaceTags, &p.spotTags} {
		tags, err := tagsFor(p.data.TagSpecifications, all[i], all...)
		if err != nil {
			return err
		}
		*into = tags
	}
	return nil
}

func (s *Service) planMetadata(_ *call, p *launchPlan) error {
	standard := defaultMetadata(p.image)
	if p.data.Metadata != nil {
		if err := checkMetadata(*p.data.Metadata); err != nil {
			return err
		}
		standard = *overMetadata(&standard, p.data.Metadata)
	}
	p.metadata = standard
	return checkMetadataTags(standard, p.instanceTags)
}

func defaultMetadata(image *imageRecord) metadataOptions {
	hops, tokens := int32(1), "optional"
	if image.IMDSSupport == "v2.0" {
		hops, tokens = 2, "required"
	}
	return metadataOptions{
		State: "applied", HTTPTokens: tokens, HTTPPutResponseHopLimit: &hops, HTTPEndpoint: "enabled",
		HTTPProtocolIPv6: "disabled", InstanceMetadataTags: "disabled",
	}
}

func checkMetadata(m metadataOptions) error {
	for _, field := range []struct {
		name, value string
		allowed     [2]string
	}{
		{"HttpTokens", m.HTTPTokens, [2]string{"optional", "required"}},
		{"HttpEndpoint", m.HTTPEndpoint, [2]string{"enabled", "disabled"}},
		{"HttpProtocolIpv6", m.HTTPProtocolIPv6, [2]string{"enabled", "disabled"}},
		{"InstanceMetadataTags", m.InstanceMetadataTags, [2]string{"enabled", "disabled"}},
	} {
		if field.value != "" && !slices.Contains(field.allowed[:], field.value) {
			return api.Errorf("InvalidParameterValue", "Invalid value '%s' for %s: expected %s or %s", field.value, field.name, field.allowed[0], field.allowed[1])
		}
	}
	if hops := m.HTTPPutResponseHopLimit; hops != nil && (*hops < 1 || *hops > 64) {
		return api.Errorf("InvalidParameterValue", "Invalid value '%d' for HttpPutResponseHopLimit: expected 1 to 64", *hops)
	}
	return nil
}

// checkMetadataTags refuses tag keys that the metadata service could not serve as paths.
func checkMetadataTags(m metadataOptions, tags []Tag) error {
	if m.InstanceMetadataTags != "enabled" {
		return nil
	}
	for _, tag := range tags {
		if strings.ContainsAny(tag.Key, " /") {
			return api.Errorf("InvalidParameterValue", "'%s' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{1,255}), and must not be a reserved name ('.', '..', '_index')", tag.Key)
		}
	}
	return nil
}

func (s *Service) planOptions(c *call, p *launchPlan) error {
	if name := p.data.KeyName; name != "" && c.keyPair(name) == nil {
		return api.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
	}
	if b := p.data.ShutdownBehavior; b != "" && b != "stop" && b != "terminate" {
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid. Expected stop or terminate.", b)
	}
	return s.planProfile(c, p)
}

// planProfile finds the ARN of the instance profile.
func (s *Service) planProfile(c *call, p *launchPlan) error {
	profile := p.data.Profile
	switch {
	case profile == nil:
		return nil
	case (profile.Name == "") == (profile.ARN == ""):
		return api.Errorf("InvalidParameterCombination", "IamInstanceProfile takes either Arn or Name")
	case profile.ARN != "" && !strings.Contains(profile.ARN, ":instance-profile/"):
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", profile.ARN)
	}
	arn, exists := profile.ARN, true
	switch {
	case s.options.ProfileARN != nil:
		arn, exists = s.options.ProfileARN(c.Account, profile.Name+profile.ARN)
	case arn == "":
		arn = "arn:aws:iam::" + c.Account + ":instance-profile/" + profile.Name
	}
	switch {
	case !exists && profile.ARN == "":
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", profile.Name)
	case !exists:
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", profile.ARN)
	}
	p.data.Profile = &profileSpec{ARN: arn}
	return nil
}

func missing(parameter string) error {
	return api.Errorf("MissingParameter", "The request must contain the parameter %s", parameter)
}
