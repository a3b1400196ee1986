package ec2

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/seed"
)

type describeVPCsInput struct {
	dryable
	paging
	IDs     []string `query:"VpcId"`
	Filters []filter `query:"Filter"`
}

type describeVPCsXML struct {
	VPCs      list[vpcXML] `xml:"vpcSet"`
	NextToken string       `xml:"nextToken,omitempty"`
}

type vpcXML struct {
	VPCID   string    `xml:"vpcId"`
	OwnerID string    `xml:"ownerId"`
	State   string    `xml:"state"`
	CIDR    string    `xml:"cidrBlock"`
	Options string    `xml:"dhcpOptionsId"`
	Tags    list[Tag] `xml:"tagSet"`
	Tenancy string    `xml:"instanceTenancy"`
	Default bool      `xml:"isDefault"`
}

var vpcFields = fields[*vpcRecord]{
	"vpc-id":     func(v *vpcRecord) []string { return one(v.ID) },
	"cidr":       func(v *vpcRecord) []string { return one(v.CIDR) },
	"state":      func(*vpcRecord) []string { return one("available") },
	"is-default": func(*vpcRecord) []string { return one("true") },
	"isDefault":  func(*vpcRecord) []string { return one("true") },
	"owner-id":   func(v *vpcRecord) []string { return one(v.Account) },
}

func (s *Service) describeVPCs(c *call, in *describeVPCsInput) (any, error) {
	found, err := pick(c.vpcs, vpcFields, in.IDs, in.Filters, func(id string) error {
		return api.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
	})
	if err != nil {
		return nil, err
	}
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeVPCsXML{NextToken: next}
	for _, v := range found {
		answer.VPCs.Items = append(answer.VPCs.Items, vpcXML{v.ID, v.Account, "available", v.CIDR, "dopt-" + v.ID[4:], listOf(v.Tags), "default", true})
	}
	return answer, nil
}

// pick finds the records that ids or filters name, in the order of their making.
func pick[T record](from *collection[T], known fields[T], ids []string, filters []filter, unknown func(id string) error) ([]T, error) {
	if err := known.check(filters); err != nil {
		return nil, err
	}
	candidates := from.candidates(filters)
	if len(ids) > 0 {
		candidates = nil
		for _, id := range ids {
			r, ok := from.get(id)
			if !ok {
				return nil, unknown(id)
			}
			candidates = append(candidates, r)
		}
		slices.SortFunc(candidates, bySequence)
		candidates = slices.Compact(candidates)
	}
	var found []T
	for _, r := range candidates {
		if known.match(filters, r) {
			found = append(found, r)
		}
	}
	return found, nil
}

type describeSubnetsInput struct {
	dryable
	paging
	IDs     []string `query:"SubnetId"`
	Filters []filter `query:"Filter"`
}

type describeSubnetsXML struct {
	Subnets   list[subnetXML] `xml:"subnetSet"`
	NextToken string          `xml:"nextToken,omitempty"`
}

type subnetXML struct {
	SubnetID   string    `xml:"subnetId"`
	ARN        string    `xml:"subnetArn"`
	State      string    `xml:"state"`
	OwnerID    string    `xml:"ownerId"`
	VPCID      string    `xml:"vpcId"`
	CIDR       string    `xml:"cidrBlock"`
	Addresses  int       `xml:"availableIpAddressCount"`
	Zone       string    `xml:"availabilityZone"`
	ZoneID     string    `xml:"availabilityZoneId"`
	DefaultAZ  bool      `xml:"defaultForAz"`
	MapPublic  bool      `xml:"mapPublicIpOnLaunch"`
	AssignIPv6 bool      `xml:"assignIpv6AddressOnCreation"`
	Tags       list[Tag] `xml:"tagSet"`
}

