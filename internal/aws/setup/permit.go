package setup

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	events "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

var accountID = regexp.MustCompile(`^\d{12}$`)

// Permit lets other accounts forward events to the installation's default event bus. AWS's own events are all that the
// installation's rules take, and nobody can make those up.
func (in Installation) Permit(ctx context.Context, accounts []string) error {
	return in.eachAccount(accounts, func(account, statement string) error {
		_, err := in.Events.PutPermission(ctx, &eventbridge.PutPermissionInput{Action: aws.String("events:PutEvents"), Principal: &account, StatementId: &statement})
		if err == nil {
			in.Tell("permission", statement, true)
		}
		return err
	})
}

// Forbid takes the permissions back.
func (in Installation) Forbid(ctx context.Context, accounts []string) error {
	return in.eachAccount(accounts, func(_, statement string) error {
		_, err := in.Events.RemovePermission(ctx, &eventbridge.RemovePermissionInput{StatementId: &statement})
		_, gone := errors.AsType[*events.ResourceNotFoundException](err)
		if err != nil && !gone {
			return err
		}
		in.Tell("permission", statement, !gone)
		return nil
	})
}

func (in Installation) eachAccount(accounts []string, each func(account, statement string) error) error {
	for _, account := range accounts {
		if !accountID.MatchString(account) {
			return fmt.Errorf("the account is %q; expected twelve digits", account)
		}
	}
	for _, account := range accounts {
		statement := in.Prefix + "-" + account
		if err := each(account, statement); err != nil {
			return fmt.Errorf("permission %s of the default event bus: %w", statement, err)
		}
	}
	return nil
}
