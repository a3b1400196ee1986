package autoscaling

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type templateShape struct {
	ID      string `query:"LaunchTemplateId" xml:"LaunchTemplateId,omitempty" json:",omitempty"`
	Name    string `query:"LaunchTemplateName" xml:"LaunchTemplateName,omitempty" json:",omitempty"`
	Version string `query:"Version" xml:"Version,omitempty" json:",omitempty"`
}

// settings are what CreateAutoScalingGroup and UpdateAutoScalingGroup have in common; nil leaves as it is.
type settings struct {
	Name            string             `query:"AutoScalingGroupName"`
	Template        *templateShape     `query:"LaunchTemplate"`
	Mixed           *mixedPolicy       `query:"MixedInstancesPolicy"`
	Min             *int               `query:"MinSize"`
	Max             *int               `query:"MaxSize"`
	Desired         *int               `query:"DesiredCapacity"`
	Cooldown        *int               `query:"DefaultCooldown"`
	Warmup          *int               `query:"DefaultInstanceWarmup"`
	Zones           []string           `query:"AvailabilityZones.member"`
	Subnets         *string            `query:"VPCZoneIdentifier"`
	HealthCheckType *string            `query:"HealthCheckType"`
	Grace           *int               `query:"HealthCheckGracePeriod"`
	Maintenance     *maintenancePolicy `query:"InstanceMaintenancePolicy"`
	NewProtected    *bool              `query:"NewInstancesProtectedFromScaleIn"`
	Policies        []string           `query:"TerminationPolicies.member"`
	TargetGroups    []string           `query:"TargetGroupARNs.member"`
}

type createInput struct {
	settings
	Tags []tagShape `query:"Tags.member"`
}

var groupName = regexp.MustCompile(`^[^\x00-\x1f:/\\]{1,255}$`)

