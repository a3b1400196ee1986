package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	events "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/jobs"
)

// Rule is one rule of EventBridge that sends events to the wake queue.
type Rule struct {
	Name, Description string
	// Pattern is what EventBridge compares events with. Rules cannot know what is ours, but they leave out the states that
	// nobody awaits: a launch of a thousand servers sends no event.
	Pattern map[string]any
}

// RuleTarget is the id of a rule's target.
const RuleTarget = "wake"

// Rules lists the rules.
func Rules(prefix string) []Rule {
	detail := func(source, sort, member string, values ...string) map[string]any {
		return map[string]any{"source": []string{source}, "detail-type": []string{sort}, "detail": map[string]any{member: values}}
	}
	return []Rule{
		{prefix + "-instances", "Instances that stopped or ended wake the job that waits for them",
			detail("aws.ec2", "EC2 Instance State-change Notification", "state", "stopped", "terminated")},
		{prefix + "-interruptions", "Spot instances that are about to go wake the job that works on them",
			map[string]any{"source": []string{"aws.ec2"}, "detail-type": []string{"EC2 Spot Instance Interruption Warning"}}},
		{prefix + "-images", "AMIs that are there, or failed, wake the job that makes them",
			detail("aws.ec2", "EC2 AMI State Change", "State", "available", "failed", "error", "invalid", "deregistered", "disabled")},
		{prefix + "-snapshots", "Snapshots that are there, or failed, wake the job that makes them",
			detail("aws.ec2", "EBS Snapshot Notification", "result", "succeeded", "failed")},
		{prefix + "-commands", "SSM commands that ended wake the job that sent them",
			detail("aws.ssm", "EC2 Command Invocation Status-change Notification", "status",
				"Success", "Failed", "TimedOut", "Cancelled", "Undeliverable", "Terminated")},
	}
}

// statement is the id of our statement in the wake queue's policy.
const statement = "StampmillEvents"

// makeRules lets EventBridge wake jobs: the rules, and the queue's policy that takes from them and no others.
func (in Installation) makeRules(ctx context.Context, arns map[string]string) error {
	wake := queue.Name(in.Prefix, jobs.LaneWake)
	part := strings.Split(arns[wake], ":") // arn:aws:sqs:REGION:ACCOUNT:NAME
	if len(part) != 6 {
		return fmt.Errorf("the queue %s has the ARN %q; expected arn:PARTITION:sqs:REGION:ACCOUNT:NAME", wake, arns[wake])
	}
	var sources []string
	for _, rule := range Rules(in.Prefix) {
		sources = append(sources, strings.Join([]string{"arn", part[1], "events", part[3], part[4], "rule/" + rule.Name}, ":"))
	}
	if err := in.admitRules(ctx, wake, arns[wake], sources); err != nil {
		return fmt.Errorf("let EventBridge send to %s: %w", wake, err)
	}
	for _, rule := range Rules(in.Prefix) {
		if err := in.makeRule(ctx, rule, arns[wake]); err != nil {
			return fmt.Errorf("set up rule %s: %w", rule.Name, err)
		}
	}
	return nil
}

func (in Installation) makeRule(ctx context.Context, rule Rule, queueARN string) error {
	made, err := putRule(ctx, in.Events, rule)
	if err != nil {
		return err
	}
	if err := putTarget(ctx, in.Events, rule.Name, events.Target{Id: aws.String(RuleTarget), Arn: &queueARN}); err != nil {
		return err
	}
	in.Tell("rule", rule.Name, made)
	return nil
}

// putRule makes the rule, or sets it right.
func putRule(ctx context.Context, client *eventbridge.Client, rule Rule) (made bool, err error) {
	_, err = client.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &rule.Name})
	_, made = errors.AsType[*events.ResourceNotFoundException](err)
	if err != nil && !made {
		return false, err
	}
	pattern, err := json.Marshal(rule.Pattern)
	if err != nil {
		return false, err
	}
	_, err = client.PutRule(ctx, &eventbridge.PutRuleInput{Name: &rule.Name, Description: &rule.Description,
		EventPattern: aws.String(string(pattern)), State: events.RuleStateEnabled})
	return made, err
}

func putTarget(ctx context.Context, client *eventbridge.Client, rule string, target events.Target) error {
	put, err := client.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &rule, Targets: []events.Target{target}})
	if err == nil && put.FailedEntryCount > 0 && len(put.FailedEntries) > 0 {
		return fmt.Errorf("%s: %s", aws.ToString(put.FailedEntries[0].ErrorCode), aws.ToString(put.FailedEntries[0].ErrorMessage))
	}
	return err
}

// admitRules sets our statement in the queue's policy, and leaves others as they are.
func (in Installation) admitRules(ctx context.Context, name, arn string, sources []string) error {
	found, err := in.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return err
	}
	out, err := in.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: found.QueueUrl,
		AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNamePolicy}})
	if err != nil {
		return err
	}
	policy, err := admitting(out.Attributes["Policy"], arn, sources)
	if err != nil {
		return err
	}
	_, err = in.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: found.QueueUrl, Attributes: map[string]string{"Policy": policy}})
	return err
}

// admitting is the policy with our statement in place of the one that it has.
func admitting(policy, arn string, sources []string) (string, error) {
	document := map[string]any{"Version": "2012-10-17"}
	if policy != "" {
		if err := json.Unmarshal([]byte(policy), &document); err != nil {
			return "", fmt.Errorf("its policy is no JSON: %w", err)
		}
	}
	ours := map[string]any{
		"Sid": statement, "Effect": "Allow", "Principal": map[string]any{"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
		"Resource": arn, "Condition": map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": sources}},
	}
	statements := []any{ours}
	switch others := document["Statement"].(type) {
	case []any:
		for _, other := range others {
			if named, ok := other.(map[string]any); !ok || named["Sid"] != statement {
				statements = append(statements, other)
			}
		}
	case map[string]any:
		if others["Sid"] != statement {
			statements = append(statements, others)
		}
	}
	document["Statement"] = statements
	encoded, err := json.Marshal(document)
	return string(encoded), err
}
