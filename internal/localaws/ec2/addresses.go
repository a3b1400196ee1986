package ec2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// addressRecord is an Elastic IP address; its id is the allocation's.
type addressRecord struct {
	base
	PublicIP      string
	AssociationID string `json:",omitempty"`
	InterfaceID   string `json:",omitempty"`
	InstanceID    string `json:",omitempty"`
	PrivateIP     string `json:",omitempty"`
}

func (a *addressRecord) keys() []string { return []string{"instance-id=" + a.InstanceID} }

// maxAddresses is the default quota of Elastic IP addresses a region, raised for tests of fleets.
const maxAddresses = 1000

type allocateInput struct {
	dryable
	Domain            string             `query:"Domain"`
	Address           string             `query:"Address"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

type allocateXML struct {
	AllocationID string `xml:"allocationId"`
	PublicIP     string `xml:"publicIp"`
	Domain       string `xml:"domain"`
	Pool         string `xml:"publicIpv4Pool"`
	BorderGroup  string `xml:"networkBorderGroup"`
}

func (s *Service) allocateAddress(c *call, in *allocateInput) (any, error) {
	if in.Domain != "" && in.Domain != "vpc" {
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter domain is invalid. Expected vpc.", in.Domain)
	}
	if in.Address != "" {
		return nil, api.Errorf("InvalidAddress.NotFound", "The address '%s' cannot be recovered", in.Address)
	}
	tags, err := tagsFor(in.TagSpecifications, "elastic-ip")
	if err != nil {
		return nil, err
	}
	if len(c.elastic.order) >= maxAddresses {
		return nil, api.Errorf("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	a := &addressRecord{base: s.newBase(c.scope, s.newID("eipalloc", c.Account, c.Region), tags)}
	a.PublicIP = fmt.Sprintf("203.0.%d.%d", 112+a.Sequence>>8&7, a.Sequence&255)
	c.elastic.put(a)
	s.changed = true
	return allocateXML{a.ID, a.PublicIP, "vpc", "amazon", c.Region}, nil
}

type describeAddressesInput struct {
	dryable
	IDs       []string `query:"AllocationId"`
	PublicIPs []string `query:"PublicIp"`
	Filters   []filter `query:"Filter"`
}

type describeAddressesXML struct {
	Addresses list[addressXML] `xml:"addressesSet"`
}

type addressXML struct {
	AllocationID  string    `xml:"allocationId"`
	PublicIP      string    `xml:"publicIp"`
	Domain        string    `xml:"domain"`
	Pool          string    `xml:"publicIpv4Pool"`
	BorderGroup   string    `xml:"networkBorderGroup"`
	InstanceID    string    `xml:"instanceId,omitempty"`
	AssociationID string    `xml:"associationId,omitempty"`
	InterfaceID   string    `xml:"networkInterfaceId,omitempty"`
	Owner         string    `xml:"networkInterfaceOwnerId,omitempty"`
	PrivateIP     string    `xml:"privateIpAddress,omitempty"`
	Tags          list[Tag] `xml:"tagSet"`
}

var addressFields = fields[*addressRecord]{
	"allocation-id":        func(a *addressRecord) []string { return one(a.ID) },
	"association-id":       func(a *addressRecord) []string { return one(a.AssociationID) },
	"instance-id":          func(a *addressRecord) []string { return one(a.InstanceID) },
	"network-interface-id": func(a *addressRecord) []string { return one(a.InterfaceID) },
	"private-ip-address":   func(a *addressRecord) []string { return one(a.PrivateIP) },
	"public-ip":            func(a *addressRecord) []string { return one(a.PublicIP) },
	"domain":               func(*addressRecord) []string { return one("vpc") },
}

func (s *Service) describeAddresses(c *call, in *describeAddressesInput) (any, error) {
	for _, ip := range in.PublicIPs {
		if !slices.ContainsFunc(c.elastic.order, func(a *addressRecord) bool { return a.PublicIP == ip }) {
			return nil, api.Errorf("InvalidAddress.NotFound", "Address '%s' not found.", ip)
		}
	}
	found, err := pick(c.elastic, addressFields, in.IDs, in.Filters, allocationNotFound)
	if err != nil {
		return nil, err
	}
	var answer describeAddressesXML
	for _, a := range found {
		if len(in.PublicIPs) > 0 && !slices.Contains(in.PublicIPs, a.PublicIP) {
			continue
		}
		x := addressXML{
			AllocationID: a.ID, PublicIP: a.PublicIP, Domain: "vpc", Pool: "amazon", BorderGroup: c.Region, InstanceID: a.InstanceID,
			AssociationID: a.AssociationID, InterfaceID: a.InterfaceID, PrivateIP: a.PrivateIP, Tags: listOf(a.Tags),
		}
		if a.InterfaceID != "" {
			x.Owner = a.Account
		}
		answer.Addresses.Items = append(answer.Addresses.Items, x)
	}
	return answer, nil
}

func allocationNotFound(id string) error {
	return api.Errorf("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
}

type associateInput struct {
	dryable
	AllocationID      string `query:"AllocationId"`
	InstanceID        string `query:"InstanceId"`
	InterfaceID       string `query:"NetworkInterfaceId"`
	PrivateIP         string `query:"PrivateIpAddress"`
	AllowReassociate  bool   `query:"AllowReassociation"`
	DeprecatedAddress string `query:"PublicIp"`
}

type associateXML struct {
	AssociationID string `xml:"associationId"`
}

// associateAddress gives an interface the address. An address that another one has moves only where reassociation is allowed;
// the same association again is the same.
func (s *Service) associateAddress(c *call, in *associateInput) (any, error) {
	if in.AllocationID == "" {
		return nil, missing("AllocationId")
	}
	a, ok := c.elastic.get(in.AllocationID)
	if !ok {
		return nil, allocationNotFound(in.AllocationID)
	}
	n, err := c.addressee(in, c)
	if err != nil {
		return nil, err
	}
	if in.PrivateIP != "" && in.PrivateIP != n.PrivateIP {
		return nil, api.Errorf("InvalidParameterValue", "The private address '%s' is not one of network interface '%s'", in.PrivateIP, n.ID)
	}
	if a.InterfaceID == n.ID {
		return associateXML{a.AssociationID}, nil
	}
	if a.InterfaceID != "" && !in.AllowReassociate {
		return nil, api.Errorf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", a.ID, a.AssociationID)
	}
	for _, other := range c.elastic.order {
		if other.InterfaceID != n.ID {
			continue
		}
		if !in.AllowReassociate {
			return nil, api.Errorf("Resource.AlreadyAssociated", "resource %s is already associated with address %s", n.ID, other.PublicIP)
		}
		s.disassociate(c.scope, other)
	}
	s.disassociate(c.scope, a)
	a.AssociationID = s.newID("eipassoc", a.ID, n.ID)
	a.InterfaceID, a.InstanceID, a.PrivateIP = n.ID, n.InstanceID, n.PrivateIP
	c.elastic.put(a)
	if i, ok := c.instances.get(n.InstanceID); ok {
		if n.primary {
			i.ElasticIP, i.PublicIP = a.PublicIP, a.PublicIP
		}
		s.saveInstance(i)
	}
	s.changed = true
	return associateXML{a.AssociationID}, nil
}

// addressee is the interface that is to have the address.
func (sc *scope) addressee(in *associateInput, c *call) (*interfaceRecord, error) {
	switch {
	case (in.InstanceID == "") == (in.InterfaceID == ""):
		return nil, api.Errorf("InvalidParameterCombination", "You must specify either an instance or a network interface")
	case in.InterfaceID != "":
		return sc.networkInterface(in.InterfaceID, c.now)
	}
	i, err := sc.instance(in.InstanceID, c.now)
	if err != nil {
		return nil, err
	}
	if i.State != stateRunning && i.State != stateStopped {
		return nil, api.Errorf("InvalidInstanceID", "The %s instance '%s' is not in a valid state for this operation.", i.State, i.ID)
	}
	if len(i.secondary) > 0 {
		return nil, api.Errorf("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", i.ID)
	}
	return primaryOf(i), nil
}

type disassociateInput struct {
	dryable
	AssociationID string `query:"AssociationId"`
}

func (s *Service) disassociateAddress(c *call, in *disassociateInput) (any, error) {
	if in.AssociationID == "" {
		return nil, missing("AssociationId")
	}
	for _, a := range c.elastic.order {
		if a.AssociationID == in.AssociationID {
			s.disassociate(c.scope, a)
			return done{true}, nil
		}
	}
	return nil, api.Errorf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", in.AssociationID)
}

// disassociate takes the address from its interface; a running instance gets one of the public block back.
func (s *Service) disassociate(sc *scope, a *addressRecord) {
	if a.InterfaceID == "" {
		return
	}
	primary := "i-" + strings.TrimPrefix(a.InterfaceID, "eni-")
	i, ok := sc.instances.get(primary)
	a.AssociationID, a.InterfaceID, a.InstanceID, a.PrivateIP = "", "", "", ""
	sc.elastic.put(a)
	if ok {
		i.ElasticIP, i.PublicIP = "", ""
		if i.UsesPublicSubnet && i.State == stateRunning {
			i.PublicIP = publicAddress(i.Sequence)
		}
		s.saveInstance(i)
	}
	s.changed = true
}

type releaseInput struct {
	dryable
	AllocationID string `query:"AllocationId"`
}

func (s *Service) releaseAddress(c *call, in *releaseInput) (any, error) {
	if in.AllocationID == "" {
		return nil, missing("AllocationId")
	}
	a, ok := c.elastic.get(in.AllocationID)
	if !ok {
		return nil, allocationNotFound(in.AllocationID)
	}
	if a.InterfaceID != "" {
		return nil, api.Errorf("InvalidIPAddress.InUse", "Address %s is in use.", a.PublicIP)
	}
	c.elastic.remove(a)
	s.changed = true
	return done{true}, nil
}
