package ec2

import (
	"net/http"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// GroupTag is the tag by which EC2 Auto Scaling marks its instances.
const GroupTag = "aws:autoscaling:groupName"

// GroupLaunch asks for one server of an Auto Scaling group.
type GroupLaunch struct {
	Account, Region       string
	Group                 string
	SubnetID              string // empty: Zone's default one
	Zone                  string
	TemplateID, Version   string
	InstanceType, ImageID string // win over the template's
	Spot                  bool
	Token                 string
	Tags                  map[string]string
}

// LaunchForGroup launches the server as Auto Scaling does: no request bucket of the account is drawn on, and what the
// template or the account do not allow is the error that RunInstances would give.
func (s *Service) LaunchForGroup(l GroupLaunch) (string, error) {
	one := int32(1)
	in := &runInput{MinCount: &one, MaxCount: &one, ClientToken: l.Token, SubnetID: l.SubnetID,
		Template: &templateSpec{ID: l.TemplateID, Version: l.Version}}
	in.ImageID, in.InstanceType = l.ImageID, l.InstanceType
	if l.SubnetID == "" && l.Zone != "" {
		in.Placement = &placementSpec{Zone: l.Zone}
	}
	if l.Spot {
		in.Market = &marketSpec{MarketType: "spot"}
	}
	r := &api.Request{HTTP: &http.Request{}, Account: l.Account, Region: l.Region, Service: "ec2", Action: "RunInstances"}
	if err := in.prepare(s, r); err != nil {
		return "", err
	}
	s.lock()
	defer s.unlock()
	c := &call{Request: r, now: time.Now(), scope: s.scope(l.Account, l.Region)}
	plan, err := s.planLaunch(c, in)
	if err != nil {
		return "", err
	}
	if err := s.choosePool(c, plan); err != nil {
		return "", err
	}
	i := s.launch(c, plan)[0]
	tags := []Tag{{GroupTag, l.Group}}
	for key, value := range l.Tags {
		tags = append(tags, Tag{key, value})
	}
	i.Tags = withTags(i.Tags, tags...)
	s.saveInstance(i)
	return i.ID, nil
}

// TerminateForGroup ends servers as Auto Scaling does, also those that describes do not show yet.
func (s *Service) TerminateForGroup(account, region string, ids ...string) {
	s.lock()
	defer s.unlock()
	for _, id := range ids {
		if i, ok := s.find(account, region, id); ok {
			s.terminate(i, "Client.UserInitiatedShutdown", "User initiated shutdown")
		}
	}
}

// TemplateVersion is one version of a launch template, as other services see it.
type TemplateVersion struct {
	ID, Name, ImageID, InstanceType string
	Number                          int
}

// TemplateVersion finds a version by the template's id or name; version is a number, $Latest or $Default, empty the default.
func (s *Service) TemplateVersion(account, region, id, name, version string) (TemplateVersion, error) {
	s.lock()
	defer s.unlock()
	v, err := s.findTemplateVersion(s.scope(account, region), &templateSpec{ID: id, Name: name, Version: version})
	if err != nil {
		return TemplateVersion{}, err
	}
	return TemplateVersion{v.ID, v.Name, v.Data.ImageID, v.Data.InstanceType, v.Number}, nil
}

// SubnetZone is the Availability Zone of a subnet; false if there is no such subnet.
func (s *Service) SubnetZone(account, region, id string) (string, bool) {
	s.lock()
	defer s.unlock()
	subnet, ok := s.scope(account, region).subnets.get(id)
	if !ok {
		return "", false
	}
	return subnet.Zone, true
}

// Zones are the region's Availability Zones.
func (s *Service) Zones(account, region string) []string {
	s.lock()
	defer s.unlock()
	return slices.Clone(s.scope(account, region).zones)
}
