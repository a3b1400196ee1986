package ec2

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

func TestReferencesTellWhoUsesAnImage(t *testing.T) {
	t.Parallel()
	parameters := map[string]string{}
	virtual(t, func(t *testing.T, b *bundle) {
		ctx, id := t.Context(), b.running(t)
		image := b.image(t, id, "web", true)
		time.Sleep(10 * time.Minute)
		users := func(in sdk.DescribeImageReferencesInput) (list []string) {
			in.ImageIds = []string{image}
			for _, r := range must(b.DescribeImageReferences(ctx, &in))(t).ImageReferences {
				list = append(list, string(r.ResourceType)+" "+(*r.Arn)[strings.LastIndexByte(*r.Arn, ':')+1:])
			}
			return list
		}
		all := sdk.DescribeImageReferencesInput{IncludeAllResourceTypes: aws.Bool(true)}
		if found := users(all); len(found) > 0 {
			t.Errorf("an image that nobody uses: %v", found)
		}
		parameters["/images/web"] = image
		clone := b.running(t, func(in *sdk.RunInstancesInput) { in.ImageId = &image })
		template := *must(b.CreateLaunchTemplate(ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &image}}))(t).LaunchTemplate.LaunchTemplateId
		if found := users(all); !slices.Equal(found, []string{"ec2:Instance instance/" + clone, "ec2:LaunchTemplate launch-template/" + template, "ssm:Parameter parameter/images/web"}) {
			t.Errorf("used by %v", found)
		}
		for n := range 10 {
			must(b.CreateLaunchTemplateVersion(ctx, &sdk.CreateLaunchTemplateVersionInput{LaunchTemplateId: &template, VersionDescription: aws.String(strconv.Itoa(n)),
				LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String("ami-0123456789abcdef0")}}))(t)
		}
		if found := users(all); len(found) != 2 {
			t.Errorf("a template's eleventh newest version was looked at unasked: %v", found)
		}
		deep := types.ResourceTypeRequest{ResourceType: "ec2:LaunchTemplate", ResourceTypeOptions: []types.ResourceTypeOption{{OptionName: "version-depth", OptionValues: []string{"10000"}}}}
		if found := users(sdk.DescribeImageReferencesInput{IncludeAllResourceTypes: aws.Bool(true), ResourceTypes: []types.ResourceTypeRequest{deep}}); len(found) != 3 {
			t.Errorf("asked for more depth: %v", found)
		}
		must(b.TerminateInstances(ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{clone}}))(t)
		time.Sleep(time.Minute)
		lives := types.ResourceTypeRequest{ResourceType: "ec2:Instance", ResourceTypeOptions: []types.ResourceTypeOption{{OptionName: "state-name", OptionValues: []string{"running", "stopped"}}}}
		if found := users(all); len(found) != 2 {
			t.Errorf("a terminated instance is named by default for as long as it is described: %v", found)
		}
		if found := users(sdk.DescribeImageReferencesInput{ResourceTypes: []types.ResourceTypeRequest{lives}}); len(found) != 0 {
			t.Errorf("asked for live ones only: %v", found)
		}
		for code, in := range map[string]sdk.DescribeImageReferencesInput{
			"MissingParameter":       {ImageIds: []string{image}},
			"InvalidParameterValue":  {ImageIds: slices.Repeat([]string{image}, 11), IncludeAllResourceTypes: aws.Bool(true)},
			"InvalidAMIID.Malformed": {ImageIds: []string{"web"}, IncludeAllResourceTypes: aws.Bool(true)},
		} {
			_, err := b.DescribeImageReferences(ctx, &in)
			wantCode(t, err, code)
		}
	}, func(_ *api.Env, o *Options) {
		o.ImageParameters = func(string, string) map[string]string { return parameters }
	})
}

func TestAUsageReportTellsOtherAccountsUseOfADayAgo(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		image := b.image(t, b.running(t), "web", true)
		time.Sleep(10 * time.Minute)
		const account = "111122223333"
		must(b.ModifyImageAttribute(ctx, &sdk.ModifyImageAttributeInput{ImageId: &image, LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{{UserId: aws.String(account)}}}}))(t)
		other := b.client(testRegion, account)
		must(other.RunInstances(ctx, &sdk.RunInstancesInput{ImageId: &image, InstanceType: "m7g.large", MinCount: aws.Int32(2), MaxCount: aws.Int32(2)}))(t)
		report := func(token string) (id string, entries []types.ImageUsageReportEntry) {
			in := sdk.CreateImageUsageReportInput{ImageId: &image, ClientToken: &token, ResourceTypes: []types.ImageUsageResourceTypeRequest{{ResourceType: aws.String("ec2:Instance")}, {ResourceType: aws.String("ec2:LaunchTemplate")}}}
			id = *must(b.CreateImageUsageReport(ctx, &in))(t).ReportId
			if again := *must(b.CreateImageUsageReport(ctx, &in))(t).ReportId; again != id {
				t.Errorf("the same token made %s and %s", id, again)
			}
			state := func() string {
				return *must(b.DescribeImageUsageReports(ctx, &sdk.DescribeImageUsageReportsInput{ReportIds: []string{id}}))(t).ImageUsageReports[0].State
			}
			if state() != "pending" {
				t.Errorf("a new report is %s", state())
			}
			time.Sleep(2 * time.Minute)
			if state() != "available" {
				t.Errorf("later it is %s", state())
			}
			return id, must(b.DescribeImageUsageReportEntries(ctx, &sdk.DescribeImageUsageReportEntriesInput{ReportIds: []string{id}}))(t).ImageUsageReportEntries
		}
		if _, entries := report("a"); len(entries) != 0 {
			t.Errorf("the first day's instances are known: %+v", entries)
		}
		time.Sleep(25 * time.Hour)
		id, entries := report("b")
		if len(entries) != 1 || *entries[0].AccountId != account || *entries[0].UsageCount != 2 {
			t.Errorf("entries: %+v", entries)
		}
		must(b.DeleteImageUsageReport(ctx, &sdk.DeleteImageUsageReportInput{ReportId: &id}))(t)
		_, err := b.DescribeImageUsageReports(ctx, &sdk.DescribeImageUsageReportsInput{ReportIds: []string{id}})
		wantCode(t, err, "InvalidImageUsageReportId.NotFound")
		_, err = other.CreateImageUsageReport(ctx, &sdk.CreateImageUsageReportInput{ImageId: &image, ResourceTypes: []types.ImageUsageResourceTypeRequest{{ResourceType: aws.String("ec2:Instance")}}})
		wantCode(t, err, "AuthFailure")
	})
}

func TestAncestryLeadsToTheRootAcrossRegions(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx, id := t.Context(), b.running(t)
		image := b.image(t, id, "web", true)
		time.Sleep(10 * time.Minute)
		there := b.client("us-east-1", api.DefaultAccount)
		copied := *must(there.CopyImage(ctx, &sdk.CopyImageInput{Name: aws.String("web"), SourceImageId: &image, SourceRegion: aws.String(testRegion)}))(t).ImageId
		time.Sleep(10 * time.Minute)
		var chain []string
		for _, e := range must(there.GetImageAncestry(ctx, &sdk.GetImageAncestryInput{ImageId: &copied}))(t).ImageAncestryEntries {
			chain = append(chain, *e.ImageId)
		}
		if root := *b.describe(t, id).ImageId; !slices.Equal(chain, []string{copied, image, root}) {
			t.Errorf("the chain is %v", chain)
		}
	})
}
