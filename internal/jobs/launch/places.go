package launch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// lookPools makes the ladder, and finds the VPC that its subnets have in common.
func (l *launch) lookPools(ctx context.Context, s *survey) error {
	offered, err := l.offered(ctx, s)
	if err != nil {
		return err
	}
	pools := l.spec.Pools
	if len(pools) == 0 {
		pools = []Pool{{}}
	}
	found, err := l.lookSubnets(ctx, s, pools)
	if err != nil {
		return err
	}
	l.progress.Ladder, s.subnets, s.vpc = nil, map[string]cloud.Subnet{}, ""
	for i, pool := range pools {
		if found[i] == nil {
			continue // what is wrong is told already
		}
		for _, subnet := range *found[i] {
			if s.vpc != "" && subnet.VpcID != s.vpc && len(l.spec.Server.SecurityGroups) > 0 {
				s.wrong(fmt.Sprintf("the subnet %s is in %s, another one is in %s", subnet.ID, subnet.VpcID, s.vpc),
					"security groups belong to one VPC: keep the pools in one", "pools", i, "subnets")
				break
			}
			s.vpc, s.subnets[subnet.ID] = subnet.VpcID, subnet
		}
		ladder := rungs(i, pool.Market == "spot", pool.Types, *found[i], offered)
		if len(ladder) == 0 && anyOffered(pool.Types, offered) {
			s.wrong(fmt.Sprintf("EC2 offers none of %s in the zones of the subnets of pool %d", strings.Join(pool.Types, ", "), i+1),
				"choose other types or subnets", "pools", i)
		}
		l.progress.Ladder = append(l.progress.Ladder, ladder...)
	}
	return nil
}

func anyOffered(types []string, offered map[string][]string) bool {
	return slices.ContainsFunc(types, func(name string) bool { return len(offered[name]) > 0 })
}

// offered says in which zones EC2 has each type. One that the region does not have at all is wrong wherever it is named.
func (l *launch) offered(ctx context.Context, s *survey) (map[string][]string, error) {
	var types []string
	for _, pool := range l.spec.Pools {
		types = append(types, pool.Types...)
	}
	slices.Sort(types)
	if types = slices.Compact(types); len(types) == 0 {
		return nil, nil
	}
	offered, err := l.ec2().TypesOffered(ctx, types)
	s.count("DescribeInstanceTypeOfferings")
	if err != nil {
		return nil, jobs.Gather(&s.findings, err, "pools")
	}
	for i, pool := range l.spec.Pools {
		for j, name := range pool.Types {
			if len(offered[name]) == 0 {
				s.wrong("EC2 does not offer "+name+" in this region", "choose another type", "pools", i, "types", j)
			}
		}
	}
	return offered, nil
}

// lookSubnets gives each pool's subnets; nil where something is wrong with them, empty where the launch template says. All
// ids are one call, and so are equal tags and the default subnets.
func (l *launch) lookSubnets(ctx context.Context, s *survey, pools []Pool) ([]*[]cloud.Subnet, error) {
	found := make([]*[]cloud.Subnet, len(pools))
	byID, err := l.subnetsByID(ctx, s, pools)
	if err != nil {
		return nil, err
	}
	byTags := map[string]*[]cloud.Subnet{}
	for i, pool := range pools {
		switch {
		case len(pool.Subnets.IDs) > 0:
			found[i] = chosen(pool.Subnets.IDs, byID)
			continue
		case pool.Subnets.IsZero() && l.spec.LaunchTemplate != nil:
			found[i] = &[]cloud.Subnet{}
			continue
		}
		key := fmt.Sprint(pool.Subnets.Tag) // in the keys' order
		if byTags[key] == nil {
			subnets, err := l.ec2().Subnets(ctx, nil, pool.Subnets.Tag)
			s.count("DescribeSubnets")
			if err != nil {
				if err := jobs.Gather(&s.findings, err, "pools", i, "subnets"); err != nil {
					return nil, err
				}
				continue
			}
			sortByZone(subnets)
			byTags[key] = &subnets
		}
		if found[i] = byTags[key]; len(*found[i]) == 0 {
			found[i] = nil
			s.wrong(fmt.Sprintf("pool %d has no subnets: %s", i+1, noSubnet(pool)), "name existing subnets, or tags that subnets carry", "pools", i, "subnets")
		}
	}
	return found, nil
}

func noSubnet(pool Pool) string {
	if len(pool.Subnets.Tag) == 0 {
		return "it names none, and this region has no default subnets"
	}
	var tags []string
	for _, key := range slices.Sorted(maps.Keys(pool.Subnets.Tag)) {
		tags = append(tags, key+"="+pool.Subnets.Tag[key])
	}
	return "no subnet carries " + strings.Join(tags, ", ")
}

// subnetsByID asks for the ids of all pools at once; where one is unknown, pool by pool, so that each is told of.
func (l *launch) subnetsByID(ctx context.Context, s *survey, pools []Pool) (map[string]cloud.Subnet, error) {
	var ids []string
	for _, pool := range pools {
		ids = append(ids, pool.Subnets.IDs...)
	}
	slices.Sort(ids)
	byID := map[string]cloud.Subnet{}
	if ids = slices.Compact(ids); len(ids) == 0 {
		return byID, nil
	}
	subnets, err := l.ec2().Subnets(ctx, ids, nil)
	s.count("DescribeSubnets")
	if err != nil && !jobs.IsClass(err, jobs.Fatal, jobs.NotFound) {
		return nil, err
	}
	for i := 0; err != nil && i < len(pools); i++ {
		if len(pools[i].Subnets.IDs) == 0 {
			continue
		}
		of, wrong := l.ec2().Subnets(ctx, pools[i].Subnets.IDs, nil)
		s.count("DescribeSubnets")
		if wrong = jobs.Gather(&s.findings, wrong, "pools", i, "subnets"); wrong != nil {
			return nil, wrong
		}
		subnets = append(subnets, of...)
	}
	for _, subnet := range subnets {
		byID[subnet.ID] = subnet
	}
	return byID, nil
}

// chosen are the subnets with the ids; nil if one is missing.
func chosen(ids []string, byID map[string]cloud.Subnet) *[]cloud.Subnet {
	var list []cloud.Subnet
	for _, id := range ids {
		subnet, ok := byID[id]
		if !ok {
			return nil
		}
		list = append(list, subnet)
	}
	sortByZone(list)
	return &list
}

func sortByZone(subnets []cloud.Subnet) {
	slices.SortFunc(subnets, func(a, b cloud.Subnet) int { return strings.Compare(a.Zone+a.ID, b.Zone+b.ID) })
}
