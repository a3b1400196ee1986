package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Subnets gives the subnets with the ids, in their order, or those with all of the tags; with neither the default VPC's
// default subnets. An id that does not exist is an error that fails for good.
func (r *Region) Subnets(ctx context.Context, ids []string, tags map[string]string) ([]c.Subnet, error) {
	filters := tagFilters(tags)
	switch {
	case len(ids) > 0:
		filters = append(filters, filter("subnet-id", ids...))
	case len(tags) == 0:
		filters = append(filters, filter("default-for-az", "true"))
	}
	pages := ec2.NewDescribeSubnetsPaginator(r.client, &ec2.DescribeSubnetsInput{Filters: filters, MaxResults: aws.Int32(pageSize)})
	var list []c.Subnet
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, filterText(filters))
		}
		for _, s := range page.Subnets {
			list = append(list, subnet(s))
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(list, func(s c.Subnet) bool { return s.ID == id }) {
			return nil, jobs.Fatalf("ec2 DescribeSubnets", id, "there is no such subnet in "+r.region, hintFor(tags, "check its id, region and account"))
		}
	}
	slices.SortFunc(list, func(a, b c.Subnet) int {
		if by := slices.Index(ids, a.ID) - slices.Index(ids, b.ID); by != 0 {
			return by
		}
		return strings.Compare(a.Zone+a.ID, b.Zone+b.ID)
	})
	return list, nil
}

func hintFor(tags map[string]string, hint string) string {
	if len(tags) > 0 {
		return hint + ", and that it carries the tags"
	}
	return hint
}

// SecurityGroups gives the ids of the groups, which are named by id or by name within the VPC (an empty one: any), in their
// order. An unknown or ambiguous one is an error that fails for good.
func (r *Region) SecurityGroups(ctx context.Context, namesOrIDs []string, vpcID string) ([]string, error) {
	var names []string
	for _, n := range namesOrIDs {
		if !strings.HasPrefix(n, "sg-") {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return namesOrIDs, nil // RunInstances itself names an id that is unknown
	}
	filters := []types.Filter{filter("group-name", names...)}
	if vpcID != "" {
		filters = append(filters, filter("vpc-id", vpcID))
	}
	pages := ec2.NewDescribeSecurityGroupsPaginator(r.client, &ec2.DescribeSecurityGroupsInput{Filters: filters, MaxResults: aws.Int32(pageSize)})
	byName := map[string][]string{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, filterText(filters))
		}
		for _, g := range page.SecurityGroups {
			name := aws.ToString(g.GroupName)
			byName[name] = append(byName[name], aws.ToString(g.GroupId))
		}
	}
	ids := make([]string, 0, len(namesOrIDs))
	for _, n := range namesOrIDs {
		switch found := byName[n]; {
		case strings.HasPrefix(n, "sg-"):
			ids = append(ids, n)
		case len(found) == 1:
			ids = append(ids, found[0])
		case len(found) == 0:
			return nil, jobs.Fatalf("ec2 DescribeSecurityGroups", n, fmt.Sprintf("there is no security group of this name in %s %s", r.region, vpcID), "check its name and VPC, or give its id")
		default:
			return nil, jobs.Fatalf("ec2 DescribeSecurityGroups", n, "several security groups have this name: "+strings.Join(found, ", "), "give its id")
		}
	}
	return ids, nil
}

// TypesOffered tells in which availability zones of the region each instance type is offered; one that is offered nowhere
// is absent.
func (r *Region) TypesOffered(ctx context.Context, instanceTypes []string) (map[string][]string, error) {
	zones := map[string][]string{}
	for chunk := range slices.Chunk(instanceTypes, filterValues) {
		pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(r.client, &ec2.DescribeInstanceTypeOfferingsInput{
			LocationType: types.LocationTypeAvailabilityZone,
			Filters:      []types.Filter{filter("instance-type", chunk...)},
			MaxResults:   aws.Int32(pageSize),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, wrap(err, chunk...)
			}
			for _, o := range page.InstanceTypeOfferings {
				kind := string(o.InstanceType)
				zones[kind] = append(zones[kind], aws.ToString(o.Location))
			}
		}
	}
	for _, list := range zones {
		slices.Sort(list)
	}
	return zones, nil
}
