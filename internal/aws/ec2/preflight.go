package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Types tells what the instance types have; one that the region does not have is absent.
func (r *Region) Types(ctx context.Context, instanceTypes []string) (map[string]c.InstanceType, error) {
	found := map[string]c.InstanceType{}
	for chunk := range slices.Chunk(instanceTypes, filterValues) {
		pages := ec2.NewDescribeInstanceTypesPaginator(r.client, &ec2.DescribeInstanceTypesInput{
			Filters: []types.Filter{filter("instance-type", chunk...)}, MaxResults: aws.Int32(100),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, wrap(err, chunk...)
			}
			for _, t := range page.InstanceTypes {
				kind := c.InstanceType{Name: string(t.InstanceType)}
				if t.VCpuInfo != nil {
					kind.VCPUs = int(aws.ToInt32(t.VCpuInfo.DefaultVCpus))
				}
				if t.ProcessorInfo != nil {
					for _, architecture := range t.ProcessorInfo.SupportedArchitectures {
						kind.Architectures = append(kind.Architectures, string(architecture))
					}
				}
				found[kind.Name] = kind
			}
		}
	}
	return found, nil
}

// RunningVCPUs adds up the vCPUs of instances that run or are about to, by type and market. It reads so many pages of 1,000
// instances at most (0: all), and says whether that was the whole.
func (r *Region) RunningVCPUs(ctx context.Context, pages int) (map[c.Running]int, bool, error) {
	used := map[c.Running]int{}
	paginator := ec2.NewDescribeInstancesPaginator(r.client, &ec2.DescribeInstancesInput{
		Filters: []types.Filter{filter("instance-state-name", "pending", "running")}, MaxResults: aws.Int32(pageSize),
	})
	for read := 0; paginator.HasMorePages(); read++ {
		if pages > 0 && read == pages {
			return used, false, nil
		}
		page, err := paginator.NextPage(ctx)
		if err != nil {
			return nil, false, wrap(err, "running instances")
		}
		for _, reservation := range page.Reservations {
			for _, i := range reservation.Instances {
				vcpus := 1
				if cpu := i.CpuOptions; cpu != nil {
					vcpus = int(aws.ToInt32(cpu.CoreCount) * aws.ToInt32(cpu.ThreadsPerCore))
				}
				used[c.Running{Type: string(i.InstanceType), Spot: i.InstanceLifecycle == types.InstanceLifecycleTypeSpot}] += vcpus
			}
		}
	}
	return used, true, nil
}

// KeyPair tells whether there is a key pair of that name.
func (r *Region) KeyPair(ctx context.Context, name string) (bool, error) {
	out, err := r.client.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: []types.Filter{filter("key-name", literal(name))}})
	if err != nil {
		return false, wrap(err, name)
	}
	return len(out.KeyPairs) > 0, nil
}

// GroupVPCs tells in which VPC each of the security groups with the ids is; one that does not exist is absent.
func (r *Region) GroupVPCs(ctx context.Context, ids []string) (map[string]string, error) {
	vpcs := map[string]string{}
	pages := ec2.NewDescribeSecurityGroupsPaginator(r.client, &ec2.DescribeSecurityGroupsInput{
		Filters: []types.Filter{filter("group-id", ids...)}, MaxResults: aws.Int32(pageSize),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, ids...)
		}
		for _, g := range page.SecurityGroups {
			vpcs[aws.ToString(g.GroupId)] = aws.ToString(g.VpcId)
		}
	}
	return vpcs, nil
}

// Regions tells the opt-in status of those of the regions that exist: opt-in-not-required, opted-in or not-opted-in.
func (r *Region) Regions(ctx context.Context, names ...string) (map[string]string, error) {
	out, err := r.client.DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true), Filters: []types.Filter{filter("region-name", names...)}})
	if err != nil {
		return nil, wrap(err, names...)
	}
	status := map[string]string{}
	for _, region := range out.Regions {
		status[aws.ToString(region.RegionName)] = aws.ToString(region.OptInStatus)
	}
	return status, nil
}

// AllowedAMIs is the state of the account's Allowed AMIs settings: disabled, audit-mode or enabled.
func (r *Region) AllowedAMIs(ctx context.Context) (string, error) {
	out, err := r.client.GetAllowedImagesSettings(ctx, &ec2.GetAllowedImagesSettingsInput{})
	if err != nil {
		return "", wrap(err, "allowed AMIs")
	}
	return aws.ToString(out.State), nil
}
