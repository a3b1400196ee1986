package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	events "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stampmill/stampmill/internal/aws/awserr"
)

// Forwarding sends the events of other regions, or of another account, to the event bus of an installation, whose own rules
// take them from there. It adds to what others forward by the same rules, and removes nothing of theirs.
type Forwarding struct {
	Prefix string
	// Bus is the installation's default event bus: arn:PARTITION:events:REGION:ACCOUNT:event-bus/default.
	Bus string
	// Account is the one whose events are forwarded, Regions where they happen.
	Account string
	Regions []string
	IAM     *iam.Client
	// Events gives EventBridge in a region.
	Events func(region string) *eventbridge.Client
	// Tell is called for each thing with what became of it.
	Tell func(thing, name string, changed bool)
	// Retry is how long to wait for a role that was just made, between tries; 0 is 2 s.
	Retry time.Duration
}

// bus is an event bus by the parts of its ARN.
type bus struct{ arn, partition, region, account string }

func parseBus(arn string) (bus, error) {
	part := strings.Split(arn, ":")
	if len(part) != 6 || part[0] != "arn" || part[2] != "events" || part[5] != "event-bus/default" || len(part[4]) != 12 || part[3] == "" {
		return bus{}, fmt.Errorf("%q is no default event bus; expected arn:aws:events:REGION:ACCOUNT:event-bus/default", arn)
	}
	return bus{arn, part[1], part[3], part[4]}, nil
}

// HomeBus is the default event bus of an account and region.
func HomeBus(partition, region, account string) string {
	return strings.Join([]string{"arn", partition, "events", region, account, "event-bus/default"}, ":")
}

// ForwardRules lists the rules of a region that forwards.
func ForwardRules(prefix string) []Rule {
	rules := Rules(prefix + "-forward")
	for i := range rules {
		rules[i].Description = "Forwards events to the installations that work here"
	}
	return rules
}

// id is our target's among those of the rules, and our policy's among those of the role.
func (b bus) id() string { return "to-" + b.account + "-" + b.region }

// roleName is of the role as which EventBridge forwards from the region.
func (f Forwarding) roleName(region string) string { return f.Prefix + "-forward-" + region }

func (f Forwarding) check() (bus, error) {
	home, err := parseBus(f.Bus)
	if err != nil {
		return home, err
	}
	for _, region := range f.Regions {
		if region == home.region && f.Account == home.account {
			return home, fmt.Errorf("%s of account %s is where the events go; name the other regions only", region, f.Account)
		}
	}
	return home, nil
}

// Make makes what is missing, in each region: the role, its right to put events on the one bus, and the rules.
func (f Forwarding) Make(ctx context.Context) error {
	home, err := f.check()
	if err != nil {
		return err
	}
	for _, region := range f.Regions {
		role, err := f.makeRole(ctx, home, region)
		if err != nil {
			return fmt.Errorf("set up role %s: %w", f.roleName(region), err)
		}
		for _, rule := range ForwardRules(f.Prefix) {
			if err := f.makeRule(ctx, home, region, rule, role); err != nil {
				return fmt.Errorf("set up rule %s in %s: %w", rule.Name, region, err)
			}
		}
	}
	return nil
}

func (f Forwarding) makeRole(ctx context.Context, home bus, region string) (arn string, err error) {
	name, made := f.roleName(region), false
	found, err := f.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	switch {
	case err == nil:
		arn = aws.ToString(found.Role.Arn)
	case awserr.IsCode(err, "NoSuchEntity"):
		trust, err := document(map[string]any{"Effect": "Allow", "Principal": map[string]any{"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"})
		if err != nil {
			return "", err
		}
		created, err := f.IAM.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust,
			Description: aws.String("EventBridge forwards events of " + region + " as it")})
		if err != nil {
			return "", err
		}
		arn, made = aws.ToString(created.Role.Arn), true
	default:
		return "", err
	}
	policy, err := document(map[string]any{"Effect": "Allow", "Action": "events:PutEvents", "Resource": home.arn})
	if err != nil {
		return "", err
	}
	_, err = f.IAM.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String(home.id()), PolicyDocument: &policy})
	if err == nil {
		f.Tell("role", name, made)
	}
	return arn, err
}

func document(statement map[string]any) (string, error) {
	encoded, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{statement}})
	return string(encoded), err
}

func (f Forwarding) makeRule(ctx context.Context, home bus, region string, rule Rule, role string) error {
	client := f.Events(region)
	made, err := putRule(ctx, client, rule)
	if err != nil {
		return err
	}
	target := events.Target{Id: aws.String(home.id()), Arn: &home.arn, RoleArn: &role}
	for tries := 1; ; tries++ {
		err = putTarget(ctx, client, rule.Name, target)
		if err == nil {
			f.Tell("rule", region+"/"+rule.Name, made)
			return nil
		}
		if tries == roleTries || !awserr.IsCode(err, "ValidationException") || !strings.Contains(err.Error(), "assume") {
			return err
		}
		select { // IAM tells EventBridge of a role that was just made after seconds only
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(f.retry()):
		}
	}
}

// roleTries is how often a target is tried whose role EventBridge does not know yet.
const roleTries = 15

func (f Forwarding) retry() time.Duration {
	if f.Retry > 0 {
		return f.Retry
	}
	return 2 * time.Second
}

// Remove takes back what Make made for this bus. Rules and roles stay where others forward by them.
func (f Forwarding) Remove(ctx context.Context) error {
	home, err := f.check()
	if err != nil {
		return err
	}
	for _, region := range f.Regions {
		for _, rule := range ForwardRules(f.Prefix) {
			if err := f.removeRule(ctx, home, region, rule.Name); err != nil {
				return fmt.Errorf("remove rule %s in %s: %w", rule.Name, region, err)
			}
		}
		if err := f.removeRole(ctx, home, region); err != nil {
			return fmt.Errorf("remove role %s: %w", f.roleName(region), err)
		}
	}
	return nil
}

func (f Forwarding) removeRule(ctx context.Context, home bus, region, name string) error {
	client := f.Events(region)
	targets, err := client.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &name})
	if _, gone := errors.AsType[*events.ResourceNotFoundException](err); gone {
		f.Tell("rule", region+"/"+name, false)
		return nil
	}
	if err != nil {
		return err
	}
	others := 0
	for _, target := range targets.Targets {
		if aws.ToString(target.Id) != home.id() {
			others++
			continue
		}
		out, err := client.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &name, Ids: []string{home.id()}})
		if err != nil {
			return err
		}
		if out.FailedEntryCount > 0 && len(out.FailedEntries) > 0 {
			return fmt.Errorf("%s: %s", aws.ToString(out.FailedEntries[0].ErrorCode), aws.ToString(out.FailedEntries[0].ErrorMessage))
		}
	}
	if others == 0 {
		if _, err := client.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &name}); err != nil {
			return err
		}
	}
	f.Tell("rule", region+"/"+name, true)
	return nil
}

func (f Forwarding) removeRole(ctx context.Context, home bus, region string) error {
	name := f.roleName(region)
	_, err := f.IAM.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: aws.String(home.id())})
	if err != nil && !awserr.IsCode(err, "NoSuchEntity") {
		return err
	}
	_, err = f.IAM.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name})
	if err != nil && !awserr.IsCode(err, "NoSuchEntity") && !awserr.IsCode(err, "DeleteConflict") { // others forward as it
		return err
	}
	f.Tell("role", name, err == nil)
	return nil
}
