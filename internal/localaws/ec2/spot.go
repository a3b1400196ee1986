package ec2

import (
	"cmp"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type describeSpotInput struct {
	dryable
	paging
	IDs     []string `query:"SpotInstanceRequestId"`
	Filters []filter `query:"Filter"`
}

type describeSpotXML struct {
	Requests  list[spotXML] `xml:"spotInstanceRequestSet"`
	NextToken string        `xml:"nextToken,omitempty"`
}

type spotXML struct {
	ID      string `xml:"spotInstanceRequestId"`
	Price   string `xml:"spotPrice"`
	Type    string `xml:"type"`
	State   string `xml:"state"`
	Status  status `xml:"status"`
	Created string `xml:"createTime"`
	Launch  struct {
		ImageID      string `xml:"imageId"`
		InstanceType string `xml:"instanceType"`
		SubnetID     string `xml:"subnetId"`
	} `xml:"launchSpecification"`
	InstanceID   string    `xml:"instanceId,omitempty"`
	Product      string    `xml:"productDescription"`
	Zone         string    `xml:"launchedAvailabilityZone"`
	Interruption string    `xml:"instanceInterruptionBehavior"`
	Tags         list[Tag] `xml:"tagSet"`
}

type status struct {
	Code    string `xml:"code"`
	Updated string `xml:"updateTime"`
	Message string `xml:"message"`
}

var spotFields = fields[*spotRecord]{
	"spot-instance-request-id":    func(r *spotRecord) []string { return one(r.ID) },
	"instance-id":                 func(r *spotRecord) []string { return one(r.InstanceID) },
	"state":                       func(r *spotRecord) []string { return one(r.State) },
	"status-code":                 func(r *spotRecord) []string { return one(r.Status) },
	"type":                        func(r *spotRecord) []string { return one(r.Type) },
	"launched-availability-zone":  func(r *spotRecord) []string { return one(r.Zone) },
	"launch.image-id":             func(r *spotRecord) []string { return one(r.ImageID) },
	"launch.instance-type":        func(r *spotRecord) []string { return one(r.InstanceType) },
	"network-interface.subnet-id": func(r *spotRecord) []string { return one(r.SubnetID) },
	"create-time":                 func(r *spotRecord) []string { return one(stamp(r.Created)) },
	"product-description":         func(*spotRecord) []string { return one("Linux/UNIX") },
}

func (s *Service) makeSpotRequest(c *call, p *launchPlan, i *instanceRecord) string {
	options := p.data.Market.Spot
	r := &spotRecord{
		base: s.newBase(c.scope, s.newID("sir", i.ID), p.spotTags), InstanceID: i.ID, Type: cmp.Or(options.Type, "one-time"),
		ImageID: i.ImageID, InstanceType: i.Type, Zone: i.Zone, SubnetID: i.SubnetID, MaxPrice: cmp.Or(options.MaxPrice, "1.000000"),
		Interruption: cmp.Or(options.Interruption, "terminate"), State: "active", Status: "fulfilled",
		StatusMessage: "Your Spot request is fulfilled.", Created: c.now, Updated: c.now,
	}
	c.spots.put(r)
	return r.ID
}

func (s *Service) describeSpotInstanceRequests(c *call, in *describeSpotInput) (any, error) {
	found, err := pick(c.spots, spotFields, in.IDs, in.Filters, spotNotFound)
	if err != nil {
		return nil, err
	}
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeSpotXML{NextToken: next}
	for _, r := range found {
		x := spotXML{
			ID: r.ID, Price: r.MaxPrice, Type: r.Type, State: r.State, Status: status{r.Status, stamp(r.Updated), r.StatusMessage},
			Created: stamp(r.Created), InstanceID: r.InstanceID, Product: "Linux/UNIX", Zone: r.Zone, Interruption: r.Interruption, Tags: listOf(r.Tags),
		}
		x.Launch.ImageID, x.Launch.InstanceType, x.Launch.SubnetID = r.ImageID, r.InstanceType, r.SubnetID
		answer.Requests.Items = append(answer.Requests.Items, x)
	}
	return answer, nil
}

func spotNotFound(id string) error {
	return api.Errorf("InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist", id)
}

type cancelSpotInput struct {
	dryable
	IDs []string `query:"SpotInstanceRequestId"`
}

type cancelSpotXML struct {
	Requests list[cancelledSpotXML] `xml:"spotInstanceRequestSet"`
}

type cancelledSpotXML struct {
	ID    string `xml:"spotInstanceRequestId"`
	State string `xml:"state"`
}

// cancelSpotInstanceRequests ends the requests, not their instances.
func (s *Service) cancelSpotInstanceRequests(c *call, in *cancelSpotInput) (any, error) {
	found, err := pick(c.spots, spotFields, in.IDs, nil, spotNotFound)
	if err != nil {
		return nil, err
	}
	if len(in.IDs) == 0 {
		return nil, missing("SpotInstanceRequestId")
	}
	var answer cancelSpotXML
	for _, r := range found {
		if r.State == "active" || r.State == "open" || r.State == "disabled" {
			s.setSpot(c.scope, r, "cancelled", "request-canceled-and-instance-running", "Your Spot request is canceled, but its instance is still running.")
		}
		answer.Requests.Items = append(answer.Requests.Items, cancelledSpotXML{r.ID, r.State})
	}
	return answer, nil
}

func (s *Service) setSpot(sc *scope, r *spotRecord, state, code, message string) {
	r.State, r.Status, r.StatusMessage, r.Updated = state, code, message, time.Now()
	sc.spots.put(r)
}

// endSpotRequest follows the end of a spot instance.
func (s *Service) endSpotRequest(sc *scope, i *instanceRecord) {
	r, ok := sc.spots.get(i.SpotRequestID)
	if !ok || r.State != "active" {
		return
	}
	if i.StateReasonCode == spotTermination {
		s.setSpot(sc, r, "closed", "instance-terminated-no-capacity", "Your Spot instance was terminated because there is no longer sufficient Spot capacity.")
		return
	}
	s.setSpot(sc, r, "closed", "instance-terminated-by-user", "Your Spot instance was terminated.")
}

const spotTermination = "Server.SpotInstanceTermination"

// spotWarning is how long before an interruption its warning comes; the speed does not divide it.
const spotWarning = 2 * time.Minute

// interrupt warns, and ends the spot instance two minutes later.
func (s *Service) interrupt(i *instanceRecord, warning time.Duration) {
	s.emit(i.Account, i.Region, "EC2 Spot Instance Interruption Warning",
		[]string{"arn:aws:ec2:" + i.Zone + ":instance/" + i.ID},
		map[string]any{"instance-id": i.ID, "instance-action": "terminate"})
	s.timers.at(time.Now().Add(warning), func() {
		if held, ok := s.scopeOf(&i.base).instances.get(i.ID); ok && held == i {
			s.terminate(i, spotTermination, "Spot instance termination")
		}
	})
}
