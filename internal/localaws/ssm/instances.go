package ssm

import (
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/machine"
)

type informationInput struct {
	InstanceInformationFilterList []struct {
		Key      string   `json:"key"`
		ValueSet []string `json:"valueSet"`
	}
	Filters []struct {
		Key    string
		Values []string
	}
	MaxResults *int
	NextToken  string
}

// describeInstanceInformation lists the servers whose agent has ever been online.
func (s *Service) describeInstanceInformation(r *api.Request, in *informationInput) (any, error) {
	filters := map[string][]string{}
	if len(in.Filters) > 0 && len(in.InstanceInformationFilterList) > 0 {
		return nil, api.Errorf("ValidationException", "Filters and InstanceInformationFilterList cannot be given together")
	}
	for _, f := range in.Filters {
		filters[f.Key] = append(filters[f.Key], f.Values...)
	}
	for _, f := range in.InstanceInformationFilterList {
		filters[f.Key] = append(filters[f.Key], f.ValueSet...)
	}
	size := 10
	if in.MaxResults != nil {
		size = *in.MaxResults
		if size < 5 || size > 50 {
			return nil, api.Errorf("ValidationException", "MaxResults is %d: expected 5 to 50", size)
		}
	}
	all := []any{}
	for _, i := range s.asked(r, filters) {
		m, ok := s.servers.Machine(r.Account, r.Region, i.ID)
		if !ok {
			continue
		}
		agent := m.Agent()
		if agent.LastPing.IsZero() {
			continue
		}
		for name, values := range filters {
			matched, err := informationMatches(i, agent, name, values)
			if err != nil {
				return nil, err
			}
			ok = ok && matched
		}
		if ok {
			all = append(all, information(i, agent))
		}
	}
	shown, next, err := page(all, size, in.NextToken, 50)
	if err != nil {
		return nil, err
	}
	return map[string]any{"InstanceInformationList": shown, "NextToken": next}, nil
}

// asked are the instances that a filter names, or all: most calls name a few of thousands.
func (s *Service) asked(r *api.Request, filters map[string][]string) []ec2.Instance {
	ids, named := filters["InstanceIds"]
	if !named {
		return s.servers.Instances(r.Account, r.Region)
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	var found []ec2.Instance
	for _, id := range slices.Compact(ids) {
		if i, ok := s.servers.Instance(r.Account, r.Region, id); ok {
			found = append(found, i)
		}
	}
	return found
}

func pingStatus(a machine.Agent) string {
	if a.Online {
		return "Online"
	}
	return "ConnectionLost"
}

func informationMatches(i ec2.Instance, a machine.Agent, name string, values []string) (bool, error) {
	tag, isTag := strings.CutPrefix(name, "tag:")
	switch {
	case isTag:
		value, ok := i.Tags[tag]
		return ok && slices.Contains(values, value), nil
	case name == "tag-key":
		return slices.ContainsFunc(values, func(v string) bool { _, ok := i.Tags[v]; return ok }), nil
	case name == "InstanceIds":
		return slices.Contains(values, i.ID), nil
	case name == "PingStatus":
		return slices.Contains(values, pingStatus(a)), nil
	case name == "PlatformTypes":
		return slices.Contains(values, a.PlatformType), nil
	case name == "AgentVersion":
		return slices.Contains(values, a.Version), nil
	case name == "ResourceType":
		return slices.Contains(values, "EC2Instance"), nil
	}
	return false, api.Errorf("InvalidInstanceInformationFilterValue", "filter %q is not known: expected InstanceIds, PingStatus, PlatformTypes, AgentVersion, ResourceType, tag:NAME or tag-key", name)
}

func information(i ec2.Instance, a machine.Agent) map[string]any {
	return map[string]any{
		"InstanceId": i.ID, "PingStatus": pingStatus(a), "LastPingDateTime": epoch(a.LastPing), "AgentVersion": a.Version, "IsLatestVersion": true,
		"PlatformType": a.PlatformType, "PlatformName": a.PlatformName, "PlatformVersion": a.PlatformVersion, "ResourceType": "EC2Instance",
		"IPAddress": i.PrivateIP, "ComputerName": i.PrivateIP, "SourceId": i.ID, "SourceType": "AWS::EC2::Instance",
	}
}
