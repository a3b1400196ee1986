package ec2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// ipPermission is one rule of a security group.
type ipPermission struct {
	Protocol string       `query:"IpProtocol" xml:"ipProtocol"`
	FromPort *int32       `query:"FromPort" xml:"fromPort,omitempty" json:",omitempty"`
	ToPort   *int32       `query:"ToPort" xml:"toPort,omitempty" json:",omitempty"`
	Groups   []groupPair  `query:"Groups" xml:"groups>item" json:",omitempty"`
	Ranges   []ipRange    `query:"IpRanges" xml:"ipRanges>item" json:",omitempty"`
	IPv6     []ipv6Range  `query:"Ipv6Ranges" xml:"ipv6Ranges>item" json:",omitempty"`
	Prefixes []prefixList `query:"PrefixListIds" xml:"prefixListIds>item" json:",omitempty"`
}

type groupPair struct {
	UserID      string `query:"UserId" xml:"userId,omitempty" json:",omitempty"`
	GroupID     string `query:"GroupId" xml:"groupId,omitempty" json:",omitempty"`
	GroupName   string `query:"GroupName" xml:"groupName,omitempty" json:",omitempty"`
	Description string `query:"Description" xml:"description,omitempty" json:",omitempty"`
}

type ipRange struct {
	CIDR        string `query:"CidrIp" xml:"cidrIp"`
	Description string `query:"Description" xml:"description,omitempty" json:",omitempty"`
}

type ipv6Range struct {
	CIDR        string `query:"CidrIpv6" xml:"cidrIpv6"`
	Description string `query:"Description" xml:"description,omitempty" json:",omitempty"`
}

type prefixList struct {
	ID          string `query:"PrefixListId" xml:"prefixListId"`
	Description string `query:"Description" xml:"description,omitempty" json:",omitempty"`
}

type describeGroupsInput struct {
	dryable
	paging
	IDs     []string `query:"GroupId"`
	Names   []string `query:"GroupName"`
	Filters []filter `query:"Filter"`
}

type describeGroupsXML struct {
	Groups    list[groupXML] `xml:"securityGroupInfo"`
	NextToken string         `xml:"nextToken,omitempty"`
}

type groupXML struct {
	OwnerID     string             `xml:"ownerId"`
	GroupID     string             `xml:"groupId"`
	GroupName   string             `xml:"groupName"`
	Description string             `xml:"groupDescription"`
	VPCID       string             `xml:"vpcId"`
	ARN         string             `xml:"securityGroupArn"`
	Ingress     list[ipPermission] `xml:"ipPermissions"`
	Egress      list[ipPermission] `xml:"ipPermissionsEgress"`
	Tags        list[Tag]          `xml:"tagSet"`
}

var groupFields = fields[*groupRecord]{
	"group-id":    func(g *groupRecord) []string { return one(g.ID) },
	"group-name":  func(g *groupRecord) []string { return one(g.Name) },
	"description": func(g *groupRecord) []string { return one(g.Description) },
	"vpc-id":      func(g *groupRecord) []string { return one(g.VPCID) },
	"owner-id":    func(g *groupRecord) []string { return one(g.Account) },
}

func (s *Service) describeSecurityGroups(c *call, in *describeGroupsInput) (any, error) {
	ids := slices.Clone(in.IDs)
	for _, name := range in.Names {
		group := c.groupNamed(name)
		if group == nil {
			return nil, api.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", name)
		}
		ids = append(ids, group.ID)
	}
	found, err := pick(c.groups, groupFields, ids, in.Filters, groupNotFound)
	if err != nil {
		return nil, err
	}
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeGroupsXML{NextToken: next}
	for _, g := range found {
		answer.Groups.Items = append(answer.Groups.Items, groupXML{
			OwnerID: g.Account, GroupID: g.ID, GroupName: g.Name, Description: g.Description, VPCID: g.VPCID, ARN: groupARN(g),
			Ingress: listOf(g.Ingress), Tags: listOf(g.Tags),
			Egress: listOf([]ipPermission{{Protocol: "-1", Ranges: []ipRange{{CIDR: "0.0.0.0/0"}}}}),
		})
	}
	return answer, nil
}

func groupARN(g *groupRecord) string {
	return "arn:aws:ec2:" + g.Region + ":" + g.Account + ":security-group/" + g.ID
}

func groupNotFound(id string) error {
	return api.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

func (sc *scope) groupNamed(name string) *groupRecord {
	for _, group := range sc.groups.order {
		if group.Name == name {
			return group
		}
	}
	return nil
}

// groupsFor finds an instance's security groups; without any it is the default one.
func (sc *scope) groupsFor(ids, names []string) ([]groupName, error) {
	var groups []groupName
	for _, id := range ids {
		group, ok := sc.groups.get(id)
		if !ok {
			return nil, groupNotFound(id)
		}
		groups = append(groups, groupName{group.ID, group.Name})
	}
	for _, name := range names {
		group := sc.groupNamed(name)
		if group == nil {
			return nil, api.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, sc.vpc.ID)
		}
		groups = append(groups, groupName{group.ID, group.Name})
	}
	if len(groups) == 0 {
		standard := sc.groupNamed("default")
		groups = append(groups, groupName{standard.ID, standard.Name})
	}
	return groups, nil
}

