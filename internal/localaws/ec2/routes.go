package ec2

import (
	"slices"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type describeRoutesInput struct {
	dryable
	paging
	IDs     []string `query:"RouteTableId"`
	Filters []filter `query:"Filter"`
}

type describeRoutesXML struct {
	Tables    list[routeTableXML] `xml:"routeTableSet"`
	NextToken string              `xml:"nextToken,omitempty"`
}

type routeTableXML struct {
	RouteTableID string                `xml:"routeTableId"`
	VPCID        string                `xml:"vpcId"`
	OwnerID      string                `xml:"ownerId"`
	Routes       list[routeXML]        `xml:"routeSet"`
	Associations list[routeForXML]     `xml:"associationSet"`
	Propagating  list[propagatingVXML] `xml:"propagatingVgwSet"`
	Tags         list[Tag]             `xml:"tagSet"`
}

type routeXML struct {
	Destination string `xml:"destinationCidrBlock"`
	Gateway     string `xml:"gatewayId"`
	State       string `xml:"state"`
	Origin      string `xml:"origin"`
}

type routeForXML struct {
	AssociationID string `xml:"routeTableAssociationId"`
	RouteTableID  string `xml:"routeTableId"`
	Main          bool   `xml:"main"`
}

type propagatingVXML struct {
	Gateway string `xml:"gatewayId"`
}

// routeTable is the main route table of a default VPC: it leads to the internet, and no subnet has another one.
type routeTable struct {
	base
	vpc *vpcRecord
}

func (*routeTable) keys() []string { return nil }

var routeTableFields = fields[*routeTable]{
	"route-table-id":        func(r *routeTable) []string { return one(r.ID) },
	"vpc-id":                func(r *routeTable) []string { return one(r.vpc.ID) },
	"owner-id":              func(r *routeTable) []string { return one(r.Account) },
	"association.main":      func(*routeTable) []string { return one("true") },
	"association.subnet-id": func(*routeTable) []string { return nil },
	"route.gateway-id":      func(r *routeTable) []string { return []string{"local", "igw-" + r.vpc.ID[4:]} },
	"route.destination-cidr-block": func(r *routeTable) []string {
		return []string{r.vpc.CIDR, "0.0.0.0/0"}
	},
}

func (s *Service) describeRouteTables(c *call, in *describeRoutesInput) (any, error) {
	if err := routeTableFields.check(in.Filters); err != nil {
		return nil, err
	}
	var found []*routeTable
	byID := map[string]bool{}
	for _, vpc := range c.vpcs.order {
		table := &routeTable{base: vpc.base, vpc: vpc}
		table.ID, table.Tags = "rtb-"+vpc.ID[4:], nil
		byID[table.ID] = true
		if (len(in.IDs) == 0 || slices.Contains(in.IDs, table.ID)) && routeTableFields.match(in.Filters, table) {
			found = append(found, table)
		}
	}
	for _, id := range in.IDs {
		if !byID[id] {
			return nil, api.Errorf("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
		}
	}
	found, next, err := page(in.paging, 5, 100, found)
	if err != nil {
		return nil, err
	}
	answer := describeRoutesXML{NextToken: next}
	for _, table := range found {
		answer.Tables.Items = append(answer.Tables.Items, routeTableXML{
			RouteTableID: table.ID, VPCID: table.vpc.ID, OwnerID: table.Account,
			Routes: listOf([]routeXML{{table.vpc.CIDR, "local", "active", "CreateRouteTable"},
				{"0.0.0.0/0", "igw-" + table.vpc.ID[4:], "active", "CreateRoute"}}),
			Associations: listOf([]routeForXML{{"rtbassoc-" + table.vpc.ID[4:], table.ID, true}}),
		})
	}
	return answer, nil
}

type describeEndpointsInput struct {
	dryable
	paging
	IDs     []string `query:"VpcEndpointId"`
	Filters []filter `query:"Filter"`
}

type describeEndpointsXML struct {
	Endpoints list[struct{}] `xml:"vpcEndpointSet"`
	NextToken string         `xml:"nextToken,omitempty"`
}

// describeVPCEndpoints finds none: nothing here makes one.
func (s *Service) describeVPCEndpoints(_ *call, in *describeEndpointsInput) (any, error) {
	for _, id := range in.IDs {
		return nil, api.Errorf("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist", id)
	}
	return describeEndpointsXML{}, nil
}
