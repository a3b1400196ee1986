package doctor

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// agentServices are the endpoints that the SSM agent speaks to.
var agentServices = []string{"ssm", "ssmmessages", "ec2messages"}

// network finds the subnets from which no way leads to the internet, and the VPC endpoints that their servers then need for SSM.
func (d *doctor) network(ctx context.Context, l *looker) {
	subnets, err := allSubnets(ctx, l.ec2)
	if err == nil {
		var routes *routeTables
		if routes, err = allRoutes(ctx, l.ec2); err == nil {
			err = d.closed(ctx, l, subnets, routes)
		}
	}
	if err != nil {
		d.unread("network", l.where, err)
	}
}

// closed judges each VPC that has subnets without a way out.
func (d *doctor) closed(ctx context.Context, l *looker, subnets []types.Subnet, routes *routeTables) error {
	shut := map[string][]string{}
	for _, s := range subnets {
		if !routes.out(aws.ToString(s.VpcId), aws.ToString(s.SubnetId)) {
			shut[aws.ToString(s.VpcId)] = append(shut[aws.ToString(s.VpcId)], aws.ToString(s.SubnetId))
		}
	}
	if len(shut) == 0 {
		d.ok("network", l.where, "all %d subnets have a way to SSM's public endpoints", len(subnets))
		return nil
	}
	endpoints, err := agentEndpoints(ctx, l.ec2, slices.Sorted(maps.Keys(shut)))
	if err != nil {
		return err
	}
	for _, vpc := range slices.Sorted(maps.Keys(shut)) {
		var missing []string
		for _, service := range agentServices {
			if !endpoints[vpc+" "+service] {
				missing = append(missing, service)
			}
		}
		if len(missing) == 0 {
			d.ok("network", vpc, "%d subnets without a way to the internet reach SSM by VPC endpoints", len(shut[vpc]))
			continue
		}
		d.find("network", vpc, Warning,
			"add interface endpoints with private DNS for them, or a NAT gateway; or name other subnets in specs; or bake with `builder: {provision: userData}`",
			"%d subnets have no way to the internet, and the VPC has no endpoint for %s: a builder or server there never comes online in SSM (%s)",
			len(shut[vpc]), strings.Join(missing, ", "), few(shut[vpc]))
	}
	return nil
}

func allSubnets(ctx context.Context, client *ec2.Client) ([]types.Subnet, error) {
	pages := ec2.NewDescribeSubnetsPaginator(client, &ec2.DescribeSubnetsInput{MaxResults: aws.Int32(1000)})
	var all []types.Subnet
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Subnets...)
	}
	return all, nil
}

// routeTables say for each subnet, and for each VPC by its main table, whether there is a default route.
type routeTables struct {
	subnets, vpcs map[string]bool
}

// out reports whether the subnet has a way out. A subnet without a table of its own has its VPC's main one.
func (r *routeTables) out(vpc, subnet string) bool {
	if way, own := r.subnets[subnet]; own {
		return way
	}
	return r.vpcs[vpc]
}

func allRoutes(ctx context.Context, client *ec2.Client) (*routeTables, error) {
	pages := ec2.NewDescribeRouteTablesPaginator(client, &ec2.DescribeRouteTablesInput{MaxResults: aws.Int32(100)})
	r := &routeTables{subnets: map[string]bool{}, vpcs: map[string]bool{}}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, table := range page.RouteTables {
			way := slices.ContainsFunc(table.Routes, leadsOut)
			for _, a := range table.Associations {
				if aws.ToBool(a.Main) {
					r.vpcs[aws.ToString(table.VpcId)] = way
				} else if a.SubnetId != nil {
					r.subnets[*a.SubnetId] = way
				}
			}
		}
	}
	return r, nil
}

// leadsOut: a default route to whatever is there. An egress-only gateway is one, too: SSM's endpoints have IPv6 addresses.
func leadsOut(r types.Route) bool {
	everywhere := aws.ToString(r.DestinationCidrBlock) == "0.0.0.0/0" || aws.ToString(r.DestinationIpv6CidrBlock) == "::/0"
	return everywhere && r.State != types.RouteStateBlackhole
}

// agentEndpoints gives "VPC service" for each endpoint that serves the agent under its usual name.
func agentEndpoints(ctx context.Context, client *ec2.Client, vpcs []string) (map[string]bool, error) {
	there := map[string]bool{}
	for part := range slices.Chunk(vpcs, 200) { // values a filter
		pages := ec2.NewDescribeVpcEndpointsPaginator(client, &ec2.DescribeVpcEndpointsInput{
			Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: part}}})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, e := range page.VpcEndpoints {
				name := aws.ToString(e.ServiceName)
				if strings.EqualFold(string(e.State), "available") && aws.ToBool(e.PrivateDnsEnabled) {
					there[aws.ToString(e.VpcId)+" "+name[strings.LastIndexByte(name, '.')+1:]] = true
				}
			}
		}
	}
	return there, nil
}

func few(list []string) string {
	if len(list) > 3 {
		return strings.Join(list[:3], ", ") + ", …"
	}
	return strings.Join(list, ", ")
}
