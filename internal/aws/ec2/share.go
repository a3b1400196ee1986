package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// ShareImage opens the AMI to some and closes it to others.
func (r *Region) ShareImage(ctx context.Context, imageID string, add, remove c.Share) error {
	change := &types.LaunchPermissionModifications{Add: permissions(add), Remove: permissions(remove)}
	if len(change.Add)+len(change.Remove) == 0 {
		return nil
	}
	_, err := r.client.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
		ImageId: aws.String(imageID), Attribute: aws.String("launchPermission"), LaunchPermission: change,
	})
	return wrap(err, imageID)
}

// ImageShares tells whom the AMI is open to.
func (r *Region) ImageShares(ctx context.Context, imageID string) (c.Share, error) {
	out, err := r.client.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
		ImageId: aws.String(imageID), Attribute: types.ImageAttributeNameLaunchPermission,
	})
	if err != nil {
		return c.Share{}, wrap(err, imageID)
	}
	var share c.Share
	for _, p := range out.LaunchPermissions {
		switch {
		case p.UserId != nil:
			share.Accounts = append(share.Accounts, *p.UserId)
		case p.OrganizationArn != nil:
			share.Organizations = append(share.Organizations, *p.OrganizationArn)
		case p.OrganizationalUnitArn != nil:
			share.OUs = append(share.OUs, *p.OrganizationalUnitArn)
		case p.Group == types.PermissionGroupAll:
			share.Public = true
		}
	}
	return share, nil
}

// SnapshotShares tells which accounts may make volumes of the snapshot.
func (r *Region) SnapshotShares(ctx context.Context, snapshotID string) (c.Share, error) {
	out, err := r.client.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{
		SnapshotId: aws.String(snapshotID), Attribute: types.SnapshotAttributeNameCreateVolumePermission,
	})
	if err != nil {
		return c.Share{}, wrap(err, snapshotID)
	}
	var share c.Share
	for _, p := range out.CreateVolumePermissions {
		if p.UserId != nil {
			share.Accounts = append(share.Accounts, *p.UserId)
		}
		share.Public = share.Public || p.Group == types.PermissionGroupAll
	}
	return share, nil
}

// ShareSnapshot lets some accounts make volumes of the snapshot, and others no longer. Snapshots cannot be shared with
// organizations.
func (r *Region) ShareSnapshot(ctx context.Context, snapshotID string, add, remove []string) error {
	of := func(accounts []string) (all []types.CreateVolumePermission) {
		for _, account := range accounts {
			all = append(all, types.CreateVolumePermission{UserId: aws.String(account)})
		}
		return all
	}
	if len(add)+len(remove) == 0 {
		return nil
	}
	_, err := r.client.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
		SnapshotId:             aws.String(snapshotID),
		Attribute:              types.SnapshotAttributeNameCreateVolumePermission,
		CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: of(add), Remove: of(remove)},
	})
	return wrap(err, snapshotID)
}

// BlockPublicAccess is the account's state in this region: block-new-sharing or unblocked.
func (r *Region) BlockPublicAccess(ctx context.Context) (state string, err error) {
	out, err := r.client.GetImageBlockPublicAccessState(ctx, &ec2.GetImageBlockPublicAccessStateInput{})
	if err != nil {
		return "", wrap(err, r.region)
	}
	return aws.ToString(out.ImageBlockPublicAccessState), nil
}

func permissions(s c.Share) []types.LaunchPermission {
	var list []types.LaunchPermission
	for _, account := range s.Accounts {
		list = append(list, types.LaunchPermission{UserId: aws.String(account)})
	}
	for _, arn := range s.Organizations {
		list = append(list, types.LaunchPermission{OrganizationArn: aws.String(arn)})
	}
	for _, arn := range s.OUs {
		list = append(list, types.LaunchPermission{OrganizationalUnitArn: aws.String(arn)})
	}
	if s.Public {
		list = append(list, types.LaunchPermission{Group: types.PermissionGroupAll})
	}
	return list
}