func (s *Service) createGroup(r *api.Request, in *createInput) (any, error) {
	if !groupName.MatchString(in.Name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'autoScalingGroupName' failed to satisfy constraint: 1 to 255 characters without colons and slashes", in.Name)
	}
	if _, ok := s.groups.Get(groupKey(r.Account, r.Region, in.Name)); ok {
		return nil, api.Errorf("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", in.Name)
	}
	if in.Min == nil || in.Max == nil {
		return nil, invalid("2 validation errors detected: MinSize and MaxSize must not be null")
	}
	now := time.Now()
	g := &group{
		Name: in.Name, Account: r.Account, Region: r.Region, Desired: *in.Min, Cooldown: 300, HealthCheckType: "EC2",
		Tags: map[string]groupTag{}, Members: map[string]*member{}, Created: now.Truncate(time.Millisecond),
		ARN: "arn:aws:autoscaling:" + r.Region + ":" + r.Account + ":autoScalingGroup:" + api.UUID(s.env.Rand("autoscaling", r.Account, r.Region, in.Name)) + ":autoScalingGroupName/" + in.Name,
	}
	if err := s.set(g, &in.settings); err != nil {
		return nil, err
	}
	if g.Template == (template{}) {
		return nil, invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	if len(g.Subnets) == 0 && len(g.Zones) == 0 {
		return nil, invalid("At least one Availability Zone or VPC Subnet is required.")
	}
	for _, tag := range in.Tags {
		if err := tag.check(in.Name); err != nil {
			return nil, err
		}
		g.Tags[tag.Key] = groupTag{tag.Value, tag.Propagate}
	}
	s.groups.Put(g.key(), g)
	s.soon()
	return nil, nil
}

func (s *Service) updateGroup(r *api.Request, in *settings) (any, error) {
	g, err := s.find(r, in.Name)
	if err != nil {
		return nil, err
	}
	changed := *g
	if err := s.set(&changed, in); err != nil {
		return nil, err
	}
	*g = changed
	s.groups.Put(g.key(), g)
	s.soon()
	return nil, nil
}

// set checks what is given and puts it into the group.
func (s *Service) set(g *group, in *settings) error {
	if err := s.setTemplate(g, in.Template, in.Mixed); err != nil {
		return err
	}
	if err := s.setPlaces(g, in); err != nil {
		return err
	}
	for field, value := range map[*int]*int{&g.Min: in.Min, &g.Max: in.Max, &g.Desired: in.Desired, &g.Cooldown: in.Cooldown, &g.Grace: in.Grace} {
		if value != nil {
			*field = *value
		}
	}
	if in.Desired == nil {
		g.Desired = min(max(g.Desired, g.Min), g.Max)
	}
	switch {
	case g.Min < 0 || g.Max < g.Min:
		return invalid("Max bound, %d, must be greater than or equal to min bound, %d", g.Max, g.Min)
	case g.Desired < g.Min || g.Desired > g.Max:
		return invalid("Desired capacity:%d must be between the specified min size:%d and max size:%d", g.Desired, g.Min, g.Max)
	case g.Grace < 0 || g.Cooldown < 0:
		return invalid("HealthCheckGracePeriod and DefaultCooldown must not be negative")
	}
	if in.HealthCheckType != nil {
		if !slices.Contains([]string{"EC2", "ELB", "EC2,ELB", "ELB,EC2"}, *in.HealthCheckType) {
			return invalid("Invalid HealthCheckType '%s': this endpoint serves EC2 and ELB", *in.HealthCheckType)
		}
		g.HealthCheckType = *in.HealthCheckType
	}
	if in.Warmup != nil {
		g.Warmup = in.Warmup
		if *in.Warmup < 0 {
			g.Warmup = nil
		}
	}
	if in.Maintenance != nil {
		if err := checkPercentages(in.Maintenance.Min, in.Maintenance.Max); err != nil {
			return err
		}
		g.Maintenance = in.Maintenance
	}
	if in.NewProtected != nil {
		g.NewProtected = *in.NewProtected
	}
	if len(in.Policies) > 0 {
		g.Policies = in.Policies
	}
	return nil
}

// checkPercentages are the bounds of a refresh's and of a maintenance policy's healthy percentages.
func checkPercentages(least, most *int) error {
	switch {
	case least != nil && (*least < 0 || *least > 100):
		return invalid("MinHealthyPercentage %d: expected 0 to 100", *least)
	case most != nil && (*most < 100 || *most > 200):
		return invalid("MaxHealthyPercentage %d: expected 100 to 200", *most)
	case most != nil && least == nil:
		return invalid("MaxHealthyPercentage cannot be specified without MinHealthyPercentage")
	case most != nil && *most-*least > 100:
		return invalid("The difference between MaxHealthyPercentage (%d) and MinHealthyPercentage (%d) cannot be greater than 100", *most, *least)
	}
	return nil
}

func (s *Service) setTemplate(g *group, single *templateShape, mixed *mixedPolicy) error {
	if single != nil && mixed != nil {
		return invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	shape := single
	if mixed != nil {
		shape = &mixed.LaunchTemplate.Specification
	}
	if shape == nil {
		return nil
	}
	found, err := s.resolve(g.Account, g.Region, *shape)
	if err != nil {
		return err
	}
	g.Template, g.Mixed = found, mixed
	return nil
}

// resolve finds the template; the version stays as it was said, $Default where nothing was.
func (s *Service) resolve(account, region string, shape templateShape) (template, error) {
	if (shape.ID == "") == (shape.Name == "") {
		return template{}, invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName")
	}
	version := cmp.Or(shape.Version, "$Default")
	found, err := s.servers.TemplateVersion(account, region, shape.ID, shape.Name, version)
	if err != nil {
		return template{}, invalid("You must use a valid fully-formed launch template. %s", api.AsError(err).Message)
	}
	return template{ID: found.ID, Name: found.Name, Version: version}, nil
}

func (s *Service) setPlaces(g *group, in *settings) error {
	if in.Subnets != nil && *in.Subnets != "" {
		g.Subnets, g.Zones = strings.Split(strings.ReplaceAll(*in.Subnets, " ", ""), ","), nil
		for _, id := range g.Subnets {
			zone, ok := s.servers.SubnetZone(g.Account, g.Region, id)
			if !ok {
				return invalid("The subnet ID '%s' does not exist", id)
			}
			if !slices.Contains(g.Zones, zone) {
				g.Zones = append(g.Zones, zone)
			}
		}
	} else if len(in.Zones) > 0 {
		all := s.servers.Zones(g.Account, g.Region)
		for _, zone := range in.Zones {
			if !slices.Contains(all, zone) {
				return invalid("Invalid availability zones: %s is not a valid Availability Zone.", zone)
			}
		}
		g.Zones, g.Subnets = in.Zones, nil
	}
	slices.Sort(g.Zones)
	for _, arn := range in.TargetGroups {
		if !s.balancers.Exists(g.Account, g.Region, arn) {
			return invalid("Provided Target Groups may not be valid. Please ensure they exist and try again.")
		}
	}
	if len(in.TargetGroups) > 0 {
		g.TargetGroups = in.TargetGroups
	}
	return nil
}

// find is the caller's group of that name. The lock is held.
func (s *Service) find(r *api.Request, name string) (*group, error) {
	g, ok := s.groups.Get(groupKey(r.Account, r.Region, name))
	if !ok || g.Deleting {
		return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
	}
	return g, nil
}

type deleteInput struct {
	Name  string `query:"AutoScalingGroupName"`
	Force bool   `query:"ForceDelete"`
}

func (s *Service) deleteGroup(r *api.Request, in *deleteInput) (any, error) {
	g, err := s.find(r, in.Name)
	if err != nil {
		return nil, err
	}
	if len(g.Members) > 0 && !in.Force {
		return nil, api.Errorf("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	if f := s.active(g); f != nil {
		s.end(f, cancelled, "The group was deleted")
	}
	g.Deleting, g.Min, g.Desired = true, 0, 0
	s.groups.Put(g.key(), g)
	if len(g.Members) == 0 {
		s.bury(g)
	}
	s.soon()
	return nil, nil
}

// bury removes a deleted group without instances, with what it remembers.
func (s *Service) bury(g *group) {
	for _, f := range s.refreshesOf(g) {
		s.refreshes.Delete(f.key())
	}
	s.groups.Delete(g.key())
}

type desiredInput struct {
	Name          string `query:"AutoScalingGroupName"`
	Desired       *int   `query:"DesiredCapacity"`
	HonorCooldown bool   `query:"HonorCooldown"`
}

func (s *Service) setDesiredCapacity(r *api.Request, in *desiredInput) (any, error) {
	g, err := s.find(r, in.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Desired == nil:
		return nil, invalid("1 validation error detected: DesiredCapacity must not be null")
	case *in.Desired > g.Max:
		return nil, invalid("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", *in.Desired, g.Max)
	case *in.Desired < g.Min:
		return nil, invalid("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", *in.Desired, g.Min)
	}
	g.Desired = *in.Desired
	s.groups.Put(g.key(), g)
	s.soon()
	return nil, nil
}
