package ec2

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// CapacityRule limits how many instances may live in the pools that it matches; an empty field matches all.
type CapacityRule struct {
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
	Zone    string `json:"zone,omitempty"`
	Type    string `json:"type,omitempty"`
	Market  string `json:"market,omitempty"` // on-demand or spot
	// Capacity is the number of instances; a negative one lifts the limit.
	Capacity int `json:"capacity"`
}

func (r CapacityRule) matches(account, region, zone, kind, market string) bool {
	return (r.Account == "" || r.Account == account) && (r.Region == "" || r.Region == region) &&
		(r.Zone == "" || r.Zone == zone) && (r.Type == "" || r.Type == kind) && (r.Market == "" || r.Market == market)
}

// same says that both rules are about the same pools.
func (r CapacityRule) same(o CapacityRule) bool {
	r.Capacity, o.Capacity = 0, 0
	return r == o
}

func market(spot bool) string {
	if spot {
		return "spot"
	}
	return "on-demand"
}

// room is how many more instances every rule allows in the pool; wanted if none limits it.
func (s *Service) room(c *call, zone, kind string, spot bool, wanted int) int {
	left := wanted
	for _, rule := range s.faults.Capacity {
		if !rule.matches(c.Account, c.Region, zone, kind, market(spot)) {
			continue
		}
		used := 0
		for _, sc := range s.scopes {
			for _, i := range sc.instances.order {
				if i.live() && i.State != stateStopped && rule.matches(i.Account, i.Region, i.Zone, i.Type, market(i.Spot)) {
					used++
				}
			}
		}
		left = min(left, max(0, rule.Capacity-used))
	}
	return left
}

// choosePool sets the subnet, where the request leaves it open, and how many instances are granted: as many as there is
// room for, at least MinCount.
func (s *Service) choosePool(c *call, p *launchPlan) error {
	wanted, least := int(*p.in.MaxCount), int(*p.in.MinCount)
	if err := s.spotPrice(p); err != nil {
		return err
	}
	choices := c.subnets.order
	if p.subnet != nil {
		choices = []*subnetRecord{p.subnet}
	}
	lacking := "capacity"
	for _, subnet := range choices {
		room := s.room(c, subnet.Zone, p.kind.name, p.spot, wanted)
		if free := c.freeAddresses(subnet); free < room {
			room = free
			if room < least {
				lacking = "addresses"
			}
		}
		if room > p.count || p.subnet == nil {
			p.subnet, p.count = subnet, room
		}
		if p.count == wanted {
			break
		}
	}
	if p.in.PrivateIP != "" {
		if err := c.checkAddress(p.subnet, p.in.PrivateIP); err != nil {
			return err
		}
	}
	if p.count >= least {
		return nil
	}
	if lacking == "addresses" {
		return api.Errorf("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.")
	}
	return insufficient(c, p)
}

func insufficient(c *call, p *launchPlan) error {
	others := slices.DeleteFunc(slices.Clone(c.zones), func(z string) bool { return z == p.subnet.Zone })
	return &api.Error{
		Code:   "InsufficientInstanceCapacity",
		Status: http.StatusInternalServerError,
		Message: fmt.Sprintf("We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity. You can currently get %s capacity by not specifying an Availability Zone in your request or choosing %s.",
			p.kind.name, p.subnet.Zone, p.kind.name, strings.Join(others, ", ")),
	}
}

// lowestSpotPrice is below what any type costs on the spot market.
const lowestSpotPrice = 0.0005

func (s *Service) spotPrice(p *launchPlan) error {
	if !p.spot || p.data.Market.Spot.MaxPrice == "" {
		return nil
	}
	var price float64
	if _, err := fmt.Sscanf(p.data.Market.Spot.MaxPrice, "%g", &price); err != nil {
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter maxPrice is invalid. Expected a price such as 0.05.", p.data.Market.Spot.MaxPrice)
	}
	if price < lowestSpotPrice {
		return api.Errorf("SpotMaxPriceTooLow", "Your Spot request price of %s is lower than the minimum required Spot request fulfillment price of %g.", p.data.Market.Spot.MaxPrice, lowestSpotPrice)
	}
	return nil
}