var subnetFields = fields[*subnetRecord]{
	"subnet-id":               func(r *subnetRecord) []string { return one(r.ID) },
	"vpc-id":                  func(r *subnetRecord) []string { return one(r.VPCID) },
	"availability-zone":       func(r *subnetRecord) []string { return one(r.Zone) },
	"availabilityZone":        func(r *subnetRecord) []string { return one(r.Zone) },
	"availability-zone-id":    func(r *subnetRecord) []string { return one(r.ZoneID) },
	"cidr-block":              func(r *subnetRecord) []string { return one(r.CIDR) },
	"default-for-az":          func(*subnetRecord) []string { return one("true") },
	"defaultForAz":            func(*subnetRecord) []string { return one("true") },
	"map-public-ip-on-launch": func(*subnetRecord) []string { return one("true") },
	"owner-id":                func(r *subnetRecord) []string { return one(r.Account) },
	"state":                   func(*subnetRecord) []string { return one("available") },
}

func (s *Service) describeSubnets(c *call, in *describeSubnetsInput) (any, error) {
	found, err := pick(c.subnets, subnetFields, in.IDs, in.Filters, func(id string) error {
		return api.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
	})
	if err != nil {
		return nil, err
	}
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeSubnetsXML{NextToken: next}
	for _, r := range found {
		answer.Subnets.Items = append(answer.Subnets.Items, subnetXML{
			SubnetID: r.ID, ARN: "arn:aws:ec2:" + r.Region + ":" + r.Account + ":subnet/" + r.ID, State: "available", OwnerID: r.Account,
			VPCID: r.VPCID, CIDR: r.CIDR, Addresses: c.freeAddresses(r), Zone: r.Zone, ZoneID: r.ZoneID, DefaultAZ: true,
			MapPublic: true, Tags: listOf(r.Tags),
		})
	}
	return answer, nil
}

// subnetIn is the default subnet of the Availability Zone.
func (sc *scope) subnetIn(zone string) *subnetRecord {
	for _, subnet := range sc.subnets.order {
		if subnet.Zone == zone {
			return subnet
		}
	}
	return nil
}

// AWS keeps the first four addresses of a subnet and its last one.
const (
	reservedFirst = 4
	reservedLast  = 1
)

func subnetSize(r *subnetRecord) int {
	return 1<<(32-netip.MustParsePrefix(r.CIDR).Bits()) - reservedFirst - reservedLast
}

func (sc *scope) freeAddresses(r *subnetRecord) int {
	prefix, used := netip.MustParsePrefix(r.CIDR), 0
	for address := range sc.addresses {
		if prefix.Contains(netip.MustParseAddr(address)) {
			used++
		}
	}
	return subnetSize(r) - used
}

func (sc *scope) checkAddress(r *subnetRecord, address string) error {
	parsed, err := netip.ParseAddr(address)
	if err != nil || !netip.MustParsePrefix(r.CIDR).Contains(parsed) {
		return api.Errorf("InvalidParameterValue", "Address %s does not fall within the subnet's address range", address)
	}
	if owner, used := sc.addresses[address]; used {
		return api.Errorf("InvalidIPAddress.InUse", "Address %s is in use by %s.", address, owner)
	}
	return nil
}

// takeAddress gives the instance the asked address or the subnet's next free one; there is one, as the pool was checked.
func (sc *scope) takeAddress(r *subnetRecord, asked, instanceID string) string {
	if asked != "" {
		sc.addresses[asked] = instanceID
		return asked
	}
	first := netip.MustParsePrefix(r.CIDR).Addr().As4()
	size := subnetSize(r)
	for {
		n := reservedFirst + sc.cursor[r.ID]%size
		sc.cursor[r.ID]++
		number := int(first[2])<<8 + int(first[3]) + n
		address := netip.AddrFrom4([4]byte{first[0], first[1], byte(number >> 8), byte(number)}).String()
		if _, used := sc.addresses[address]; !used {
			sc.addresses[address] = instanceID
			return address
		}
	}
}

type describeZonesInput struct {
	dryable
	Names   []string `query:"ZoneName"`
	IDs     []string `query:"ZoneId"`
	All     bool     `query:"AllAvailabilityZones"`
	Filters []filter `query:"Filter"`
}