type createGroupInput struct {
	dryable
	Name              string             `query:"GroupName"`
	Description       string             `query:"GroupDescription"`
	VPCID             string             `query:"VpcId"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

type createGroupXML struct {
	GroupID string    `xml:"groupId"`
	ARN     string    `xml:"securityGroupArn"`
	Tags    list[Tag] `xml:"tagSet"`
}

func (s *Service) createSecurityGroup(c *call, in *createGroupInput) (any, error) {
	switch {
	case in.Name == "":
		return nil, missing("GroupName")
	case in.Description == "":
		return nil, missing("GroupDescription")
	case strings.HasPrefix(in.Name, "sg-"):
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*.", in.Name)
	case in.VPCID != "" && in.VPCID != c.vpc.ID:
		return nil, api.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", in.VPCID)
	case c.groupNamed(in.Name) != nil:
		return nil, api.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", in.Name, c.vpc.ID)
	}
	tags, err := tagsFor(in.TagSpecifications, "security-group")
	if err != nil {
		return nil, err
	}
	group := &groupRecord{
		base: s.newBase(c.scope, s.newID("sg", c.Account, c.Region, in.Name), tags), Name: in.Name, Description: in.Description, VPCID: c.vpc.ID,
	}
	c.groups.put(group)
	return createGroupXML{group.ID, groupARN(group), listOf(tags)}, nil
}

type groupInput struct {
	dryable
	ID   string `query:"GroupId"`
	Name string `query:"GroupName"`
}

func (c *call) group(in groupInput) (*groupRecord, error) {
	if group, ok := c.groups.get(in.ID); ok {
		return group, nil
	}
	if group := c.groupNamed(in.Name); group != nil && in.ID == "" {
		return group, nil
	}
	return nil, groupNotFound(in.ID + in.Name)
}

type deleteGroupXML struct {
	Return  bool   `xml:"return"`
	GroupID string `xml:"groupId"`
}

func (s *Service) deleteSecurityGroup(c *call, in *groupInput) (any, error) {
	group, err := c.group(*in)
	if err != nil {
		return nil, err
	}
	if group.Name == "default" {
		return nil, api.Errorf("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", group.ID)
	}
	for _, i := range c.instances.order {
		if i.State != stateTerminated && slices.Contains(groupIDs(i), group.ID) {
			return nil, api.Errorf("DependencyViolation", "resource %s has a dependent object", group.ID)
		}
	}
	c.groups.remove(group)
	return deleteGroupXML{true, group.ID}, nil
}

type authorizeInput struct {
	groupInput
	Permissions       []ipPermission     `query:"IpPermissions"`
	Protocol          string             `query:"IpProtocol"`
	FromPort          *int32             `query:"FromPort"`
	ToPort            *int32             `query:"ToPort"`
	CIDR              string             `query:"CidrIp"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

type authorizeXML struct {
	Return bool          `xml:"return"`
	Rules  list[ruleXML] `xml:"securityGroupRuleSet"`
}

type ruleXML struct {
	ID       string `xml:"securityGroupRuleId"`
	GroupID  string `xml:"groupId"`
	OwnerID  string `xml:"groupOwnerId"`
	Egress   bool   `xml:"isEgress"`
	Protocol string `xml:"ipProtocol"`
	FromPort *int32 `xml:"fromPort,omitempty"`
	ToPort   *int32 `xml:"toPort,omitempty"`
	CIDR     string `xml:"cidrIpv4,omitempty"`
	IPv6     string `xml:"cidrIpv6,omitempty"`
}

func (s *Service) authorizeIngress(c *call, in *authorizeInput) (any, error) {
	group, err := c.group(in.groupInput)
	if err != nil {
		return nil, err
	}
	added := in.Permissions
	if in.CIDR != "" {
		added = append(added, ipPermission{Protocol: in.Protocol, FromPort: in.FromPort, ToPort: in.ToPort, Ranges: []ipRange{{CIDR: in.CIDR}}})
	}
	if len(added) == 0 {
		return nil, missing("IpPermissions")
	}
	answer := authorizeXML{Return: true}
	known := map[string]bool{}
	for _, p := range group.Ingress {
		for _, key := range p.identities() {
			known[key] = true
		}
	}
	for _, p := range added {
		for _, key := range p.identities() {
			if known[key] {
				return nil, api.Errorf("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", key)
			}
			known[key] = true
			rule := ruleXML{ID: s.newID("sgr", group.ID, key), GroupID: group.ID, OwnerID: c.Account, Protocol: p.Protocol, FromPort: p.FromPort, ToPort: p.ToPort}
			if peer := key[strings.LastIndex(key, " ")+1:]; strings.Contains(peer, ".") {
				rule.CIDR = peer
			} else if strings.Contains(peer, ":") {
				rule.IPv6 = peer
			}
			answer.Rules.Items = append(answer.Rules.Items, rule)
		}
	}
	group.Ingress = append(slices.Clone(group.Ingress), added...)
	c.groups.put(group)
	return answer, nil
}

// identities name each rule that the permission stands for: protocol, ports and one peer.
func (p ipPermission) identities() []string {
	port := func(n *int32) string {
		if n == nil {
			return "any"
		}
		return strconv.Itoa(int(*n))
	}
	prefix := p.Protocol + " " + port(p.FromPort) + "-" + port(p.ToPort) + " "
	var keys []string
	for _, r := range p.Ranges {
		keys = append(keys, prefix+r.CIDR)
	}
	for _, r := range p.IPv6 {
		keys = append(keys, prefix+r.CIDR)
	}
	for _, g := range p.Groups {
		keys = append(keys, prefix+g.GroupID+g.GroupName)
	}
	for _, l := range p.Prefixes {
		keys = append(keys, prefix+l.ID)
	}
	return keys
}
