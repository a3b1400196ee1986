package ec2

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Capture begins an AMI of the instance. EC2 has no token here: the name says whether it was made already.
func (r *Region) Capture(ctx context.Context, q c.CaptureRequest) (imageID string, err error) {
	out, err := r.client.CreateImage(ctx, &ec2.CreateImageInput{
		InstanceId:          aws.String(q.InstanceID),
		Name:                aws.String(q.Name),
		Description:         optional(q.Description),
		NoReboot:            aws.Bool(q.NoReboot),
		BlockDeviceMappings: devices(q.Volumes),
		TagSpecifications:   imageTags(q.ImageTags, q.SnapshotTags),
	})
	if err != nil {
		return "", wrap(err, q.Name+" of "+q.InstanceID)
	}
	return aws.ToString(out.ImageId), nil
}

// Copy begins a copy of an AMI into this region.
func (r *Region) Copy(ctx context.Context, q c.CopyRequest) (imageID string, err error) {
	in := &ec2.CopyImageInput{
		ClientToken:       optional(q.Token),
		SourceRegion:      aws.String(q.SourceRegion),
		SourceImageId:     aws.String(q.ImageID),
		Name:              aws.String(q.Name),
		Description:       optional(q.Description),
		KmsKeyId:          optional(q.KMSKey),
		TagSpecifications: imageTags(q.ImageTags, q.SnapshotTags),
	}
	if q.Encrypted || q.KMSKey != "" {
		in.Encrypted = aws.Bool(true)
	}
	out, err := r.client.CopyImage(ctx, in)
	if err != nil {
		return "", wrap(err, q.ImageID+" from "+q.SourceRegion+" to "+r.region)
	}
	return aws.ToString(out.ImageId), nil
}

func imageTags(imageTags, snapshotTags map[string]string) []types.TagSpecification {
	return tagSpec(tagSpec(nil, types.ResourceTypeImage, imageTags), types.ResourceTypeSnapshot, snapshotTags)
}

// Deregister removes the AMI, and its snapshots if deleteSnapshots says so. One that is gone is no error.
func (r *Region) Deregister(ctx context.Context, imageID string, deleteSnapshots bool) error {
	defer r.images.Forget(imageID)
	in := &ec2.DeregisterImageInput{ImageId: aws.String(imageID)}
	if deleteSnapshots {
		in.DeleteAssociatedSnapshots = aws.Bool(true)
	}
	out, err := r.client.DeregisterImage(ctx, in)
	if awserr.IsCode(err, "InvalidAMIID.NotFound") {
		return nil
	}
	if awserr.IsCode(err, "InvalidAMIID.Unavailable") { // deregistered already, or not ready for it: only a look tells
		return r.stillThere(ctx, imageID, err)
	}
	if err != nil {
		return wrap(err, imageID)
	}
	var failed []error
	for _, result := range out.DeleteSnapshotResults {
		switch result.ReturnCode {
		case types.SnapshotReturnCodesSuccess, types.SnapshotReturnCodesWarnSkipped:
		default: // the AMI is gone now: nobody else would come back for it
			failed = append(failed, r.DeleteSnapshot(ctx, aws.ToString(result.SnapshotId)))
		}
	}
	return errors.Join(failed...)
}

func (r *Region) stillThere(ctx context.Context, imageID string, refused error) error {
	found, err := r.fetchImages(ctx, []string{imageID})
	if err != nil {
		return err
	}
	if i, ok := found[imageID]; !ok || i.State == "deregistered" {
		return nil
	}
	return wrap(refused, imageID)
}

// DeleteSnapshot deletes a snapshot. One that is gone is no error.
func (r *Region) DeleteSnapshot(ctx context.Context, id string) error {
	_, err := r.client.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(id)})
	if awserr.IsCode(err, "InvalidSnapshot.NotFound") {
		return nil
	}
	return wrap(err, id)
}

// DeprecateAt hides the AMI from other accounts' lists from then on; it can still be launched.
func (r *Region) DeprecateAt(ctx context.Context, imageID string, at time.Time) error {
	_, err := r.client.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: aws.String(imageID), DeprecateAt: aws.Time(at)})
	return wrap(err, imageID)
}

// Protect refuses deregistration; with a cooldown for 24 h after it is lifted too.
func (r *Region) Protect(ctx context.Context, imageID string, withCooldown bool) error {
	_, err := r.client.EnableImageDeregistrationProtection(ctx, &ec2.EnableImageDeregistrationProtectionInput{
		ImageId: aws.String(imageID), WithCooldown: aws.Bool(withCooldown),
	})
	return wrap(err, imageID)
}

// Unprotect lifts the protection.
func (r *Region) Unprotect(ctx context.Context, imageID string) error {
	_, err := r.client.DisableImageDeregistrationProtection(ctx, &ec2.DisableImageDeregistrationProtectionInput{ImageId: aws.String(imageID)})
	return wrap(err, imageID)
}