type describeZonesXML struct {
	Zones list[zoneXML] `xml:"availabilityZoneInfo"`
}

type zoneXML struct {
	Name        string         `xml:"zoneName"`
	State       string         `xml:"zoneState"`
	Region      string         `xml:"regionName"`
	ID          string         `xml:"zoneId"`
	Group       string         `xml:"groupName"`
	BorderGroup string         `xml:"networkBorderGroup"`
	Kind        string         `xml:"zoneType"`
	OptIn       string         `xml:"optInStatus"`
	Messages    list[struct{}] `xml:"messageSet"`
}

// named is a thing of the catalog, not of the state, as filters see it.
type named struct {
	base
	values map[string][]string
}

func (*named) keys() []string { return nil }

func catalogFields(names ...string) fields[*named] {
	f := fields[*named]{}
	for _, name := range names {
		f[name] = func(n *named) []string { return n.values[name] }
	}
	return f
}

var zoneFields = catalogFields("zone-name", "zone-id", "state", "region-name", "zone-type", "opt-in-status", "group-name")

func (s *Service) describeAvailabilityZones(c *call, in *describeZonesInput) (any, error) {
	if err := zoneFields.check(in.Filters); err != nil {
		return nil, err
	}
	for _, name := range in.Names {
		if !slices.Contains(c.zones, name) {
			return nil, api.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", name)
		}
	}
	var answer describeZonesXML
	for n, name := range c.zones {
		zone := &named{values: map[string][]string{
			"zone-name": {name}, "zone-id": {c.zoneIDs[n]}, "state": {"available"}, "region-name": {c.Region},
			"zone-type": {"availability-zone"}, "opt-in-status": {"opt-in-not-required"}, "group-name": {c.Region + "-zg-1"},
		}}
		if len(in.Names) > 0 && !slices.Contains(in.Names, name) || len(in.IDs) > 0 && !slices.Contains(in.IDs, c.zoneIDs[n]) || !zoneFields.match(in.Filters, zone) {
			continue
		}
		answer.Zones.Items = append(answer.Zones.Items, zoneXML{
			Name: name, State: "available", Region: c.Region, ID: c.zoneIDs[n], Group: c.Region + "-zg-1", BorderGroup: c.Region,
			Kind: "availability-zone", OptIn: "opt-in-not-required",
		})
	}
	return answer, nil
}

type describeRegionsInput struct {
	dryable
	Names   []string `query:"RegionName"`
	All     bool     `query:"AllRegions"`
	Filters []filter `query:"Filter"`
}

type describeRegionsXML struct {
	Regions list[regionXML] `xml:"regionInfo"`
}

type regionXML struct {
	Name     string `xml:"regionName"`
	Endpoint string `xml:"regionEndpoint"`
	OptIn    string `xml:"optInStatus"`
}

var regionFields = catalogFields("region-name", "endpoint", "opt-in-status")

func (s *Service) describeRegions(_ *call, in *describeRegionsInput) (any, error) {
	if err := regionFields.check(in.Filters); err != nil {
		return nil, err
	}
	for _, name := range in.Names {
		if _, ok := regionNamed(name); !ok {
			return nil, api.Errorf("InvalidParameterValue", "Invalid region: [%s]", name)
		}
	}
	var answer describeRegionsXML
	for _, r := range seed.Regions() {
		endpoint := "ec2." + r.Name + ".amazonaws.com"
		n := &named{values: map[string][]string{"region-name": {r.Name}, "endpoint": {endpoint}, "opt-in-status": {"opt-in-not-required"}}}
		if (len(in.Names) == 0 || slices.Contains(in.Names, r.Name)) && regionFields.match(in.Filters, n) {
			answer.Regions.Items = append(answer.Regions.Items, regionXML{r.Name, endpoint, "opt-in-not-required"})
		}
	}
	return answer, nil
}

func number(n int32) string { return strconv.Itoa(int(n)) }
