package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/jobs"
)

// FreeVolumes gives the volumes with all of the tags that are attached to nothing.
func (r *Region) FreeVolumes(ctx context.Context, tags map[string]string) ([]jobs.Thing, error) {
	filters := append(tagFilters(tags), filter("status", "available"))
	pages := ec2.NewDescribeVolumesPaginator(r.client, &ec2.DescribeVolumesInput{Filters: filters, MaxResults: aws.Int32(pageSize)})
	var list []jobs.Thing
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, filterText(filters))
		}
		for _, v := range page.Volumes {
			list = append(list, jobs.Thing{Kind: "volume", ID: aws.ToString(v.VolumeId), Tags: tagMap(v.Tags), Created: aws.ToTime(v.CreateTime)})
		}
	}
	return list, nil
}

// DeleteVolume deletes a volume. One that is gone is no error.
func (r *Region) DeleteVolume(ctx context.Context, id string) error {
	_, err := r.client.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: aws.String(id)})
	if awserr.IsCode(err, "InvalidVolume.NotFound") {
		return nil
	}
	return wrap(err, id)
}

// OpenSpotRequests gives the spot requests with all of the tags that have no instance and may still launch one.
func (r *Region) OpenSpotRequests(ctx context.Context, tags map[string]string) ([]jobs.Thing, error) {
	filters := append(tagFilters(tags), filter("state", "open"))
	pages := ec2.NewDescribeSpotInstanceRequestsPaginator(r.client, &ec2.DescribeSpotInstanceRequestsInput{Filters: filters, MaxResults: aws.Int32(pageSize)})
	var list []jobs.Thing
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, filterText(filters))
		}
		for _, q := range page.SpotInstanceRequests {
			list = append(list, jobs.Thing{Kind: "spot-request", ID: aws.ToString(q.SpotInstanceRequestId), Tags: tagMap(q.Tags), Created: aws.ToTime(q.CreateTime)})
		}
	}
	return list, nil
}

// CancelSpotRequest cancels a spot request. One that is gone is no error.
func (r *Region) CancelSpotRequest(ctx context.Context, id string) error {
	_, err := r.client.CancelSpotInstanceRequests(ctx, &ec2.CancelSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{id}})
	if awserr.IsCode(err, "InvalidSpotInstanceRequestID.NotFound") {
		return nil
	}
	return wrap(err, id)
}
