// Package preflight is what launches and bakes look at in the same way before anything is made. What is wrong comes back as
// findings; what could not be looked at is a warning, since EC2 itself tells later.
package preflight

import (
	"context"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Profiles are an account's instance profiles.
type Profiles interface {
	InstanceProfile(ctx context.Context, nameOrARN string) (profile cloud.InstanceProfile, exists bool, err error)
}

// Profile looks an instance profile up. Missing: IAM does not know it, or not yet.
func Profile(ctx context.Context, profiles Profiles, nameOrARN string, field ...any) (findings []jobs.Finding, missing bool) {
	profile, exists, err := profiles.InstanceProfile(ctx, nameOrARN)
	name := nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]
	found := jobs.Finding{Field: field}
	switch {
	case err != nil:
		found.Warning = true
		found.Message = "the instance profile " + nameOrARN + " could not be checked; if it is wrong, EC2 refuses the first server: " + err.Error()
	case !exists:
		found.Message = "there is no instance profile " + name + " in this account"
		found.Hint = "check its name and the account, or make it: aws iam create-instance-profile --instance-profile-name " + name +
			", then aws iam add-role-to-instance-profile"
	case name != nameOrARN && profile.ARN != nameOrARN:
		found.Message = "there is no instance profile " + nameOrARN + ": the one of that name is " + profile.ARN
		found.Hint = "write the name " + name + ", or that ARN"
	case len(profile.Roles) == 0:
		found.Warning = true
		found.Message = "the instance profile " + name + " has no role: servers get no credentials from it, nor do their SSM agents"
		found.Hint = "aws iam add-role-to-instance-profile --instance-profile-name " + name + " --role-name ROLE"
	default:
		return nil, false
	}
	return []jobs.Finding{found}, err == nil && !exists
}

// AllowedAMI says whether the account's settings in the region let it launch from the image. State asks for the settings'
// state, if need be.
func AllowedAMI(ctx context.Context, image cloud.Image, state func(context.Context) (string, error), field ...any) ([]jobs.Finding, error) {
	if image.Allowed == nil || *image.Allowed {
		return nil, nil
	}
	found := jobs.Finding{Field: field}
	switch how, err := state(ctx); {
	case jobs.IsClass(err, jobs.Fatal, jobs.NotFound):
		found.Warning, found.Message = true, "whether the account's Allowed AMIs settings refuse "+image.ID+" could not be checked: "+err.Error()
	case err != nil:
		return nil, err
	case how == "enabled":
		found.Message, found.Hint = image.ID+" is not among the account's Allowed AMIs", "allow it, or choose another image"
	default:
		found.Warning = true
		found.Message = image.ID + " would be refused if the account's Allowed AMIs settings were enabled: they only audit"
	}
	return []jobs.Finding{found}, nil
}

// Key finds a KMS key whose ARN names another region than that in which it is to encrypt. Aliases and ids mean that region's own.
func Key(key, region string, field ...any) []jobs.Finding {
	if in := KeyRegion(key); in != "" && region != "" && in != region {
		return []jobs.Finding{{Field: field, Message: "the KMS key " + key + " is in " + in + ", what it is to encrypt is in " + region,
			Hint: "name a key of " + region + "; a multi-Region key has an ARN of its own there"}}
	}
	return nil
}

// KeyRegion is the region in a KMS key's ARN; empty for an alias or an id.
func KeyRegion(key string) string {
	if parts := strings.Split(key, ":"); len(parts) >= 6 && parts[0] == "arn" && parts[2] == "kms" {
		return parts[3]
	}
	return ""
}
