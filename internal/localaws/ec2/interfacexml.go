package ec2

import (
	"cmp"
	"slices"
)

type interfaceXML struct {
	ID          string                `xml:"networkInterfaceId"`
	SubnetID    string                `xml:"subnetId"`
	VPCID       string                `xml:"vpcId"`
	Zone        string                `xml:"availabilityZone"`
	Description string                `xml:"description"`
	OwnerID     string                `xml:"ownerId"`
	Managed     bool                  `xml:"requesterManaged"`
	Status      string                `xml:"status"`
	MAC         string                `xml:"macAddress"`
	PrivateIP   string                `xml:"privateIpAddress"`
	PrivateDNS  string                `xml:"privateDnsName"`
	SourceDest  bool                  `xml:"sourceDestCheck"`
	Groups      list[groupName]       `xml:"groupSet"`
	Attachment  *interfaceAttachedXML `xml:"attachment"`
	Association *associationXML       `xml:"association"`
	Tags        list[Tag]             `xml:"tagSet"`
	Kind        string                `xml:"interfaceType"`
}

type interfaceAttachedXML struct {
	ID                  string `xml:"attachmentId"`
	InstanceID          string `xml:"instanceId"`
	InstanceOwner       string `xml:"instanceOwnerId"`
	DeviceIndex         int32  `xml:"deviceIndex"`
	CardIndex           int32  `xml:"networkCardIndex"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

type associationXML struct {
	PublicIP      string `xml:"publicIp"`
	OwnerID       string `xml:"ipOwnerId"`
	AllocationID  string `xml:"allocationId,omitempty"`
	AssociationID string `xml:"associationId,omitempty"`
}

func (sc *scope) showInterface(n *interfaceRecord) interfaceXML {
	x := interfaceXML{
		ID: n.ID, SubnetID: n.SubnetID, VPCID: n.VPCID, Zone: n.Zone, Description: n.Description, OwnerID: n.Account, Status: n.state(),
		MAC: n.MAC, PrivateIP: n.PrivateIP, PrivateDNS: privateDNS(n.Region, n.PrivateIP), SourceDest: !n.NoSourceDest,
		Groups: listOf(n.Groups), Tags: listOf(n.Tags), Kind: "interface",
	}
	if n.InstanceID != "" {
		x.Attachment = &interfaceAttachedXML{
			ID: n.AttachmentID, InstanceID: n.InstanceID, InstanceOwner: n.Account, DeviceIndex: n.DeviceIndex,
			Status: cmp.Or(n.Status, attached), AttachTime: stamp(n.AttachedAt), DeleteOnTermination: n.DeleteOnTermination,
		}
	}
	for _, address := range sc.elastic.order {
		if address.InterfaceID == n.ID {
			x.Association = &associationXML{address.PublicIP, address.Account, address.ID, address.AssociationID}
		}
	}
	return x
}

var interfaceFields = fields[*interfaceRecord]{
	"network-interface-id":   func(n *interfaceRecord) []string { return one(n.ID) },
	"subnet-id":              func(n *interfaceRecord) []string { return one(n.SubnetID) },
	"vpc-id":                 func(n *interfaceRecord) []string { return one(n.VPCID) },
	"availability-zone":      func(n *interfaceRecord) []string { return one(n.Zone) },
	"description":            func(n *interfaceRecord) []string { return one(n.Description) },
	"status":                 func(n *interfaceRecord) []string { return one(n.state()) },
	"private-ip-address":     func(n *interfaceRecord) []string { return one(n.PrivateIP) },
	"mac-address":            func(n *interfaceRecord) []string { return one(n.MAC) },
	"owner-id":               func(n *interfaceRecord) []string { return one(n.Account) },
	"attachment.instance-id": func(n *interfaceRecord) []string { return one(n.InstanceID) },
	"attachment.attachment-id": func(n *interfaceRecord) []string {
		return one(n.AttachmentID)
	},
	"attachment.device-index": func(n *interfaceRecord) []string {
		if n.InstanceID == "" {
			return nil
		}
		return one(number(n.DeviceIndex))
	},
	"group-id": func(n *interfaceRecord) []string {
		var ids []string
		for _, g := range n.Groups {
			ids = append(ids, g.ID)
		}
		return ids
	},
}

type describeInterfacesInput struct {
	dryable
	paging
	IDs     []string `query:"NetworkInterfaceId"`
	Filters []filter `query:"Filter"`
}

type describeInterfacesXML struct {
	Interfaces list[interfaceXML] `xml:"networkInterfaceSet"`
	NextToken  string             `xml:"nextToken,omitempty"`
}

// describeNetworkInterfaces lists the interfaces that were made by themselves and the first ones of instances.
func (s *Service) describeNetworkInterfaces(c *call, in *describeInterfacesInput) (any, error) {
	if err := interfaceFields.check(in.Filters); err != nil {
		return nil, err
	}
	var candidates []*interfaceRecord
	for _, id := range in.IDs {
		n, err := c.networkInterface(id, c.now)
		if err != nil {
			return nil, err
		}
		candidates = append(candidates, n)
	}
	if len(in.IDs) == 0 {
		candidates = slices.Clone(c.interfaces.candidates(in.Filters))
		for _, i := range c.instances.order {
			if i.State != stateTerminated && !c.now.Before(i.Visible) {
				candidates = append(candidates, primaryOf(i))
			}
		}
	}
	slices.SortFunc(candidates, bySequence)
	found := slices.DeleteFunc(candidates, func(n *interfaceRecord) bool {
		return c.now.Before(n.Visible) || !interfaceFields.match(in.Filters, n)
	})
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeInterfacesXML{NextToken: next}
	for _, n := range found {
		answer.Interfaces.Items = append(answer.Interfaces.Items, c.showInterface(n))
	}
	return answer, nil
}
