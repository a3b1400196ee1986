package ec2

import (
	"slices"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// launchData is what RunInstances and a launch template version have in common. The xml tags are the launch template's.
type launchData struct {
	ImageID           string             `query:"ImageId" xml:"imageId,omitempty" json:",omitempty"`
	InstanceType      string             `query:"InstanceType" xml:"instanceType,omitempty" json:",omitempty"`
	KeyName           string             `query:"KeyName" xml:"keyName,omitempty" json:",omitempty"`
	UserData          string             `query:"UserData" xml:"userData,omitempty" json:",omitempty"`
	EBSOptimized      *bool              `query:"EbsOptimized" xml:"ebsOptimized,omitempty" json:",omitempty"`
	NoTermination     *bool              `query:"DisableApiTermination" xml:"disableApiTermination,omitempty" json:",omitempty"`
	NoStop            *bool              `query:"DisableApiStop" xml:"disableApiStop,omitempty" json:",omitempty"`
	ShutdownBehavior  string             `query:"InstanceInitiatedShutdownBehavior" xml:"instanceInitiatedShutdownBehavior,omitempty" json:",omitempty"`
	Profile           *profileSpec       `query:"IamInstanceProfile" xml:"iamInstanceProfile,omitempty" json:",omitempty"`
	BlockDevices      []blockDevice      `query:"BlockDeviceMapping" xml:"blockDeviceMappingSet>item" json:",omitempty"`
	Interfaces        []networkInterface `query:"NetworkInterface" xml:"networkInterfaceSet>item" json:",omitempty"`
	SecurityGroupIDs  []string           `query:"SecurityGroupId" xml:"securityGroupIdSet>item" json:",omitempty"`
	SecurityGroups    []string           `query:"SecurityGroup" xml:"securityGroupSet>item" json:",omitempty"`
	Placement         *placementSpec     `query:"Placement" xml:"placement,omitempty" json:",omitempty"`
	Monitoring        *monitoringSpec    `query:"Monitoring" xml:"monitoring,omitempty" json:",omitempty"`
	TagSpecifications []tagSpecification `query:"TagSpecification" xml:"tagSpecificationSet>item" json:",omitempty"`
	Market            *marketSpec        `query:"InstanceMarketOptions" xml:"instanceMarketOptions,omitempty" json:",omitempty"`
	Credit            *creditSpec        `query:"CreditSpecification" xml:"creditSpecification,omitempty" json:",omitempty"`
	Metadata          *metadataOptions   `query:"MetadataOptions" xml:"metadataOptions,omitempty" json:",omitempty"`
	launchExtras
}

// launchExtras are kept and shown, but change nothing that this endpoint does.
type launchExtras struct {
	CPU         *cpuOptions         `query:"CpuOptions" xml:"cpuOptions,omitempty" json:",omitempty"`
	Enclave     *enclaveOptions     `query:"EnclaveOptions" xml:"enclaveOptions,omitempty" json:",omitempty"`
	Hibernation *hibernationOptions `query:"HibernationOptions" xml:"hibernationOptions,omitempty" json:",omitempty"`
	Maintenance *maintenanceOptions `query:"MaintenanceOptions" xml:"maintenanceOptions,omitempty" json:",omitempty"`
	PrivateDNS  *privateDNSOptions  `query:"PrivateDnsNameOptions" xml:"privateDnsNameOptions,omitempty" json:",omitempty"`
	Reservation *reservationOptions `query:"CapacityReservationSpecification" xml:"capacityReservationSpecification,omitempty" json:",omitempty"`
}

type cpuOptions struct {
	Cores   int32 `query:"CoreCount" xml:"coreCount"`
	Threads int32 `query:"ThreadsPerCore" xml:"threadsPerCore"`
}

type enclaveOptions struct {
	Enabled bool `query:"Enabled" xml:"enabled"`
}

type hibernationOptions struct {
	Configured bool `query:"Configured" xml:"configured"`
}

type maintenanceOptions struct {
	AutoRecovery string `query:"AutoRecovery" xml:"autoRecovery"`
}

type privateDNSOptions struct {
	HostnameType string `query:"HostnameType" xml:"hostnameType,omitempty"`
	ARecord      bool   `query:"EnableResourceNameDnsARecord" xml:"enableResourceNameDnsARecord"`
	AAAARecord   bool   `query:"EnableResourceNameDnsAAAARecord" xml:"enableResourceNameDnsAAAARecord"`
}

type reservationOptions struct {
	Preference string `query:"CapacityReservationPreference" xml:"capacityReservationPreference"`
}

type profileSpec struct {
	ARN  string `query:"Arn" xml:"arn,omitempty" json:",omitempty"`
	Name string `query:"Name" xml:"name,omitempty" json:",omitempty"`
}

type blockDevice struct {
	DeviceName  string     `query:"DeviceName" xml:"deviceName" json:",omitempty"`
	EBS         *ebsDevice `query:"Ebs" xml:"ebs,omitempty" json:",omitempty"`
	NoDevice    *string    `query:"NoDevice" xml:"noDevice,omitempty" json:",omitempty"`
	VirtualName string     `query:"VirtualName" xml:"virtualName,omitempty" json:",omitempty"`
}

type ebsDevice struct {
	DeleteOnTermination *bool  `query:"DeleteOnTermination" xml:"deleteOnTermination,omitempty" json:",omitempty"`
	IOPS                int32  `query:"Iops" xml:"iops,omitempty" json:",omitempty"`
	SnapshotID          string `query:"SnapshotId" xml:"snapshotId,omitempty" json:",omitempty"`
	VolumeSize          int32  `query:"VolumeSize" xml:"volumeSize,omitempty" json:",omitempty"`
	VolumeType          string `query:"VolumeType" xml:"volumeType,omitempty" json:",omitempty"`
	KMSKeyID            string `query:"KmsKeyId" xml:"kmsKeyId,omitempty" json:",omitempty"`
	Throughput          int32  `query:"Throughput" xml:"throughput,omitempty" json:",omitempty"`
	Encrypted           *bool  `query:"Encrypted" xml:"encrypted,omitempty" json:",omitempty"`
}

type networkInterface struct {
	DeviceIndex         *int32   `query:"DeviceIndex" xml:"deviceIndex,omitempty" json:",omitempty"`
	SubnetID            string   `query:"SubnetId" xml:"subnetId,omitempty" json:",omitempty"`
	Groups              []string `query:"SecurityGroupId" xml:"groupSet>groupId" json:",omitempty"`
	AssociatePublicIP   *bool    `query:"AssociatePublicIpAddress" xml:"associatePublicIpAddress,omitempty" json:",omitempty"`
	DeleteOnTermination *bool    `query:"DeleteOnTermination" xml:"deleteOnTermination,omitempty" json:",omitempty"`
	Description         string   `query:"Description" xml:"description,omitempty" json:",omitempty"`
	PrivateIP           string   `query:"PrivateIpAddress" xml:"privateIpAddress,omitempty" json:",omitempty"`
}

type placementSpec struct {
	Zone      string `query:"AvailabilityZone" xml:"availabilityZone,omitempty" json:",omitempty"`
	GroupName string `query:"GroupName" xml:"groupName,omitempty" json:",omitempty"`
	Tenancy   string `query:"Tenancy" xml:"tenancy,omitempty" json:",omitempty"`
}

type monitoringSpec struct {
	Enabled bool `query:"Enabled" xml:"enabled"`
}

type tagSpecification struct {
	ResourceType string `query:"ResourceType" xml:"resourceType"`
	Tags         []Tag  `query:"Tag" xml:"tagSet>item"`
}

type marketSpec struct {
	MarketType string    `query:"MarketType" xml:"marketType,omitempty" json:",omitempty"`
	Spot       *spotSpec `query:"SpotOptions" xml:"spotOptions,omitempty" json:",omitempty"`
}

type spotSpec struct {
	MaxPrice     string `query:"MaxPrice" xml:"maxPrice,omitempty" json:",omitempty"`
	Type         string `query:"SpotInstanceType" xml:"spotInstanceType,omitempty" json:",omitempty"`
	ValidUntil   string `query:"ValidUntil" xml:"validUntil,omitempty" json:",omitempty"`
	Interruption string `query:"InstanceInterruptionBehavior" xml:"instanceInterruptionBehavior,omitempty" json:",omitempty"`
}

type creditSpec struct {
	CPUCredits string `query:"CpuCredits" xml:"cpuCredits,omitempty" json:",omitempty"`
}

// over is d with the request's own fields winning, as RunInstances applies them to a launch template: options member by
// member, block devices by device name, tags by resource type and key, everything else as a whole.
func (d launchData) over(o launchData) launchData {
	prefer(&d.ImageID, o.ImageID)
	prefer(&d.InstanceType, o.InstanceType)
	prefer(&d.KeyName, o.KeyName)
	prefer(&d.UserData, o.UserData)
	prefer(&d.EBSOptimized, o.EBSOptimized)
	prefer(&d.NoTermination, o.NoTermination)
	prefer(&d.NoStop, o.NoStop)
	prefer(&d.ShutdownBehavior, o.ShutdownBehavior)
	prefer(&d.Profile, o.Profile)
	prefer(&d.Monitoring, o.Monitoring)
	prefer(&d.Market, o.Market)
	prefer(&d.Credit, o.Credit)
	prefer(&d.CPU, o.CPU)
	prefer(&d.Enclave, o.Enclave)
	prefer(&d.Hibernation, o.Hibernation)
	prefer(&d.Maintenance, o.Maintenance)
	prefer(&d.PrivateDNS, o.PrivateDNS)
	prefer(&d.Reservation, o.Reservation)
	if len(o.Interfaces) > 0 {
		d.Interfaces = o.Interfaces
	}
	if len(o.SecurityGroupIDs)+len(o.SecurityGroups) > 0 {
		d.SecurityGroupIDs, d.SecurityGroups = o.SecurityGroupIDs, o.SecurityGroups
	}
	d.Placement = overPlacement(d.Placement, o.Placement)
	d.Metadata = overMetadata(d.Metadata, o.Metadata)
	d.BlockDevices = overDevices(d.BlockDevices, o.BlockDevices)
	d.TagSpecifications = overTags(d.TagSpecifications, o.TagSpecifications)
	return d
}

func prefer[T comparable](field *T, own T) {
	var zero T
	if own != zero {
		*field = own
	}
}

func overPlacement(under, own *placementSpec) *placementSpec {
	if under == nil || own == nil {
		prefer(&under, own)
		return under
	}
	merged := *under
	prefer(&merged.Zone, own.Zone)
	prefer(&merged.GroupName, own.GroupName)
	prefer(&merged.Tenancy, own.Tenancy)
	return &merged
}

func overMetadata(under, own *metadataOptions) *metadataOptions {
	if under == nil || own == nil {
		prefer(&under, own)
		return under
	}
	merged := *under
	prefer(&merged.HTTPTokens, own.HTTPTokens)
	prefer(&merged.HTTPPutResponseHopLimit, own.HTTPPutResponseHopLimit)
	prefer(&merged.HTTPEndpoint, own.HTTPEndpoint)
	prefer(&merged.HTTPProtocolIPv6, own.HTTPProtocolIPv6)
	prefer(&merged.InstanceMetadataTags, own.InstanceMetadataTags)
	return &merged
}

func overDevices(under, own []blockDevice) []blockDevice {
	merged := slices.Clone(under)
	for _, device := range own {
		at := slices.IndexFunc(merged, func(b blockDevice) bool { return b.DeviceName == device.DeviceName })
		if at < 0 {
			merged = append(merged, device)
		} else {
			merged[at] = device
		}
	}
	return merged
}

func overTags(under, own []tagSpecification) []tagSpecification {
	merged := slices.Clone(under)
	for _, specification := range own {
		at := slices.IndexFunc(merged, func(t tagSpecification) bool { return t.ResourceType == specification.ResourceType })
		if at < 0 {
			merged = append(merged, specification)
			continue
		}
		tags := slices.Clone(merged[at].Tags)
		for _, tag := range specification.Tags {
			tags = withTag(tags, tag)
		}
		merged[at].Tags = tags
	}
	return merged
}

// tagsFor collects and checks the tags that a request gives on create to one resource type; others refuses types that
// the call does not make.
func tagsFor(specifications []tagSpecification, resourceType string, others ...string) ([]Tag, error) {
	var tags []Tag
	for _, specification := range specifications {
		if specification.ResourceType != resourceType {
			if !slices.Contains(others, specification.ResourceType) {
				return nil, api.Errorf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", specification.ResourceType)
			}
			continue
		}
		for _, tag := range specification.Tags {
			if slices.ContainsFunc(tags, func(t Tag) bool { return t.Key == tag.Key }) {
				return nil, api.Errorf("InvalidParameterValue", "Tag key '%s' is specified more than once.", tag.Key)
			}
			tags = append(tags, tag)
		}
	}
	return sortedTags(tags), checkTags(tags)
}
