package doctor

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// prefixes are what in the bucket is forgotten after a time.
var prefixes = []string{"logs/", "reports/", "files/", "launches/"}

// bucket looks whether the bucket is there, ours, private and encrypted, and forgets what is old.
func (d *doctor) bucket(ctx context.Context) {
	head, err := d.own.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &d.Bucket})
	switch {
	case codeIs(err, "NotFound", "NoSuchBucket"):
		d.find("bucket", d.Bucket, Problem, setUp, "there is no such bucket; STAMPMILL_BUCKET names one of another name")
		return
	case refused(err):
		d.find("bucket", d.Bucket, Problem,
			"bucket names are global: set STAMPMILL_BUCKET to one of your own; or allow s3:ListBucket on it",
			"it is somebody else's, or %s may not s3:ListBucket on it", d.who)
		return
	case err != nil:
		d.unread("bucket", d.Bucket, err)
		return
	}
	before := len(d.findings)
	if region := aws.ToString(head.BucketRegion); region != "" && region != d.Clients.Region() {
		d.find("bucket", d.Bucket, Warning,
			"use a bucket in the workers' region",
			"it is in %s, and the installation in %s: transfers cost, and calls may be redirected", region, d.Clients.Region())
	}
	d.private(ctx)
	d.encrypted(ctx)
	d.forgetful(ctx)
	if len(d.findings) == before {
		d.ok("bucket", d.Bucket, "private, encrypted, and forgets what is old")
	}
}

func (d *doctor) private(ctx context.Context) {
	out, err := d.own.s3.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &d.Bucket})
	const do = "run `stampmill setup`: it blocks public access"
	switch {
	case codeIs(err, "NoSuchPublicAccessBlockConfiguration"):
		d.find("bucket", d.Bucket, Problem, do, "public access is not blocked")
	case err != nil:
		d.unread("bucket", d.Bucket+" public access", err)
	default:
		b := out.PublicAccessBlockConfiguration
		if b == nil || !aws.ToBool(b.BlockPublicAcls) || !aws.ToBool(b.BlockPublicPolicy) ||
			!aws.ToBool(b.IgnorePublicAcls) || !aws.ToBool(b.RestrictPublicBuckets) {
			d.find("bucket", d.Bucket, Problem, do, "public access is blocked in part only; expected all four settings")
		}
	}
}

func (d *doctor) encrypted(ctx context.Context) {
	out, err := d.own.s3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &d.Bucket})
	none := codeIs(err, "ServerSideEncryptionConfigurationNotFoundError")
	if err == nil {
		none = out.ServerSideEncryptionConfiguration == nil || len(out.ServerSideEncryptionConfiguration.Rules) == 0
	}
	switch {
	case none:
		d.find("bucket", d.Bucket, Problem, "switch on default encryption (SSE-S3 or SSE-KMS)", "objects are not encrypted at rest")
	case err != nil:
		d.unread("bucket", d.Bucket+" encryption", err)
	}
}

func (d *doctor) forgetful(ctx context.Context) {
	out, err := d.own.s3.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &d.Bucket})
	if err != nil && !codeIs(err, "NoSuchLifecycleConfiguration") {
		d.unread("bucket", d.Bucket+" lifecycle", err)
		return
	}
	for _, prefix := range prefixes {
		if out == nil || !slices.ContainsFunc(out.Rules, func(r types.LifecycleRule) bool { return expires(r, prefix) }) {
			d.find("bucket", d.Bucket, Warning, "run `stampmill setup`, or update the stack", "nothing under %s expires: it grows for ever", prefix)
		}
	}
}

func expires(r types.LifecycleRule, prefix string) bool {
	of := aws.ToString(r.Prefix) //nolint:staticcheck // CloudFormation still writes rules in the older form
	if r.Filter != nil && r.Filter.Prefix != nil {
		of = *r.Filter.Prefix
	}
	return r.Status == types.ExpirationStatusEnabled && r.Expiration != nil && (of == prefix || of == "")
}
