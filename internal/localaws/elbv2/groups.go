package elbv2

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type attribute struct {
	Key   string `query:"Key" xml:"Key"`
	Value string `query:"Value" xml:"Value"`
}

// groupShape is a target group as the API tells it.
type groupShape struct {
	TargetGroupArn             string
	TargetGroupName            string
	Protocol                   string
	Port                       int
	VpcID                      string `xml:"VpcId,omitempty"`
	TargetType                 string
	HealthCheckProtocol        string
	HealthCheckPort            string
	HealthCheckEnabled         bool
	HealthCheckIntervalSeconds int
	HealthCheckTimeoutSeconds  int
	HealthyThresholdCount      int
	UnhealthyThresholdCount    int
	HealthCheckPath            string   `xml:",omitempty"`
	Matcher                    *matcher `xml:"Matcher"`
	ProtocolVersion            string
	IPAddressType              string   `xml:"IpAddressType"`
	LoadBalancerArns           []string `xml:"LoadBalancerArns>member"`
}

type matcher struct {
	HTTPCode string `xml:"HttpCode" query:"HttpCode"`
}

type groupsResult struct {
	TargetGroups []groupShape `xml:"TargetGroups>member"`
	NextMarker   string       `xml:",omitempty"`
}

func (g *group) shape() groupShape {
	return groupShape{
		TargetGroupArn: g.ARN, TargetGroupName: g.Name, Protocol: g.Protocol, Port: g.Port, VpcID: g.VPC, TargetType: g.TargetType,
		HealthCheckProtocol: g.Health.Protocol, HealthCheckPort: g.Health.Port, HealthCheckEnabled: g.Health.Enabled,
		HealthCheckIntervalSeconds: int(g.Health.Interval.Seconds()), HealthCheckTimeoutSeconds: int(g.Health.Timeout.Seconds()),
		HealthyThresholdCount: g.HealthyThreshold, UnhealthyThresholdCount: g.UnhealthyThreshold, HealthCheckPath: g.Health.Path,
		Matcher: &matcher{g.Health.Matcher}, ProtocolVersion: "HTTP1", IPAddressType: "ipv4",
	}
}

type createInput struct {
	Name                    string      `query:"Name"`
	Protocol                string      `query:"Protocol"`
	ProtocolVersion         string      `query:"ProtocolVersion"`
	Port                    *int        `query:"Port"`
	VpcID                   string      `query:"VpcId"`
	TargetType              string      `query:"TargetType"`
	HealthCheckProtocol     string      `query:"HealthCheckProtocol"`
	HealthCheckPort         string      `query:"HealthCheckPort"`
	HealthCheckPath         string      `query:"HealthCheckPath"`
	HealthCheckEnabled      *bool       `query:"HealthCheckEnabled"`
	HealthCheckInterval     *int        `query:"HealthCheckIntervalSeconds"`
	HealthCheckTimeout      *int        `query:"HealthCheckTimeoutSeconds"`
	HealthyThresholdCount   *int        `query:"HealthyThresholdCount"`
	UnhealthyThresholdCount *int        `query:"UnhealthyThresholdCount"`
	Matcher                 matcher     `query:"Matcher"`
	Tags                    []attribute `query:"Tags.member"`
}

