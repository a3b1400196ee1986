package ec2

import (
	"slices"
	"strconv"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type describeInstancesInput struct {
	dryable
	paging
	IDs     []string `query:"InstanceId"`
	Filters []filter `query:"Filter"`
}

type describeInstancesXML struct {
	Reservations list[reservationXML] `xml:"reservationSet"`
	NextToken    string               `xml:"nextToken,omitempty"`
}

var instanceFields = fields[*instanceRecord]{
	"instance-id":              func(i *instanceRecord) []string { return one(i.ID) },
	"instance-state-name":      func(i *instanceRecord) []string { return one(i.State) },
	"instance-state-code":      func(i *instanceRecord) []string { return one(strconv.Itoa(stateCodes[i.State])) },
	"image-id":                 func(i *instanceRecord) []string { return one(i.ImageID) },
	"instance-type":            func(i *instanceRecord) []string { return one(i.Type) },
	"subnet-id":                func(i *instanceRecord) []string { return one(i.SubnetID) },
	"vpc-id":                   func(i *instanceRecord) []string { return one(i.VPCID) },
	"availability-zone":        func(i *instanceRecord) []string { return one(i.Zone) },
	"reservation-id":           func(i *instanceRecord) []string { return one(i.ReservationID) },
	"owner-id":                 func(i *instanceRecord) []string { return one(i.Account) },
	"client-token":             func(i *instanceRecord) []string { return one(i.ClientToken) },
	"key-name":                 func(i *instanceRecord) []string { return one(i.KeyName) },
	"private-ip-address":       func(i *instanceRecord) []string { return one(i.PrivateIP) },
	"ip-address":               func(i *instanceRecord) []string { return one(i.PublicIP) },
	"private-dns-name":         func(i *instanceRecord) []string { return one(privateDNS(i.Region, i.PrivateIP)) },
	"architecture":             func(i *instanceRecord) []string { return one(i.Architecture) },
	"platform":                 func(i *instanceRecord) []string { return one(i.Platform) },
	"root-device-name":         func(i *instanceRecord) []string { return one(i.RootDevice) },
	"root-device-type":         func(*instanceRecord) []string { return one("ebs") },
	"tenancy":                  func(i *instanceRecord) []string { return one(i.Tenancy) },
	"placement-group-name":     func(i *instanceRecord) []string { return one(i.PlacementGroup) },
	"launch-index":             func(i *instanceRecord) []string { return one(strconv.Itoa(i.LaunchIndex)) },
	"launch-time":              func(i *instanceRecord) []string { return one(stamp(i.Launched)) },
	"spot-instance-request-id": func(i *instanceRecord) []string { return one(i.SpotRequestID) },
	"state-reason-code":        func(i *instanceRecord) []string { return one(i.StateReasonCode) },
	"iam-instance-profile.arn": func(i *instanceRecord) []string { return one(i.ProfileARN) },
	"instance-lifecycle": func(i *instanceRecord) []string {
		if i.Spot {
			return one("spot")
		}
		return nil
	},
	"instance.group-id":   func(i *instanceRecord) []string { return groupIDs(i) },
	"instance.group-name": func(i *instanceRecord) []string { return groupNames(i) },
	"network-interface.subnet-id": func(i *instanceRecord) []string {
		return one(i.SubnetID)
	},
	"block-device-mapping.volume-id": func(i *instanceRecord) []string {
		var ids []string
		for _, v := range i.Volumes {
			ids = append(ids, v.VolumeID)
		}
		return ids
	},
}

func groupIDs(i *instanceRecord) []string {
	var ids []string
	for _, g := range i.Groups {
		ids = append(ids, g.ID)
	}
	return ids
}

func groupNames(i *instanceRecord) []string {
	var names []string
	for _, g := range i.Groups {
		names = append(names, g.Name)
	}
	return names
}

func (s *Service) describeInstances(c *call, in *describeInstancesInput) (any, error) {
	if len(in.IDs) > 0 && in.MaxResults != nil {
		return nil, api.Errorf("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	found, err := selectInstances(c, in.IDs, in.Filters)
	if err != nil {
		return nil, err
	}
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeInstancesXML{NextToken: next}
	at := make(map[string]int, len(found))
	for _, i := range found {
		n, ok := at[i.ReservationID]
		if !ok {
			n = len(answer.Reservations.Items)
			at[i.ReservationID] = n
			answer.Reservations.Items = append(answer.Reservations.Items, reservationXML{ReservationID: i.ReservationID, OwnerID: i.Account})
		}
		r := &answer.Reservations.Items[n]
		r.Instances.Items = append(r.Instances.Items, i.encoded())
	}
	return answer, nil
}

// selectInstances finds the visible instances that ids and filters name.
func selectInstances(c *call, ids []string, filters []filter) ([]*instanceRecord, error) {
	if err := instanceFields.check(filters); err != nil {
		return nil, err
	}
	var candidates []*instanceRecord
	if len(ids) > 0 {
		named, err := c.instancesByID(ids, c.now)
		if err != nil {
			return nil, err
		}
		candidates = named
		slices.SortFunc(candidates, bySequence)
	} else {
		candidates = c.instances.candidates(filters)
	}
	var found []*instanceRecord
	for _, i := range candidates {
		if !c.now.Before(i.Visible) && instanceFields.match(filters, i) {
			found = append(found, i)
		}
	}
	return found, nil
}

type describeStatusInput struct {
	dryable
	paging
	IDs        []string `query:"InstanceId"`
	Filters    []filter `query:"Filter"`
	IncludeAll bool     `query:"IncludeAllInstances"`
}

type describeStatusXML struct {
	Statuses  list[instanceStatusXML] `xml:"instanceStatusSet"`
	NextToken string                  `xml:"nextToken,omitempty"`
}

type instanceStatusXML struct {
	InstanceID string          `xml:"instanceId"`
	Zone       string          `xml:"availabilityZone"`
	Events     *list[eventXML] `xml:"eventsSet"`
	State      stateXML        `xml:"instanceState"`
	System     checksXML       `xml:"systemStatus"`
	Instance   checksXML       `xml:"instanceStatus"`
	EBS        checksXML       `xml:"attachedEbsStatus"`
}

type eventXML struct {
	Code string `xml:"code"`
}

type checksXML struct {
	Status  string          `xml:"status"`
	Details *list[checkXML] `xml:"details"`
}

type checkXML struct {
	Name   string `xml:"name"`
	Status string `xml:"status"`
}

var statusFields = fields[*instanceRecord]{
	"availability-zone":   instanceFields["availability-zone"],
	"instance-state-name": instanceFields["instance-state-name"],
	"instance-state-code": instanceFields["instance-state-code"],
}

// maxStatusIDs is DescribeInstanceStatus' limit of ids ("Launching" in aws-facts.md).
const maxStatusIDs = 100

func (s *Service) describeInstanceStatus(c *call, in *describeStatusInput) (any, error) {
	if len(in.IDs) > 0 && in.MaxResults != nil {
		return nil, api.Errorf("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	if len(in.IDs) > maxStatusIDs {
		return nil, api.Errorf("InvalidParameterValue", "%d instance ids are given, expected at most %d", len(in.IDs), maxStatusIDs)
	}
	state, others := s.statusFilters(in.Filters)
	if err := statusOnly(others); err != nil {
		return nil, err
	}
	found, err := selectInstances(c, in.IDs, state)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(i *instanceRecord) bool {
		return !in.IncludeAll && i.State != stateRunning || !s.matchStatus(others, i, c.now)
	})
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeStatusXML{NextToken: next}
	for _, i := range found {
		answer.Statuses.Items = append(answer.Statuses.Items, s.showStatus(i, c.now))
	}
	return answer, nil
}

// statusFilters parts the filters that instances answer from those that their checks answer.
func (s *Service) statusFilters(filters []filter) (instance, checks []filter) {
	for _, f := range filters {
		if _, ok := statusFields[f.Name]; ok {
			instance = append(instance, f)
		} else {
			checks = append(checks, f)
		}
	}
	return instance, checks
}

func statusOnly(filters []filter) error {
	for _, f := range filters {
		if f.Name != "instance-status.status" && f.Name != "system-status.status" {
			return api.Errorf("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
	}
	return nil
}

func (s *Service) matchStatus(filters []filter, i *instanceRecord, now time.Time) bool {
	for _, f := range filters {
		instance, system := s.checks(i, now)
		if f.Name == "system-status.status" {
			instance = system
		}
		if !matchAny(f.Values, instance) {
			return false
		}
	}
	return true
}

// checks are the instance's and the system's status checks.
func (s *Service) checks(i *instanceRecord, now time.Time) (instance, system string) {
	if i.State != stateRunning {
		return "not-applicable", "not-applicable"
	}
	if now.Before(i.StatusOK) {
		return "initializing", "initializing"
	}
	if m := s.machineOf(i.ID); m == nil || !m.StatusOK() {
		// A boot that is not through yet still counts as initializing, for as long again; then the check has failed.
		if now.Before(i.StatusOK.Add(s.env.Scale(4 * s.options.StatusChecks))) {
			return "initializing", "ok"
		}
		return "impaired", "ok"
	}
	return "ok", "ok"
}

func (s *Service) showStatus(i *instanceRecord, now time.Time) instanceStatusXML {
	show := func(status string) checksXML {
		if status == "not-applicable" {
			return checksXML{Status: status}
		}
		check := map[string]string{"ok": "passed", "initializing": "initializing", "impaired": "failed"}[status]
		return checksXML{Status: status, Details: &list[checkXML]{[]checkXML{{"reachability", check}}}}
	}
	instance, system := s.checks(i, now)
	return instanceStatusXML{
		InstanceID: i.ID, Zone: i.Zone, State: stateOf(i.State),
		System: show(system), Instance: show(instance), EBS: show(system),
	}
}
