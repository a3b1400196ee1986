package ec2

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestImageMetadataTellsWhatAnInstanceRunsWhenTheImageIsGone(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx, source := t.Context(), b.running(t)
		image := b.image(t, source, "web", true)
		time.Sleep(10 * time.Minute)
		made := *must(b.DescribeImages(ctx, &sdk.DescribeImagesInput{ImageIds: []string{image}}))(t).Images[0].CreationDate
		id := b.running(t, func(in *sdk.RunInstancesInput) { in.ImageId = &image })
		look := func(in sdk.DescribeInstanceImageMetadataInput) []types.InstanceImageMetadata {
			return must(b.DescribeInstanceImageMetadata(ctx, &in))(t).InstanceImageMetadata
		}
		of := sdk.DescribeInstanceImageMetadataInput{Filters: []types.Filter{{Name: aws.String("instance-id"), Values: []string{id}}}}
		if m := look(of)[0].ImageMetadata; *m.ImageId != image || *m.Name != "web" || m.State != "available" || *m.CreationDate != made {
			t.Errorf("before: %s %s %s %s", *m.ImageId, *m.Name, m.State, *m.CreationDate)
		}
		must(b.DeregisterImage(ctx, &sdk.DeregisterImageInput{ImageId: &image}))(t)
		if m := look(of)[0].ImageMetadata; *m.ImageId != image || *m.Name != "web" || m.State != "deregistered" || *m.CreationDate != made {
			t.Errorf("after: %s %s %s %s", *m.ImageId, *m.Name, m.State, *m.CreationDate)
		}
		if all := look(sdk.DescribeInstanceImageMetadataInput{}); len(all) != 2 {
			t.Errorf("without ids and filters there are %d instances, want all: 2", len(all))
		}
		if byID := look(sdk.DescribeInstanceImageMetadataInput{InstanceIds: []string{id}}); len(byID) != 1 || byID[0].InstanceType == "" || byID[0].State.Name != "running" {
			t.Errorf("by id: %+v", byID)
		}
	})
}

func TestImageMetadataIsAsStrictAsEC2(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx, id := t.Context(), b.running(t)
		for code, in := range map[string]sdk.DescribeInstanceImageMetadataInput{
			"InvalidParameterValue":       {Filters: []types.Filter{{Name: aws.String("image-id"), Values: []string{"ami-1"}}}},
			"InvalidParameterCombination": {InstanceIds: []string{id}, MaxResults: aws.Int32(10)},
			"InvalidInstanceID.NotFound":  {InstanceIds: []string{"i-0123456789abcdef0"}},
		} {
			_, err := b.DescribeInstanceImageMetadata(ctx, &in)
			wantCode(t, err, code)
		}
	})
}