var groupName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$`)

func (in *createInput) check() error {
	switch {
	case !groupName.MatchString(in.Name):
		return invalid("Target group name '%s' must be 1 to 32 letters, digits and hyphens, and not begin or end with a hyphen", in.Name)
	case in.Protocol != "HTTP" && in.Protocol != "HTTPS" && in.Protocol != "TCP":
		return invalid("Protocol '%s': this endpoint serves HTTP, HTTPS and TCP", in.Protocol)
	case in.Port == nil || *in.Port < 1 || *in.Port > 65535:
		return invalid("A port from 1 to 65535 must be specified")
	case in.TargetType != "" && in.TargetType != "instance":
		return invalid("Target type '%s': this endpoint serves instance targets only", in.TargetType)
	}
	for name, value := range map[string]*int{"HealthCheckIntervalSeconds": in.HealthCheckInterval, "HealthCheckTimeoutSeconds": in.HealthCheckTimeout} {
		if value != nil && (*value < 2 || *value > 300) {
			return invalid("%s %d: expected 2 to 300", name, *value)
		}
	}
	for name, value := range map[string]*int{"HealthyThresholdCount": in.HealthyThresholdCount, "UnhealthyThresholdCount": in.UnhealthyThresholdCount} {
		if value != nil && (*value < 2 || *value > 10) {
			return invalid("%s %d: expected 2 to 10", name, *value)
		}
	}
	if in.Matcher.HTTPCode != "" && !validMatcher(in.Matcher.HTTPCode) {
		return invalid("Matcher HttpCode '%s': expected codes such as 200, 200,302 or 200-299", in.Matcher.HTTPCode)
	}
	return nil
}

func (s *Service) createTargetGroup(r *api.Request) (any, error) {
	var in createInput
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := in.group(r)
	for _, other := range s.groups.All() {
		if other.Account != r.Account || other.Region != r.Region || other.Name != in.Name {
			continue
		}
		if other.Protocol != g.Protocol || other.Port != g.Port || other.VPC != g.VPC || other.Health != g.Health {
			return nil, api.Errorf("DuplicateTargetGroupName", "A target group with the same name '%s' exists, but with different settings", in.Name)
		}
		return groupsResult{TargetGroups: []groupShape{other.shape()}}, nil
	}
	g.ARN = "arn:aws:elasticloadbalancing:" + r.Region + ":" + r.Account + ":targetgroup/" + in.Name + "/" + api.Hex(s.env.Rand("elbv2", r.Account, r.Region, in.Name), 16)
	s.groups.Put(g.ARN, g)
	return groupsResult{TargetGroups: []groupShape{g.shape()}}, nil
}

// group is the new target group with AWS's defaults.
func (in *createInput) group(r *api.Request) *group {
	number := func(value *int, otherwise int) int {
		if value == nil {
			return otherwise
		}
		return *value
	}
	g := &group{
		Name: in.Name, Account: r.Account, Region: r.Region, Protocol: in.Protocol, Port: *in.Port, VPC: in.VpcID, TargetType: "instance",
		HealthyThreshold: number(in.HealthyThresholdCount, 5), UnhealthyThreshold: number(in.UnhealthyThresholdCount, 2),
		Attributes: map[string]string{"deregistration_delay.timeout_seconds": "300", "stickiness.enabled": "false"}, Targets: map[string]target{},
		Health: healthCheck{
			Protocol: cmp.Or(in.HealthCheckProtocol, in.Protocol), Port: cmp.Or(in.HealthCheckPort, "traffic-port"), Enabled: in.HealthCheckEnabled == nil || *in.HealthCheckEnabled,
			Interval: time.Duration(number(in.HealthCheckInterval, 30)) * time.Second, Timeout: time.Duration(number(in.HealthCheckTimeout, 5)) * time.Second,
		},
	}
	if g.Health.Protocol != "TCP" {
		g.Health.Path, g.Health.Matcher = cmp.Or(in.HealthCheckPath, "/"), cmp.Or(in.Matcher.HTTPCode, "200")
	}
	return g
}

func (s *Service) describeTargetGroups(r *api.Request) (any, error) {
	var in struct {
		ARNs     []string `query:"TargetGroupArns.member"`
		Names    []string `query:"Names.member"`
		Marker   string   `query:"Marker"`
		PageSize *int     `query:"PageSize"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	size := 400
	if in.PageSize != nil {
		size = *in.PageSize
	}
	if size < 1 || size > 400 {
		return nil, invalid("PageSize %d: expected 1 to 400", size)
	}
	var result groupsResult
	found := map[string]bool{}
	for arn, g := range s.groups.All() {
		asked := len(in.ARNs)+len(in.Names) == 0 || slices.Contains(in.ARNs, arn) || slices.Contains(in.Names, g.Name)
		if g.Account != r.Account || g.Region != r.Region || !asked {
			continue
		}
		found[arn], found[g.Name] = true, true
		if arn <= in.Marker {
			continue
		}
		if len(result.TargetGroups) == size {
			result.NextMarker = result.TargetGroups[size-1].TargetGroupArn
			break
		}
		result.TargetGroups = append(result.TargetGroups, g.shape())
	}
	for _, name := range slices.Concat(in.ARNs, in.Names) {
		if !found[name] {
			return nil, api.Errorf("TargetGroupNotFound", "One or more target groups not found: %q", name)
		}
	}
	return result, nil
}

func (s *Service) deleteTargetGroup(r *api.Request) (any, error) {
	var in struct {
		ARN string `query:"TargetGroupArn"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(r, in.ARN); err == nil {
		s.groups.Delete(in.ARN)
	}
	// One that does not exist is deleted already, as on AWS.
	return struct{}{}, nil
}

type attributesResult struct {
	Attributes []attribute `xml:"Attributes>member"`
}

func (g *group) attributes() attributesResult {
	var result attributesResult
	for _, key := range slices.Sorted(maps.Keys(g.Attributes)) {
		result.Attributes = append(result.Attributes, attribute{key, g.Attributes[key]})
	}
	return result
}

func (s *Service) describeAttributes(r *api.Request) (any, error) {
	var in struct {
		ARN string `query:"TargetGroupArn"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(r, in.ARN)
	if err != nil {
		return nil, err
	}
	return g.attributes(), nil
}

func (s *Service) modifyAttributes(r *api.Request) (any, error) {
	var in struct {
		ARN        string      `query:"TargetGroupArn"`
		Attributes []attribute `query:"Attributes.member"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(r, in.ARN)
	if err != nil {
		return nil, err
	}
	for _, a := range in.Attributes {
		switch n, err := strconv.Atoi(a.Value); a.Key {
		case "deregistration_delay.timeout_seconds":
			if err != nil || n < 0 || n > 3600 {
				return nil, invalid("deregistration_delay.timeout_seconds '%s': expected 0 to 3600", a.Value)
			}
		case "stickiness.enabled":
			if a.Value != "true" && a.Value != "false" {
				return nil, invalid("stickiness.enabled '%s': expected true or false", a.Value)
			}
		default:
			return nil, invalid("Target group attribute key '%s' is not recognized; this endpoint serves deregistration_delay.timeout_seconds and stickiness.enabled", a.Key)
		}
	}
	for _, a := range in.Attributes {
		g.Attributes[a.Key] = a.Value
	}
	s.groups.Put(g.ARN, g)
	return g.attributes(), nil
}

func invalid(format string, args ...any) error { return api.Errorf("ValidationError", format, args...) }
