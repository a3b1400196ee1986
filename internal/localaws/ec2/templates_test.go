package ec2

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestALaunchTemplateIsABaseThatTheRequestOverrides(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		data := &types.RequestLaunchTemplateData{
			ImageId: aws.String(baseImage("al2023-arm64")), InstanceType: "c7g.large",
			UserData:        aws.String(base64.StdEncoding.EncodeToString([]byte("template"))),
			MetadataOptions: &types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(3)},
			CpuOptions:      &types.LaunchTemplateCpuOptionsRequest{CoreCount: aws.Int32(1), ThreadsPerCore: aws.Int32(1)},
			BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{
				{DeviceName: aws.String("/dev/sdf"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(10), VolumeType: "gp3"}},
			},
			TagSpecifications: []types.LaunchTemplateTagSpecificationRequest{{
				ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("From"), Value: aws.String("template")}, {Key: aws.String("Team"), Value: aws.String("edge")}},
			}},
		}
		created := must(b.CreateLaunchTemplate(ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("web"), LaunchTemplateData: data}))(t)
		id := created.LaunchTemplate.LaunchTemplateId
		out := must(b.RunInstances(ctx, &sdk.RunInstancesInput{
			LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("web")}, InstanceType: "m7g.large",
			MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			MetadataOptions:   &types.InstanceMetadataOptionsRequest{HttpPutResponseHopLimit: aws.Int32(5)},
			TagSpecifications: []types.TagSpecification{tagged("instance", "From", "request")},
		}))(t)
		i := out.Instances[0]
		tags := map[string]string{}
		for _, tag := range i.Tags {
			tags[*tag.Key] = *tag.Value
		}
		if i.InstanceType != "m7g.large" || tags["From"] != "request" || tags["Team"] != "edge" || tags["aws:ec2launchtemplate:id"] != *id {
			t.Errorf("type %s, tags %v", i.InstanceType, tags)
		}
		if m := i.MetadataOptions; m.HttpTokens != "required" || *m.HttpPutResponseHopLimit != 5 {
			t.Errorf("metadata options %+v", m)
		}
		if i.CpuOptions == nil || *i.CpuOptions.CoreCount != 1 {
			t.Errorf("CPU options %+v", i.CpuOptions)
		}
		if len(i.BlockDeviceMappings) != 2 {
			t.Errorf("devices %+v", i.BlockDeviceMappings)
		}
		got := must(b.DescribeInstanceAttribute(ctx, &sdk.DescribeInstanceAttributeInput{InstanceId: i.InstanceId, Attribute: "userData"}))(t)
		if raw, err := base64.StdEncoding.DecodeString(*got.UserData.Value); err != nil || string(raw) != "template" {
			t.Errorf("user data %q, %v", raw, err)
		}
	}, withoutPropagation)
}

func TestLaunchTemplateVersionsKeepDefaultAndLatestApart(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		name := aws.String("web")
		data := func(kind types.InstanceType) *types.RequestLaunchTemplateData {
			return &types.RequestLaunchTemplateData{InstanceType: kind, ImageId: aws.String(baseImage("al2023-arm64"))}
		}
		must(b.CreateLaunchTemplate(ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: name, LaunchTemplateData: data("c7g.large")}))(t)
		version := func(token string, d *types.RequestLaunchTemplateData) (int64, error) {
			out, err := b.CreateLaunchTemplateVersion(ctx, &sdk.CreateLaunchTemplateVersionInput{
				LaunchTemplateName: name, ClientToken: &token, SourceVersion: aws.String("1"), LaunchTemplateData: d,
			})
			if err != nil {
				return 0, err
			}
			return *out.LaunchTemplateVersion.VersionNumber, nil
		}
		onlyType := &types.RequestLaunchTemplateData{InstanceType: "m7g.large"}
		if a, z := must(version("a", onlyType))(t), must(version("a", onlyType))(t); a != 2 || z != 2 {
			t.Errorf("the same token made versions %d and %d", a, z)
		}
		_, err := version("a", data("r7g.large"))
		wantCode(t, err, "IdempotentParameterMismatch")
		typeOf := func(v string) types.InstanceType {
			out := must(b.DescribeLaunchTemplateVersions(ctx, &sdk.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: name, Versions: []string{v}}))(t)
			if *out.LaunchTemplateVersions[0].LaunchTemplateData.ImageId != baseImage("al2023-arm64") {
				t.Errorf("version %s lost the image of its source", v)
			}
			return out.LaunchTemplateVersions[0].LaunchTemplateData.InstanceType
		}
		if typeOf("$Default") != "c7g.large" || typeOf("$Latest") != "m7g.large" {
			t.Errorf("default %s, latest %s", typeOf("$Default"), typeOf("$Latest"))
		}
		must(b.ModifyLaunchTemplate(ctx, &sdk.ModifyLaunchTemplateInput{LaunchTemplateName: name, DefaultVersion: aws.String("2")}))(t)
		if typeOf("$Default") != "m7g.large" {
			t.Error("the default did not move")
		}
		out := must(b.DeleteLaunchTemplateVersions(ctx, &sdk.DeleteLaunchTemplateVersionsInput{LaunchTemplateName: name, Versions: []string{"1", "2"}}))(t)
		if len(out.SuccessfullyDeletedLaunchTemplateVersions) != 1 || len(out.UnsuccessfullyDeletedLaunchTemplateVersions) != 1 {
			t.Errorf("deleted: %+v", out)
		}
		_, err = b.RunInstances(ctx, &sdk.RunInstancesInput{
			LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: name, Version: aws.String("1")}, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		})
		wantCode(t, err, "InvalidLaunchTemplateId.VersionNotFound")
	})
}

func TestSpotInstancesEndWithTheirRequest(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		id := b.running(t, func(in *sdk.RunInstancesInput) {
			in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: "spot"}
			in.TagSpecifications = []types.TagSpecification{tagged("spot-instances-request", "Of", "web")}
		})
		i := b.describe(t, id)
		if i.InstanceLifecycle != "spot" || i.SpotInstanceRequestId == nil {
			t.Fatalf("lifecycle %s, request %v", i.InstanceLifecycle, i.SpotInstanceRequestId)
		}
		_, err := b.StopInstances(ctx, &sdk.StopInstancesInput{InstanceIds: []string{id}})
		wantCode(t, err, "UnsupportedOperation")
		must(b.service.Controls()["interrupt-spot"]([]byte(`{"Instance":"` + id + `"}`)))(t)
		time.Sleep(3 * time.Minute)
		if i = b.describe(t, id); i.State.Name != "terminated" || *i.StateReason.Code != "Server.SpotInstanceTermination" {
			t.Errorf("it is %s (%s)", i.State.Name, *i.StateReason.Code)
		}
		requests := must(b.DescribeSpotInstanceRequests(ctx, &sdk.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{*i.SpotInstanceRequestId}}))(t)
		if r := requests.SpotInstanceRequests[0]; r.State != "closed" || len(r.Tags) != 1 {
			t.Errorf("the request is %s with tags %v", r.State, r.Tags)
		}
	})
}
