package doctor

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/jobs"
)

// polled is what it means that events do not arrive.
const polled = "the workers poll for what it would tell: jobs go on later, and make more calls"

// events compares each rule of EventBridge with what setup makes, and looks whether the wake queue takes what they send.
// Without them all works, so that nothing here is a problem.
func (d *doctor) events(ctx context.Context) {
	policy := d.wakePolicy(ctx)
	for _, rule := range setup.Rules(d.Prefix) {
		out, err := d.own.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &rule.Name})
		switch {
		case codeIs(err, "ResourceNotFoundException"):
			d.find("events", rule.Name, Warning, "run `stampmill setup`, or update the stack", "there is no such rule in %s: %s", d.own.where, polled)
			continue
		case err != nil:
			d.unread("events", rule.Name, err)
			continue
		}
		if d.rule(ctx, rule, out, policy) {
			d.ok("events", rule.Name, "as it should be")
		}
	}
}

// rule judges one rule.
func (d *doctor) rule(ctx context.Context, rule setup.Rule, has *eventbridge.DescribeRuleOutput, policy string) bool {
	again := "run `stampmill setup`, or update the stack: both set it right"
	if has.State == types.RuleStateDisabled {
		d.find("events", rule.Name, Warning, again, "it is disabled: %s", polled)
		return false
	}
	if !samePattern(aws.ToString(has.EventPattern), rule.Pattern) {
		d.find("events", rule.Name, Warning, again, "its pattern is %s: it sends less than jobs await, or more", aws.ToString(has.EventPattern))
		return false
	}
	targets, err := d.own.events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &rule.Name})
	if err != nil {
		d.unread("events", rule.Name, err)
		return false
	}
	wake := queue.Name(d.Prefix, jobs.LaneWake)
	if !slices.ContainsFunc(targets.Targets, func(t types.Target) bool { return strings.HasSuffix(aws.ToString(t.Arn), ":"+wake) }) {
		d.find("events", rule.Name, Warning, again, "the queue %s is none of its targets: %s", wake, polled)
		return false
	}
	if policy != "" && !strings.Contains(policy, `"`+aws.ToString(has.Arn)+`"`) {
		d.find("events", rule.Name, Warning, again, "the policy of %s does not let it send: %s", wake, polled)
		return false
	}
	return true
}

// wakePolicy is the wake queue's policy; empty where it cannot be read, which is told with the queues.
func (d *doctor) wakePolicy(ctx context.Context) string {
	name := queue.Name(d.Prefix, jobs.LaneWake)
	found, err := d.own.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return ""
	}
	out, err := d.own.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: found.QueueUrl,
		AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNamePolicy}})
	if err != nil {
		return ""
	}
	if policy := out.Attributes["Policy"]; policy != "" {
		return policy
	}
	return "none"
}

func samePattern(text string, pattern map[string]any) bool {
	encoded, err := json.Marshal(pattern)
	var has, want any
	return err == nil && json.Unmarshal([]byte(text), &has) == nil && json.Unmarshal(encoded, &want) == nil && reflect.DeepEqual(has, want)
}
