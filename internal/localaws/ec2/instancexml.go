package ec2

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"time"
)

// stamp writes a time as EC2 does; a zero time is left out.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

type reservationXML struct {
	ReservationID string           `xml:"reservationId"`
	OwnerID       string           `xml:"ownerId"`
	Groups        list[groupName]  `xml:"groupSet"`
	Instances     list[encodedXML] `xml:"instancesSet"`
}

type instanceXML struct {
	InstanceID     string          `xml:"instanceId"`
	ImageID        string          `xml:"imageId"`
	State          stateXML        `xml:"instanceState"`
	PrivateDNSName string          `xml:"privateDnsName"`
	DNSName        string          `xml:"dnsName"`
	Reason         string          `xml:"reason"`
	KeyName        string          `xml:"keyName,omitempty"`
	AMILaunchIndex int             `xml:"amiLaunchIndex"`
	ProductCodes   list[struct{}]  `xml:"productCodes"`
	InstanceType   string          `xml:"instanceType"`
	LaunchTime     string          `xml:"launchTime"`
	Placement      placementXML    `xml:"placement"`
	Platform       string          `xml:"platform,omitempty"`
	Monitoring     nameXML         `xml:"monitoring"`
	SubnetID       string          `xml:"subnetId,omitempty"`
	VPCID          string          `xml:"vpcId,omitempty"`
	PrivateIP      string          `xml:"privateIpAddress,omitempty"`
	PublicIP       string          `xml:"ipAddress,omitempty"`
	SourceDest     bool            `xml:"sourceDestCheck"`
	Groups         list[groupName] `xml:"groupSet"`
	StateReason    *reasonXML      `xml:"stateReason"`
	Architecture   string          `xml:"architecture"`
	RootDeviceType string          `xml:"rootDeviceType"`
	RootDeviceName string          `xml:"rootDeviceName"`
	Devices        list[deviceXML] `xml:"blockDeviceMapping"`
	Virtualization string          `xml:"virtualizationType"`
	ClientToken    string          `xml:"clientToken"`
	Tags           list[Tag]       `xml:"tagSet"`
	Hypervisor     string          `xml:"hypervisor"`
	Lifecycle      string          `xml:"instanceLifecycle,omitempty"`
	SpotRequestID  string          `xml:"spotInstanceRequestId,omitempty"`
	Interfaces     list[eniXML]    `xml:"networkInterfaceSet"`
	Profile        *profileXML     `xml:"iamInstanceProfile"`
	EBSOptimized   bool            `xml:"ebsOptimized"`
	ENASupport     bool            `xml:"enaSupport"`
	Metadata       metadataOptions `xml:"metadataOptions"`
	Details        string          `xml:"platformDetails"`
	launchExtras
}

type placementXML struct {
	Zone      string `xml:"availabilityZone"`
	GroupName string `xml:"groupName"`
	Tenancy   string `xml:"tenancy"`
}

type nameXML struct {
	State string `xml:"state"`
}

type reasonXML struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

type profileXML struct {
	ARN string `xml:"arn"`
	ID  string `xml:"id"`
}

type deviceXML struct {
	Device string         `xml:"deviceName"`
	EBS    attachedEBSXML `xml:"ebs"`
}

