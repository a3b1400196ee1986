package ec2

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// AddTemplateVersion makes a version of the launch template: the source version with another AMI. Groups that follow
// $Latest launch it at once.
func (r *Region) AddTemplateVersion(ctx context.Context, template c.LaunchTemplate, sourceVersion, imageID, token, description string) (version string, err error) {
	out, err := r.client.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		ClientToken:        optional(token),
		LaunchTemplateId:   optional(template.ID),
		LaunchTemplateName: nameUnlessID(template),
		SourceVersion:      optional(sourceVersion),
		VersionDescription: optional(description),
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(imageID)},
	})
	if err != nil {
		return "", wrap(err, templateName(template))
	}
	if out.LaunchTemplateVersion == nil {
		return "", nil
	}
	return strconv.FormatInt(aws.ToInt64(out.LaunchTemplateVersion.VersionNumber), 10), nil
}

// SetTemplateDefault makes the version the template's default.
func (r *Region) SetTemplateDefault(ctx context.Context, template c.LaunchTemplate, version string) error {
	_, err := r.client.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{
		LaunchTemplateId: optional(template.ID), LaunchTemplateName: nameUnlessID(template), DefaultVersion: aws.String(version),
	})
	return wrap(err, templateName(template))
}

// TemplateVersion tells whether the template has the version ($Default where it names none), and its AMI.
func (r *Region) TemplateVersion(ctx context.Context, template c.LaunchTemplate) (exists bool, imageID string, err error) {
	version := template.Version
	if version == "" {
		version = "$Default"
	}
	out, err := r.client.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: optional(template.ID), LaunchTemplateName: nameUnlessID(template), Versions: []string{version},
	})
	if awserr.IsCode(err, "InvalidLaunchTemplateName.NotFoundException", "InvalidLaunchTemplateId.NotFound",
		"InvalidLaunchTemplateId.NotFoundException", "InvalidLaunchTemplateId.VersionNotFound") {
		return false, "", nil
	}
	if err != nil {
		return false, "", wrap(err, templateName(template))
	}
	if len(out.LaunchTemplateVersions) == 0 {
		return false, "", nil
	}
	if data := out.LaunchTemplateVersions[0].LaunchTemplateData; data != nil {
		imageID = aws.ToString(data.ImageId)
	}
	return true, imageID, nil
}

// nameUnlessID: EC2 takes a name or an id, never both.
func nameUnlessID(t c.LaunchTemplate) *string {
	if t.ID != "" {
		return nil
	}
	return optional(t.Name)
}

func templateName(t c.LaunchTemplate) string {
	if t.Name != "" {
		return t.Name
	}
	return t.ID
}
