package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Images gives the AMIs with the ids, in the ids' order, disabled and deprecated ones included; unknown ones are absent.
// Calls that come together share requests.
func (r *Region) Images(ctx context.Context, ids ...string) ([]c.Image, error) {
	return values(ctx, r.images, ids)
}

// ImagesNamed gives the account's own AMIs of exactly that name, disabled ones included.
func (r *Region) ImagesNamed(ctx context.Context, name string) ([]c.Image, error) {
	return r.describeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{self}, Filters: []types.Filter{filter("name", literal(name))}})
}

// NewestImage gives the owner's available AMI that was created last, of those whose name fits the pattern (* and ?). The
// owner is an account, self, amazon or aws-marketplace; an empty architecture is any.
func (r *Region) NewestImage(ctx context.Context, owner, namePattern, architecture string) (c.Image, bool, error) {
	filters := []types.Filter{filter("name", namePattern), filter("state", "available")}
	if architecture != "" {
		filters = append(filters, filter("architecture", architecture))
	}
	images, err := r.describeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{owner}, Filters: filters})
	if err != nil || len(images) == 0 {
		return c.Image{}, false, err
	}
	newest := slices.MaxFunc(images, func(a, b c.Image) int {
		if by := a.Created.Compare(b.Created); by != 0 {
			return by
		}
		return strings.Compare(a.ID, b.ID)
	})
	return newest, true, nil
}

func (r *Region) fetchImages(ctx context.Context, ids []string) (map[string]c.Image, error) {
	images, err := r.describeImages(ctx, &ec2.DescribeImagesInput{
		Filters: []types.Filter{filter("image-id", ids...)}, IncludeDeprecated: aws.Bool(true),
	})
	found := make(map[string]c.Image, len(images))
	for _, i := range images {
		found[i.ID] = i
	}
	return found, err
}

// describeImages gives all pages. Disabled AMIs are hidden unless asked for, and would then look as if they were gone.
func (r *Region) describeImages(ctx context.Context, in *ec2.DescribeImagesInput) ([]c.Image, error) {
	in.IncludeDisabled = aws.Bool(true)
	in.MaxResults = aws.Int32(pageSize)
	pages := ec2.NewDescribeImagesPaginator(r.client, in)
	var list []c.Image
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, filterText(in.Filters))
		}
		for _, i := range page.Images {
			list = append(list, image(i))
		}
	}
	return list, nil
}

// Snapshots gives the snapshots with the ids; unknown ones are absent.
func (r *Region) Snapshots(ctx context.Context, ids ...string) ([]c.Snapshot, error) {
	var list []c.Snapshot
	for chunk := range slices.Chunk(ids, filterValues) {
		found, err := r.describeSnapshots(ctx, []types.Filter{filter("snapshot-id", chunk...)}, nil)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

func (r *Region) describeSnapshots(ctx context.Context, filters []types.Filter, owners []string) ([]c.Snapshot, error) {
	pages := ec2.NewDescribeSnapshotsPaginator(r.client, &ec2.DescribeSnapshotsInput{
		Filters: filters, OwnerIds: owners, MaxResults: aws.Int32(pageSize),
	})
	var list []c.Snapshot
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, filterText(filters))
		}
		for _, s := range page.Snapshots {
			list = append(list, snapshot(s))
		}
	}
	return list, nil
}

// Tag puts the tags on the things.
func (r *Region) Tag(ctx context.Context, ids []string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	return chunked(ids, func(ids []string) error {
		_, err := r.client.CreateTags(ctx, &ec2.CreateTagsInput{Resources: ids, Tags: tagList(tags)})
		return err
	})
}