type attachedEBSXML struct {
	VolumeID            string `xml:"volumeId"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

type eniXML struct {
	ID         string          `xml:"networkInterfaceId"`
	SubnetID   string          `xml:"subnetId"`
	VPCID      string          `xml:"vpcId"`
	OwnerID    string          `xml:"ownerId"`
	Status     string          `xml:"status"`
	MAC        string          `xml:"macAddress"`
	PrivateIP  string          `xml:"privateIpAddress"`
	PrivateDNS string          `xml:"privateDnsName"`
	SourceDest bool            `xml:"sourceDestCheck"`
	Groups     list[groupName] `xml:"groupSet"`
	Attachment eniAttachment   `xml:"attachment"`
	Public     *eniPublic      `xml:"association"`
	Kind       string          `xml:"interfaceType"`
}

type eniPublic struct {
	IP    string `xml:"publicIp"`
	DNS   string `xml:"publicDnsName"`
	Owner string `xml:"ipOwnerId"`
}

type eniAttachment struct {
	ID                  string `xml:"attachmentId"`
	DeviceIndex         int    `xml:"deviceIndex"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

// reservation shows instances of one launch.
func (s *Service) reservation(instances []*instanceRecord) reservationXML {
	r := reservationXML{ReservationID: instances[0].ReservationID, OwnerID: instances[0].Account}
	for _, i := range instances {
		r.Instances.Items = append(r.Instances.Items, i.encoded())
	}
	return r
}

// encodedXML is an item that was encoded before.
type encodedXML struct {
	Inner []byte `xml:",innerxml"`
}

// encoded is the instance's XML. Callers poll many instances of which few have changed, so it is kept until one does.
func (i *instanceRecord) encoded() encodedXML {
	if i.shown == nil {
		whole, err := xml.Marshal(struct {
			XMLName xml.Name `xml:"item"`
			instanceXML
		}{instanceXML: showInstance(i)})
		if err != nil {
			panic("ec2: instance " + i.ID + " cannot be encoded: " + err.Error())
		}
		i.shown = bytes.TrimSuffix(bytes.TrimPrefix(whole, []byte("<item>")), []byte("</item>"))
	}
	return encodedXML{i.shown}
}

func showInstance(i *instanceRecord) instanceXML {
	x := instanceXML{
		InstanceID: i.ID, ImageID: i.ImageID, State: stateOf(i.State), Reason: i.Reason, KeyName: i.KeyName,
		AMILaunchIndex: i.LaunchIndex, InstanceType: i.Type, LaunchTime: stamp(i.Launched),
		Placement:  placementXML{i.Zone, i.PlacementGroup, i.Tenancy},
		Platform:   i.Platform,
		Monitoring: nameXML{"disabled"},
		SourceDest: !i.NoSourceDest, Architecture: i.Architecture,
		RootDeviceType: "ebs", RootDeviceName: i.RootDevice, Virtualization: "hvm", ClientToken: i.ClientToken,
		Tags: listOf(i.Tags), Hypervisor: "xen", EBSOptimized: i.EBSOptimized, ENASupport: true,
		Metadata: i.Metadata, Details: i.Details, SpotRequestID: i.SpotRequestID,
	}
	if i.Monitoring {
		x.Monitoring.State = "enabled"
	}
	if i.Spot {
		x.Lifecycle = "spot"
	}
	kind := instanceTypes[i.Type]
	x.launchExtras = i.Extras
	if x.CPU == nil {
		x.CPU = &cpuOptions{kind.cores(), kind.threads()}
	}
	if i.StateReasonCode != "" {
		x.StateReason = &reasonXML{i.StateReasonCode, i.StateReason}
	}
	if i.ProfileARN != "" {
		x.Profile = &profileXML{i.ProfileARN, "AIPA" + idDigits(i.ProfileARN)}
	}
	if i.State == stateTerminated {
		return x
	}
	x.SubnetID, x.VPCID, x.PrivateIP = i.SubnetID, i.VPCID, i.PrivateIP
	x.PrivateDNSName, x.Groups = privateDNS(i.Region, i.PrivateIP), listOf(i.Groups)
	if i.PublicIP != "" {
		x.PublicIP, x.DNSName = i.PublicIP, publicDNS(i.Region, i.PublicIP)
	}
	for _, v := range i.Volumes {
		x.Devices.Items = append(x.Devices.Items, deviceXML{v.Device, attachedEBSXML{v.VolumeID, cmp.Or(v.Status, attached), stamp(v.At), v.DeleteOnTermination}})
	}
	x.Interfaces.Items = []eniXML{{
		ID: i.InterfaceID, SubnetID: i.SubnetID, VPCID: i.VPCID, OwnerID: i.Account, Status: "in-use", MAC: i.MAC,
		PrivateIP: i.PrivateIP, PrivateDNS: x.PrivateDNSName, SourceDest: x.SourceDest, Groups: x.Groups,
		Attachment: eniAttachment{"eni-attach-" + i.InterfaceID[4:], 0, "attached", x.LaunchTime, true}, Kind: "interface",
	}}
	if i.PublicIP != "" {
		owner := "amazon"
		if i.ElasticIP != "" {
			owner = i.Account
		}
		x.Interfaces.Items[0].Public = &eniPublic{i.PublicIP, publicDNS(i.Region, i.PublicIP), owner}
	}
	for _, n := range i.secondary {
		x.Interfaces.Items = append(x.Interfaces.Items, eniXML{
			ID: n.ID, SubnetID: n.SubnetID, VPCID: n.VPCID, OwnerID: n.Account, Status: "in-use", MAC: n.MAC, PrivateIP: n.PrivateIP,
			PrivateDNS: privateDNS(n.Region, n.PrivateIP), SourceDest: !n.NoSourceDest, Groups: listOf(n.Groups), Kind: "interface",
			Attachment: eniAttachment{n.AttachmentID, int(n.DeviceIndex), cmp.Or(n.Status, attached), stamp(n.AttachedAt), n.DeleteOnTermination},
		})
	}
	return x
}
