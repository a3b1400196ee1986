package ec2

import (
	"context"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
)

// Stop asks the instances to stop. One that is stopped already stays so.
func (r *Region) Stop(ctx context.Context, ids ...string) error {
	defer r.instances.Forget(ids...)
	return chunked(ids, func(ids []string) error {
		_, err := r.client.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: ids})
		return err
	})
}

// Start starts stopped instances.
func (r *Region) Start(ctx context.Context, ids ...string) error {
	defer r.instances.Forget(ids...)
	return chunked(ids, func(ids []string) error {
		_, err := r.client.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: ids})
		return err
	})
}

// Reboot asks the instances to reboot.
func (r *Region) Reboot(ctx context.Context, ids ...string) error {
	defer r.instances.Forget(ids...)
	return chunked(ids, func(ids []string) error {
		_, err := r.client.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: ids})
		return err
	})
}

// Terminate ends the instances. EC2 ends none of a call that names an unknown one: those are split off and ignored, the
// rest is tried once more. That an id is unknown does not prove the instance gone: look for it later too.
func (r *Region) Terminate(ctx context.Context, ids ...string) error {
	defer r.instances.Forget(ids...)
	for chunk := range slices.Chunk(ids, idsPerCall) {
		err := r.known(chunk, func(ids []string) error {
			_, err := r.client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// CancelSpotRequests cancels the spot requests behind the instances, so that a persistent one launches no other.
func (r *Region) CancelSpotRequests(ctx context.Context, instanceIDs ...string) error {
	var requests []string
	for chunk := range slices.Chunk(instanceIDs, filterValues) {
		pages := ec2.NewDescribeSpotInstanceRequestsPaginator(r.client, &ec2.DescribeSpotInstanceRequestsInput{
			Filters: []types.Filter{filter("instance-id", chunk...), filter("state", "open", "active", "disabled")},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return wrap(err, chunk...)
			}
			for _, request := range page.SpotInstanceRequests {
				requests = append(requests, aws.ToString(request.SpotInstanceRequestId))
			}
		}
	}
	return chunked(requests, func(ids []string) error {
		_, err := r.client.CancelSpotInstanceRequests(ctx, &ec2.CancelSpotInstanceRequestsInput{SpotInstanceRequestIds: ids})
		return err
	})
}

// chunked calls for as many ids at a time as a call takes.
func chunked(ids []string, call func([]string) error) error {
	for chunk := range slices.Chunk(ids, idsPerCall) {
		if err := call(chunk); err != nil {
			return wrap(err, chunk...)
		}
	}
	return nil
}

var instanceID = regexp.MustCompile(`\bi-[0-9a-f]+\b`)

// known calls for the ids, and where EC2 names some as unknown once more for the others.
func (r *Region) known(ids []string, call func([]string) error) error {
	err := call(ids)
	if !awserr.IsCode(err, unknownInstance) {
		return wrap(err, ids...)
	}
	unknown := instanceID.FindAllString(err.Error(), -1)
	rest := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(unknown, id) })
	if len(rest) == len(ids) {
		return wrap(err, ids...)
	}
	if len(rest) == 0 {
		return nil
	}
	return wrap(call(rest), rest...)
}
