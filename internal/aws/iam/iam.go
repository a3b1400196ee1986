// Package iam reads IAM as the preflight needs it: whether an instance profile is there.
//
// IAM tells of what was just made after seconds only, and its limits are an account's for all regions. So it is asked before
// anything is made, and never while servers are stamped.
package iam

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// timeout is short: who cannot reach the service goes on without it.
const timeout = 5 * time.Second

// Service gives accounts.
type Service struct{ clients *clients.Clients }

// New makes the service.
func New(clients *clients.Clients) *Service { return &Service{clients} }

// For is the target's account.
func (s *Service) For(target jobs.Target) *Account { return &Account{s.clients.For(target).IAM} }

// Account is IAM in one account. It is safe for concurrent use.
type Account struct{ client *iam.Client }

// InstanceProfile finds an instance profile by its name or ARN. A name is unique in an account, whatever its path: the
// answer's ARN tells whether it is the one that an ARN means.
func (a *Account) InstanceProfile(ctx context.Context, nameOrARN string) (profile cloud.InstanceProfile, exists bool, err error) {
	name := nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]
	out, err := a.client.GetInstanceProfile(clients.WithTimeout(ctx, timeout), &iam.GetInstanceProfileInput{InstanceProfileName: aws.String(name)})
	switch {
	case awserr.IsCode(err, "NoSuchEntity"):
		return profile, false, nil
	case err != nil:
		return profile, false, awserr.From(err, nameOrARN)
	case out.InstanceProfile == nil:
		return profile, false, jobs.Fatalf("iam GetInstanceProfile", nameOrARN, "the answer has no instance profile", "")
	}
	profile = cloud.InstanceProfile{Name: aws.ToString(out.InstanceProfile.InstanceProfileName), ARN: aws.ToString(out.InstanceProfile.Arn)}
	for _, role := range out.InstanceProfile.Roles {
		profile.Roles = append(profile.Roles, aws.ToString(role.RoleName))
	}
	return profile, true, nil
}
