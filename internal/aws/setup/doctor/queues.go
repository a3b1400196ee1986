package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/jobs"
)

// queues compares each queue with what setup makes.
func (d *doctor) queues(ctx context.Context) {
	for _, q := range setup.Queues(d.Prefix) {
		found, err := d.own.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &q.Name})
		if codeIs(err, "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist") {
			d.find("queues", q.Name, Problem, setUp, "there is no such queue in %s", d.own.where)
			continue
		}
		if err != nil {
			d.unread("queues", q.Name, err)
			continue
		}
		out, err := d.own.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: found.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
		if err != nil {
			d.unread("queues", q.Name, err)
			continue
		}
		d.queue(q, out.Attributes)
	}
}

// queue judges one queue's attributes; one that is as it should be is one finding.
func (d *doctor) queue(q setup.Queue, attributes map[string]string) {
	well := true
	bad := func(level Level, do, format string, args ...any) {
		well = false
		d.find("queues", q.Name, level, do, format, args...)
	}
	has := func(name string) time.Duration {
		n, err := strconv.Atoi(attributes[name])
		if err != nil {
			return 0
		}
		return time.Duration(n) * time.Second
	}
	again := "run `stampmill setup`, or update the stack: both set it right"
	if v := has("VisibilityTimeout"); v <= d.Lease {
		bad(Problem,
			again,
			"its visibility timeout is %s, and a lease lasts %s: a message comes back while its job is still being worked on; expected %s",
			v, d.Lease, setup.Visibility)
	} else if v != setup.Visibility {
		bad(Warning, again, "its visibility timeout is %s; expected %s", v, setup.Visibility)
	}
	if r := has("MessageRetentionPeriod"); r < q.Retention {
		bad(Warning, again, "it keeps messages for %s; expected %s: after that they are lost", r, q.Retention)
	} else if q.DeadLetters != "" && r+setup.DeadRetention >= d.Retention {
		bad(Problem, "make the queue's retention shorter ("+again+"), or STAMPMILL_RETENTION longer",
			"it keeps messages for %s and the dead letters for %s, but finished jobs are forgotten after %s: a late message would be a new job",
			r, setup.DeadRetention, d.Retention)
	}
	if has("ReceiveMessageWaitTimeSeconds") == 0 {
		bad(Warning, again, "it does not poll long: idle readers cost requests; expected %s", setup.LongPoll)
	}
	if delay := has("DelaySeconds"); delay > 0 {
		bad(Warning, again, "it delays every message by %s; expected none", delay)
	}
	if size, err := strconv.Atoi(attributes["MaximumMessageSize"]); err == nil && size < jobs.MaxMessage {
		bad(Warning, again, "it takes messages of up to %d bytes; expected %d: larger specs are refused", size, jobs.MaxMessage)
	}
	if attributes["SqsManagedSseEnabled"] != "true" && attributes["KmsMasterKeyId"] == "" {
		bad(Warning, "switch on SSE-SQS (SqsManagedSseEnabled), or update the stack", "its messages are not encrypted at rest")
	}
	if q.DeadLetters != "" {
		d.redrive(q, attributes["RedrivePolicy"], bad)
	}
	waiting, err := strconv.Atoi(attributes["ApproximateNumberOfMessages"])
	if err == nil && q.DeadLetters == "" && waiting > 0 {
		bad(Warning,
			"run `stampmill dead list`; mend what the reasons name, then `stampmill dead redrive`",
			"it holds %d dead letters: requests that nobody could work on", waiting)
	}
	if well {
		d.ok("queues", q.Name, "as it should be; %d messages wait", waiting)
	}
}

func (d *doctor) redrive(q setup.Queue, text string, bad func(Level, string, string, ...any)) {
	again := "run `stampmill setup`, or update the stack"
	var policy struct {
		Target string `json:"deadLetterTargetArn"`
		Most   any    `json:"maxReceiveCount"` // a number, or a text with one
	}
	if text == "" || json.Unmarshal([]byte(text), &policy) != nil {
		bad(Problem,
			again,
			"it has no redrive policy: a message that no worker survives goes round for ever; expected %s after %d receives", q.DeadLetters, setup.Redrive)
		return
	}
	if !strings.HasSuffix(policy.Target, ":"+q.DeadLetters) {
		bad(Problem, again, "what it gives up goes to %s; expected %s, where `stampmill dead` looks", policy.Target, q.DeadLetters)
	}
	if most, err := strconv.Atoi(fmt.Sprint(policy.Most)); err != nil || most < setup.Redrive {
		bad(Warning,
			again, "it gives a message up after %v receives; expected %d, so that an outage of hours makes no dead letters", policy.Most, setup.Redrive)
	}
}
