package ec2

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Disable lets nobody launch from the AMI any more, and forgets whom it was shared with. One that is disabled, or gone, is
// no error.
func (r *Region) Disable(ctx context.Context, imageID string) error {
	defer r.images.Forget(imageID)
	_, err := r.client.DisableImage(ctx, &ec2.DisableImageInput{ImageId: aws.String(imageID)})
	return r.unlessGone(ctx, imageID, "disabled", err)
}

// Enable makes a disabled AMI available again, to its own account only.
func (r *Region) Enable(ctx context.Context, imageID string) error {
	defer r.images.Forget(imageID)
	_, err := r.client.EnableImage(ctx, &ec2.EnableImageInput{ImageId: aws.String(imageID)})
	return r.unlessGone(ctx, imageID, "available", err)
}

// unlessGone lets pass that an AMI is gone, or as wanted already, which only a look tells.
func (r *Region) unlessGone(ctx context.Context, imageID, wanted string, err error) error {
	if !awserr.IsCode(err, "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable") {
		return wrap(err, imageID)
	}
	found, failed := r.fetchImages(ctx, []string{imageID})
	if failed != nil {
		return failed
	}
	if i, ok := found[imageID]; ok && i.State != wanted {
		return wrap(err, imageID)
	}
	return nil
}

// Undeprecate takes a deprecation back.
func (r *Region) Undeprecate(ctx context.Context, imageID string) error {
	_, err := r.client.DisableImageDeprecation(ctx, &ec2.DisableImageDeprecationInput{ImageId: aws.String(imageID)})
	return wrap(err, imageID)
}

// referencing is what uses an AMI: servers that are not on their way out, and templates however old the version is that
// names it, since a group may be pinned to it. Without it EC2 counts servers that are terminated too, and looks at a
// template's ten newest versions only.
var referencing = []types.ResourceTypeRequest{
	{ResourceType: types.ImageReferenceResourceTypeEc2Instance, ResourceTypeOptions: []types.ResourceTypeOption{
		{OptionName: types.ImageReferenceOptionNameStateName, OptionValues: []string{"pending", "running", "stopping", "stopped"}},
	}},
	{ResourceType: types.ImageReferenceResourceTypeEc2LaunchTemplate, ResourceTypeOptions: []types.ResourceTypeOption{
		{OptionName: types.ImageReferenceOptionNameVersionDepth, OptionValues: []string{"10000"}},
	}},
}

// ImageUsers tells what in this account still uses each AMI: ARNs of instances, launch templates, SSM parameters, and
// recipes of Image Builder.
func (r *Region) ImageUsers(ctx context.Context, imageIDs ...string) (map[string][]string, error) {
	users := map[string][]string{}
	for chunk := range slices.Chunk(imageIDs, referencesAtOnce) {
		pages := ec2.NewDescribeImageReferencesPaginator(r.client, &ec2.DescribeImageReferencesInput{
			ImageIds: chunk, IncludeAllResourceTypes: aws.Bool(true), ResourceTypes: referencing,
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, wrap(err, chunk...)
			}
			for _, reference := range page.ImageReferences {
				id := aws.ToString(reference.ImageId)
				users[id] = append(users[id], aws.ToString(reference.Arn))
			}
		}
	}
	return users, nil
}

// AskUsage asks for a report of what all accounts do with the AMI; EC2 takes a while for it. The same token asks once.
func (r *Region) AskUsage(ctx context.Context, imageID, token string, tags map[string]string) (reportID string, err error) {
	out, err := r.client.CreateImageUsageReport(ctx, &ec2.CreateImageUsageReportInput{
		ImageId: aws.String(imageID), ClientToken: aws.String(token),
		ResourceTypes: []types.ImageUsageResourceTypeRequest{
			{ResourceType: aws.String("ec2:Instance")},
			{ResourceType: aws.String("ec2:LaunchTemplate"), ResourceTypeOptions: []types.ImageUsageResourceTypeOptionRequest{
				{OptionName: aws.String("version-depth"), OptionValues: []string{"10000"}},
			}},
		},
		TagSpecifications: tagSpec(nil, types.ResourceTypeImageUsageReport, tags),
	})
	if err != nil {
		return "", wrap(err, imageID)
	}
	return aws.ToString(out.ReportId), nil
}

// Usage reads a report. It answers ready false while EC2 makes it, and known false where it is not there any more.
func (r *Region) Usage(ctx context.Context, reportID string) (usage []c.Usage, ready, known bool, err error) {
	out, err := r.client.DescribeImageUsageReports(ctx, &ec2.DescribeImageUsageReportsInput{ReportIds: []string{reportID}})
	if awserr.IsCode(err, "InvalidImageUsageReportId.NotFound", "InvalidParameterValue") || err == nil && len(out.ImageUsageReports) == 0 {
		return nil, false, false, nil
	}
	if err != nil {
		return nil, false, false, wrap(err, reportID)
	}
	switch report := out.ImageUsageReports[0]; aws.ToString(report.State) {
	case "available":
	case "error":
		return nil, false, false, fmt.Errorf("the usage report %s: %s", reportID, aws.ToString(report.StateReason))
	default:
		return nil, false, true, nil
	}
	pages := ec2.NewDescribeImageUsageReportEntriesPaginator(r.client, &ec2.DescribeImageUsageReportEntriesInput{ReportIds: []string{reportID}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, false, true, wrap(err, reportID)
		}
		for _, e := range page.ImageUsageReportEntries {
			usage = append(usage, c.Usage{Account: aws.ToString(e.AccountId), Kind: aws.ToString(e.ResourceType), Count: aws.ToInt64(e.UsageCount)})
		}
	}
	return usage, true, true, nil
}

// Ancestry is the chain of AMIs from which the AMI was made: itself first, the root last.
func (r *Region) Ancestry(ctx context.Context, imageID string) ([]c.Ancestor, error) {
	out, err := r.client.GetImageAncestry(ctx, &ec2.GetImageAncestryInput{ImageId: aws.String(imageID)})
	if err != nil {
		return nil, wrap(err, imageID)
	}
	var chain []c.Ancestor
	for _, e := range out.ImageAncestryEntries {
		chain = append(chain, c.Ancestor{ID: aws.ToString(e.ImageId), OwnerAlias: aws.ToString(e.ImageOwnerAlias), SourceID: aws.ToString(e.SourceImageId),
			SourceRegion: aws.ToString(e.SourceImageRegion), Created: aws.ToTime(e.CreationDate)})
	}
	return chain, nil
}
