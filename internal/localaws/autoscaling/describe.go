package autoscaling

import (
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type instanceShape struct {
	InstanceID           string `xml:"InstanceId"`
	AvailabilityZone     string
	InstanceType         string
	ImageID              string `xml:"ImageId,omitempty"`
	LifecycleState       string
	HealthStatus         string
	LaunchTemplate       templateShape
	ProtectedFromScaleIn bool
}

type groupShape struct {
	AutoScalingGroupName      string
	AutoScalingGroupARN       string
	LaunchTemplate            *templateShape `xml:",omitempty"`
	MixedInstancesPolicy      *mixedPolicy   `xml:",omitempty"`
	MinSize, MaxSize          int
	DesiredCapacity           int
	DefaultCooldown           int
	DefaultInstanceWarmup     *int     `xml:",omitempty"`
	AvailabilityZones         []string `xml:"AvailabilityZones>member"`
	TargetGroupARNs           []string `xml:"TargetGroupARNs>member"`
	HealthCheckType           string
	HealthCheckGracePeriod    int
	Instances                 []instanceShape `xml:"Instances>member"`
	CreatedTime               string
	VPCZoneIdentifier         string
	Status                    string             `xml:",omitempty"`
	Tags                      []tagDescription   `xml:"Tags>member"`
	TerminationPolicies       []string           `xml:"TerminationPolicies>member"`
	NewInstancesProtected     bool               `xml:"NewInstancesProtectedFromScaleIn"`
	InstanceMaintenancePolicy *maintenancePolicy `xml:",omitempty"`
	ServiceLinkedRoleARN      string
}

func (m *member) health() string {
	if m.Healthy {
		return "Healthy"
	}
	return "Unhealthy"
}

func (m *member) shape() instanceShape {
	return instanceShape{m.ID, m.Zone, m.Type, m.ImageID, m.State, m.health(), templateShape(m.Template), m.Protected}
}

func (g *group) shape() groupShape {
	shape := groupShape{
		AutoScalingGroupName: g.Name, AutoScalingGroupARN: g.ARN, MinSize: g.Min, MaxSize: g.Max, DesiredCapacity: g.Desired,
		DefaultCooldown: g.Cooldown, DefaultInstanceWarmup: g.Warmup, AvailabilityZones: g.Zones, TargetGroupARNs: g.TargetGroups,
		HealthCheckType: g.HealthCheckType, HealthCheckGracePeriod: g.Grace, CreatedTime: stamp(g.Created),
		VPCZoneIdentifier: strings.Join(g.Subnets, ","), Tags: g.tags(), TerminationPolicies: g.Policies,
		NewInstancesProtected: g.NewProtected, InstanceMaintenancePolicy: g.Maintenance,
		ServiceLinkedRoleARN: "arn:aws:iam::" + g.Account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
	}
	if len(g.Policies) == 0 {
		shape.TerminationPolicies = []string{"Default"}
	}
	if g.Deleting {
		shape.Status = "Delete in progress"
	}
	if g.Mixed != nil {
		mixed := *g.Mixed
		mixed.LaunchTemplate.Specification = templateShape(g.Template)
		shape.MixedInstancesPolicy = &mixed
	} else {
		own := templateShape(g.Template)
		shape.LaunchTemplate = &own
	}
	for _, m := range g.inOrder() {
		shape.Instances = append(shape.Instances, m.shape())
	}
	return shape
}

type pageInput struct {
	MaxRecords *int   `query:"MaxRecords"`
	NextToken  string `query:"NextToken"`
}

// page cuts the sorted keys; the token is the first key of the next page.
func (in pageInput) page(keys []string, standard, most int) (cut []string, next string, err error) {
	size := standard
	if in.MaxRecords != nil {
		size = *in.MaxRecords
	}
	if size < 1 || size > most {
		return nil, "", invalid("The value specified for MaxRecords is not valid: expected 1 to %d", most)
	}
	begin, found := 0, true
	if in.NextToken != "" {
		begin, found = slices.BinarySearch(keys, in.NextToken)
	}
	if !found && begin == len(keys) {
		return nil, "", nil
	}
	keys = keys[begin:]
	if len(keys) > size {
		return keys[:size], keys[size], nil
	}
	return keys, "", nil
}

type filterShape struct {
	Name   string   `query:"Name"`
	Values []string `query:"Values.member"`
}

type describeInput struct {
	pageInput
	Names            []string      `query:"AutoScalingGroupNames.member"`
	Filters          []filterShape `query:"Filters.member"`
	IncludeInstances *bool         `query:"IncludeInstances"`
}

func (s *Service) describeGroups(r *api.Request, in *describeInput) (any, error) {
	var keys []string
	for key, g := range s.groups.All() {
		if g.Account != r.Account || g.Region != r.Region || len(in.Names) > 0 && !slices.Contains(in.Names, g.Name) {
			continue
		}
		fits, err := g.fits(in.Filters)
		if err != nil {
			return nil, err
		}
		if fits {
			keys = append(keys, key)
		}
	}
	keys, next, err := in.page(keys, 50, 100)
	if err != nil {
		return nil, err
	}
	var out struct {
		Groups    []groupShape `xml:"AutoScalingGroups>member"`
		NextToken string       `xml:",omitempty"`
	}
	out.NextToken = next
	for _, key := range keys {
		g, _ := s.groups.Get(key)
		shape := g.shape()
		if in.IncludeInstances != nil && !*in.IncludeInstances {
			shape.Instances = nil
		}
		out.Groups = append(out.Groups, shape)
	}
	return out, nil
}

// fits says whether the group's tags pass all filters.
func (g *group) fits(filters []filterShape) (bool, error) {
	for _, f := range filters {
		var passes func(key string, tag groupTag) bool
		switch name, isKey := strings.CutPrefix(f.Name, "tag:"); {
		case isKey:
			passes = func(key string, tag groupTag) bool { return key == name && slices.Contains(f.Values, tag.Value) }
		case f.Name == "tag-key":
			passes = func(key string, _ groupTag) bool { return slices.Contains(f.Values, key) }
		case f.Name == "tag-value":
			passes = func(_ string, tag groupTag) bool { return slices.Contains(f.Values, tag.Value) }
		default:
			return false, invalid("Filter type %s is not correct. Allowed Filter types are: tag-key tag-value tag:<key>", f.Name)
		}
		found := false
		for key, tag := range g.Tags {
			found = found || passes(key, tag)
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}

type instancesInput struct {
	pageInput
	IDs []string `query:"InstanceIds.member"`
}

type detailShape struct {
	instanceShape
	AutoScalingGroupName string
}

func (s *Service) describeInstances(r *api.Request, in *instancesInput) (any, error) {
	if len(in.IDs) > 50 {
		return nil, invalid("The number of instance ids, %d, exceeds 50", len(in.IDs))
	}
	found := map[string]detailShape{}
	for _, g := range s.groups.All() {
		if g.Account != r.Account || g.Region != r.Region {
			continue
		}
		for id, m := range g.Members {
			if len(in.IDs) == 0 || slices.Contains(in.IDs, id) {
				shape := m.shape()
				shape.HealthStatus = strings.ToUpper(shape.HealthStatus)
				found[id] = detailShape{shape, g.Name}
			}
		}
	}
	ids, next, err := in.page(slices.Sorted(maps.Keys(found)), 50, 50)
	if err != nil {
		return nil, err
	}
	var out struct {
		Instances []detailShape `xml:"AutoScalingInstances>member"`
		NextToken string        `xml:",omitempty"`
	}
	out.NextToken = next
	for _, id := range ids {
		out.Instances = append(out.Instances, found[id])
	}
	return out, nil
}

type protectionInput struct {
	Name      string   `query:"AutoScalingGroupName"`
	IDs       []string `query:"InstanceIds.member"`
	Protected *bool    `query:"ProtectedFromScaleIn"`
}

func (s *Service) setProtection(r *api.Request, in *protectionInput) (any, error) {
	g, err := s.find(r, in.Name)
	if err != nil {
		return nil, err
	}
	if in.Protected == nil || len(in.IDs) == 0 || len(in.IDs) > 50 {
		return nil, invalid("SetInstanceProtection takes 1 to 50 InstanceIds and ProtectedFromScaleIn")
	}
	for _, id := range in.IDs {
		m, ok := g.Members[id]
		if !ok {
			return nil, invalid("The instance %s is not part of Auto Scaling group %s.", id, g.Name)
		}
		if m.State != inService && m.State != standby && m.State != pending {
			return nil, invalid("The instance %s is not in InService or EnteringStandby or Standby.", id)
		}
	}
	for _, id := range in.IDs {
		g.Members[id].Protected = *in.Protected
	}
	s.groups.Put(g.key(), g)
	s.soon()
	return struct{}{}, nil
}

type activitiesInput struct {
	pageInput
	Name            string   `query:"AutoScalingGroupName"`
	IDs             []string `query:"ActivityIds.member"`
	IncludeDeletedG bool     `query:"IncludeDeletedGroups"`
}

type activityShape struct {
	ActivityID           string `xml:"ActivityId"`
	AutoScalingGroupName string
	Description, Cause   string
	StartTime, EndTime   string
	StatusCode           string
	StatusMessage        string `xml:",omitempty"`
	Progress             int
}

func (s *Service) describeActivities(r *api.Request, in *activitiesInput) (any, error) {
	g, err := s.find(r, in.Name)
	if err != nil {
		return nil, err
	}
	var out struct {
		Activities []activityShape `xml:"Activities>member"`
	}
	for _, a := range g.Activities {
		if len(in.IDs) > 0 && !slices.Contains(in.IDs, a.ID) {
			continue
		}
		if in.MaxRecords != nil && len(out.Activities) == *in.MaxRecords {
			break
		}
		out.Activities = append(out.Activities, activityShape{a.ID, g.Name, a.Description, a.Cause, stamp(a.Start), stamp(a.End), a.Status, a.Message, 100})
	}
	return out, nil
}
