package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// interfaceRecord is a network interface that was made by itself; an instance's first one is part of its instance.
type interfaceRecord struct {
	base
	Description  string `json:",omitempty"`
	SubnetID     string
	VPCID        string
	Zone         string
	PrivateIP    string
	MAC          string
	Groups       []groupName `json:",omitempty"`
	NoSourceDest bool        `json:",omitempty"`
	Visible      time.Time

	InstanceID          string    `json:",omitempty"`
	AttachmentID        string    `json:",omitempty"`
	DeviceIndex         int32     `json:",omitempty"`
	DeleteOnTermination bool      `json:",omitempty"`
	Status              string    `json:",omitempty"` // attaching or detaching; empty: attached, if an instance has it
	AttachedAt          time.Time `json:",omitzero"`
	Next                time.Time `json:",omitzero"`

	primary bool // shown of an instance, not stored
}

func (n *interfaceRecord) keys() []string {
	if n.InstanceID == "" {
		return nil
	}
	return []string{"attachment.instance-id=" + n.InstanceID}
}

// state is the interface's own.
func (n *interfaceRecord) state() string {
	switch {
	case n.InstanceID == "":
		return "available"
	case n.Status != "":
		return n.Status
	}
	return "in-use"
}

type createInterfaceInput struct {
	dryable
	SubnetID          string             `query:"SubnetId"`
	Description       string             `query:"Description"`
	PrivateIP         string             `query:"PrivateIpAddress"`
	Groups            []string           `query:"SecurityGroupId"`
	InterfaceType     string             `query:"InterfaceType"`
	ClientToken       string             `query:"ClientToken"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

type createInterfaceXML struct {
	Interface   interfaceXML `xml:"networkInterface"`
	ClientToken string       `xml:"clientToken,omitempty"`
}

func (s *Service) createNetworkInterface(c *call, in *createInterfaceInput) (any, error) {
	if err := checkToken(in.ClientToken); err != nil {
		return nil, err
	}
	key, digest := "interface/"+c.Account+"/"+c.Region+"/"+in.ClientToken, requestDigest(c.Request)
	if known, ok := s.token(key, c.now); ok && in.ClientToken != "" {
		n, there := c.interfaces.get(known.IDs[0])
		if known.Digest != digest || !there {
			return nil, mismatch()
		}
		return createInterfaceXML{c.showInterface(n), in.ClientToken}, nil
	}
	subnet, ok := c.subnets.get(in.SubnetID)
	switch {
	case in.SubnetID == "":
		return nil, missing("SubnetId")
	case !ok:
		return nil, api.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", in.SubnetID)
	case in.InterfaceType != "" && in.InterfaceType != "interface":
		return nil, api.Errorf("InvalidParameterValue", "This endpoint has no network interfaces of type '%s'", in.InterfaceType)
	case c.freeAddresses(subnet) < 1:
		return nil, api.Errorf("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.")
	}
	if in.PrivateIP != "" {
		if err := c.checkAddress(subnet, in.PrivateIP); err != nil {
			return nil, err
		}
	}
	groups, err := c.groupsFor(in.Groups, nil)
	if err != nil {
		return nil, err
	}
	tags, err := tagsFor(in.TagSpecifications, "network-interface")
	if err != nil {
		return nil, err
	}
	id := s.newID("eni", c.Account, c.Region, in.SubnetID, in.ClientToken)
	n := &interfaceRecord{
		base: s.newBase(c.scope, id, tags), Description: in.Description, SubnetID: subnet.ID, VPCID: subnet.VPCID, Zone: subnet.Zone,
		PrivateIP: c.takeAddress(subnet, in.PrivateIP, id), MAC: macOf(id), Groups: groups, Visible: s.visibleAt(c.now, id),
	}
	c.interfaces.put(n)
	if in.ClientToken != "" {
		s.tables.tokens.Put(key, &tokenRecord{Digest: digest, IDs: []string{id}, At: c.now})
	}
	s.changed = true
	return createInterfaceXML{c.showInterface(n), in.ClientToken}, nil
}

type attachInterfaceInput struct {
	dryable
	InterfaceID string `query:"NetworkInterfaceId"`
	InstanceID  string `query:"InstanceId"`
	DeviceIndex *int32 `query:"DeviceIndex"`
	CardIndex   int32  `query:"NetworkCardIndex"`
}

type attachInterfaceXML struct {
	AttachmentID string `xml:"attachmentId"`
	CardIndex    int32  `xml:"networkCardIndex"`
}

func (s *Service) attachNetworkInterface(c *call, in *attachInterfaceInput) (any, error) {
	n, err := c.networkInterface(in.InterfaceID, c.now)
	if err != nil {
		return nil, err
	}
	i, err := c.instance(in.InstanceID, c.now)
	if err != nil {
		return nil, err
	}
	switch {
	case in.DeviceIndex == nil:
		return nil, missing("DeviceIndex")
	case n.primary || n.InstanceID != "":
		return nil, api.Errorf("InvalidNetworkInterface.InUse", "Interface: [%s] in use.", n.ID)
	case n.Zone != i.Zone:
		return nil, api.Errorf("InvalidParameterCombination", "You may not attach a network interface to an instance if they are not in the same availability zone")
	case n.VPCID != i.VPCID:
		return nil, api.Errorf("InvalidParameterCombination", "The network interface '%s' is in another VPC than the instance '%s'", n.ID, i.ID)
	case i.State != stateRunning && i.State != stateStopped:
		return nil, api.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'running' or 'stopped' state.", i.ID)
	case *in.DeviceIndex == 0 || slices.ContainsFunc(i.secondary, func(o *interfaceRecord) bool { return o.DeviceIndex == *in.DeviceIndex }):
		return nil, api.Errorf("InvalidParameterValue", "Instance '%s' already has an interface attached at device index '%d'.", i.ID, *in.DeviceIndex)
	case 1+len(i.secondary) >= instanceTypes[i.Type].interfaces():
		return nil, api.Errorf("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", 2+len(i.secondary), i.Type)
	}
	n.InstanceID, n.DeviceIndex, n.Status, n.AttachedAt, n.DeleteOnTermination = i.ID, *in.DeviceIndex, attaching, c.now, false
	n.AttachmentID = s.newID("eni-attach", n.ID, i.ID)
	n.Next = c.now.Add(s.env.Scale(s.options.Attaching))
	c.interfaces.put(n)
	i.secondary = append(slices.Clone(i.secondary), n)
	s.saveInstance(i)
	s.armInterface(n)
	s.changed = true
	return attachInterfaceXML{n.AttachmentID, 0}, nil
}

// interfaces is how many an instance of the type takes; about what AWS gives its sizes.
func (t instanceType) interfaces() int {
	switch {
	case t.vcpus <= 2:
		return 3
	case t.vcpus <= 8:
		return 4
	}
	return 8
}

type detachInterfaceInput struct {
	dryable
	AttachmentID string `query:"AttachmentId"`
	Force        bool   `query:"Force"`
}

func (s *Service) detachNetworkInterface(c *call, in *detachInterfaceInput) (any, error) {
	n, err := c.attachment(in.AttachmentID)
	switch {
	case err != nil:
		return nil, err
	case n.primary:
		return nil, api.Errorf("OperationNotPermitted", "The network interface at device index 0 cannot be detached.")
	case n.Status == detaching:
		return done{true}, nil
	case n.Status == attaching && !in.Force:
		return nil, api.Errorf("IncorrectState", "The network interface '%s' is still attaching.", n.ID)
	}
	n.Status, n.Next = detaching, c.now.Add(s.env.Scale(s.options.Detaching))
	c.interfaces.put(n)
	if i, ok := c.instances.get(n.InstanceID); ok {
		s.saveInstance(i)
	}
	s.armInterface(n)
	s.changed = true
	return done{true}, nil
}

// armInterface ends what the interface is at: attaching or detaching.
func (s *Service) armInterface(n *interfaceRecord) {
	if n.Status == "" {
		return
	}
	at, next := n.Status, n.Next
	s.timers.at(next, func() {
		sc := s.scopeOf(&n.base)
		if held, ok := sc.interfaces.get(n.ID); !ok || held != n || n.Status != at || !n.Next.Equal(next) {
			return
		}
		i, there := sc.instances.get(n.InstanceID)
		n.Status, n.Next = "", time.Time{}
		if at == detaching {
			s.freeInterface(sc, n)
		} else {
			sc.interfaces.put(n)
		}
		if there {
			i.secondary = sc.secondaryOf(i.ID)
			s.saveInstance(i)
		}
		s.changed = true
	})
}

func (s *Service) freeInterface(sc *scope, n *interfaceRecord) {
	n.InstanceID, n.AttachmentID, n.DeviceIndex, n.Status, n.Next = "", "", 0, "", time.Time{}
	n.AttachedAt, n.DeleteOnTermination = time.Time{}, false
	sc.interfaces.put(n)
	for _, address := range sc.elastic.order {
		if address.InterfaceID == n.ID {
			address.InstanceID = ""
			sc.elastic.put(address)
		}
	}
}

func (sc *scope) secondaryOf(instanceID string) []*interfaceRecord {
	return slices.Clone(sc.interfaces.candidates([]filter{{Name: "attachment.instance-id", Values: []string{instanceID}}}))
}

type modifyInterfaceInput struct {
	dryable
	InterfaceID string   `query:"NetworkInterfaceId"`
	Description *textXML `query:"Description"`
	SourceDest  *boolXML `query:"SourceDestCheck"`
	Groups      []string `query:"SecurityGroupId"`
	Attachment  *struct {
		ID                  string `query:"AttachmentId"`
		DeleteOnTermination *bool  `query:"DeleteOnTermination"`
	} `query:"Attachment"`
}

func (s *Service) modifyNetworkInterfaceAttribute(c *call, in *modifyInterfaceInput) (any, error) {
	n, err := c.networkInterface(in.InterfaceID, c.now)
	if err != nil {
		return nil, err
	}
	if n.primary {
		return nil, api.Errorf("UnsupportedOperation", "This endpoint keeps the attributes of an instance's first network interface with the instance")
	}
	if a := in.Attachment; a != nil {
		if a.ID == "" || a.ID != n.AttachmentID {
			return nil, api.Errorf("InvalidAttachmentID.NotFound", "The attachment '%s' is not the one of network interface '%s'", a.ID, n.ID)
		}
		if a.DeleteOnTermination == nil {
			return nil, missing("Attachment.DeleteOnTermination")
		}
		n.DeleteOnTermination = *a.DeleteOnTermination
	}
	if len(in.Groups) > 0 {
		groups, err := c.groupsFor(in.Groups, nil)
		if err != nil {
			return nil, err
		}
		n.Groups = groups
	}
	if in.Description != nil {
		n.Description = in.Description.Value
	}
	if in.SourceDest != nil {
		n.NoSourceDest = !in.SourceDest.Value
	}
	c.interfaces.put(n)
	if i, ok := c.instances.get(n.InstanceID); ok {
		s.saveInstance(i)
	}
	return done{true}, nil
}

type interfaceInput struct {
	dryable
	InterfaceID string `query:"NetworkInterfaceId"`
}

func (s *Service) deleteNetworkInterface(c *call, in *interfaceInput) (any, error) {
	n, err := c.networkInterface(in.InterfaceID, c.now)
	switch {
	case err != nil:
		return nil, err
	case n.primary || n.InstanceID != "":
		return nil, api.Errorf("InvalidParameterValue", "Network interface '%s' is currently in use.", n.ID)
	}
	s.dropInterface(c.scope, n)
	return done{true}, nil
}

func (s *Service) dropInterface(sc *scope, n *interfaceRecord) {
	for _, address := range sc.elastic.order {
		if address.InterfaceID == n.ID {
			s.disassociate(sc, address)
		}
	}
	if sc.addresses[n.PrivateIP] == n.ID {
		delete(sc.addresses, n.PrivateIP)
	}
	sc.interfaces.remove(n)
	s.changed = true
}

// buryNetwork takes a terminated instance's interfaces and addresses from it.
func (s *Service) buryNetwork(sc *scope, i *instanceRecord) {
	for _, n := range sc.secondaryOf(i.ID) {
		if n.DeleteOnTermination {
			s.dropInterface(sc, n)
		} else {
			s.freeInterface(sc, n)
		}
	}
	i.secondary = nil
	for _, address := range slices.Clone(sc.elastic.order) {
		if address.InstanceID == i.ID {
			s.disassociate(sc, address)
		}
	}
}

// networkInterface finds an interface, or an instance's first one.
func (sc *scope) networkInterface(id string, now time.Time) (*interfaceRecord, error) {
	switch {
	case id == "":
		return nil, missing("NetworkInterfaceId")
	case !strings.HasPrefix(id, "eni-"):
		return nil, api.Errorf("InvalidNetworkInterfaceID.Malformed", "Invalid id: \"%s\" (expecting \"eni-...\")", id)
	}
	if n, ok := sc.interfaces.get(id); ok && !now.Before(n.Visible) {
		return n, nil
	}
	if i, ok := sc.instances.get("i-" + id[4:]); ok && i.State != stateTerminated && !now.Before(i.Visible) {
		return primaryOf(i), nil
	}
	return nil, api.Errorf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
}

func (sc *scope) attachment(id string) (*interfaceRecord, error) {
	if id == "" {
		return nil, missing("AttachmentId")
	}
	for _, n := range sc.interfaces.order {
		if n.AttachmentID == id {
			return n, nil
		}
	}
	if i, ok := sc.instances.get("i-" + strings.TrimPrefix(id, "eni-attach-")); ok && i.State != stateTerminated {
		return primaryOf(i), nil
	}
	return nil, api.Errorf("InvalidAttachmentID.NotFound", "The attachment '%s' does not exist", id)
}

// primaryOf is the instance's first interface as a record.
func primaryOf(i *instanceRecord) *interfaceRecord {
	return &interfaceRecord{
		base: base{ID: i.InterfaceID, Account: i.Account, Region: i.Region, Sequence: i.Sequence, Tags: i.InterfaceTags}, SubnetID: i.SubnetID,
		VPCID: i.VPCID, Zone: i.Zone, PrivateIP: i.PrivateIP, MAC: i.MAC, Groups: i.Groups, NoSourceDest: i.NoSourceDest,
		InstanceID: i.ID, AttachmentID: "eni-attach-" + i.InterfaceID[4:], DeleteOnTermination: true, AttachedAt: i.Launched, primary: true,
	}
}
