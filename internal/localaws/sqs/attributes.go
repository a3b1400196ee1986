package sqs

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

const (
	maxMessageSize = 1 << 20
	maxDelay       = 900
	maxVisibility  = 12 * 60 * 60
	maxWait        = 20
	maxRetention   = 14 * 24 * 60 * 60
)

// defaults are the attributes of a queue that says nothing, in seconds and bytes.
var defaults = map[string]string{
	"DelaySeconds": "0", "MaximumMessageSize": strconv.Itoa(maxMessageSize), "MessageRetentionPeriod": "345600",
	"ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "30", "SqsManagedSseEnabled": "true",
}

// ranges are the numbers that an attribute may have.
var ranges = map[string][2]int{
	"DelaySeconds": {0, maxDelay}, "MaximumMessageSize": {1024, maxMessageSize}, "MessageRetentionPeriod": {60, maxRetention},
	"ReceiveMessageWaitTimeSeconds": {0, maxWait}, "VisibilityTimeout": {0, maxVisibility}, "KmsDataKeyReusePeriodSeconds": {60, 86400},
}

// limits are a queue's attributes, read.
type limits struct {
	delay, wait, visibility, retention time.Duration
	size                               int
	redrive                            *redrivePolicy
}

type redrivePolicy struct {
	DeadLetterTargetARN string
	MaxReceiveCount     int
}

func readLimits(attributes map[string]string) limits {
	number := func(name string) int {
		text := attributes[name]
		if text == "" {
			text = defaults[name]
		}
		// Checked when it was set.
		n, _ := strconv.Atoi(text)
		return n
	}
	seconds := func(name string) time.Duration { return time.Duration(number(name)) * time.Second }
	l := limits{
		delay: seconds("DelaySeconds"), wait: seconds("ReceiveMessageWaitTimeSeconds"), visibility: seconds("VisibilityTimeout"),
		retention: seconds("MessageRetentionPeriod"), size: number("MaximumMessageSize"),
	}
	// Checked when it was set.
	l.redrive, _ = readRedrive(attributes["RedrivePolicy"])
	return l
}

// readRedrive reads a redrive policy; maxReceiveCount may be a number or a string, as AWS takes both.
func readRedrive(text string) (*redrivePolicy, error) {
	if text == "" {
		return nil, nil
	}
	wrong := api.Errorf("InvalidAttributeValue", `Value %s for parameter RedrivePolicy is invalid: expected {"deadLetterTargetArn":"arn:aws:sqs:…","maxReceiveCount":1 to 1000}`, text)
	var raw map[string]any
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, wrong
	}
	policy := &redrivePolicy{}
	for name, value := range raw {
		switch v := value.(type) {
		case string:
			if name == "deadLetterTargetArn" {
				policy.DeadLetterTargetARN = v
				continue
			}
			if n, err := strconv.Atoi(v); name == "maxReceiveCount" && err == nil {
				policy.MaxReceiveCount = n
				continue
			}
		case float64:
			if name == "maxReceiveCount" && v == float64(int(v)) {
				policy.MaxReceiveCount = int(v)
				continue
			}
		}
		return nil, wrong
	}
	if !strings.HasPrefix(policy.DeadLetterTargetARN, "arn:aws:sqs:") || policy.MaxReceiveCount < 1 || policy.MaxReceiveCount > 1000 {
		return nil, wrong
	}
	return policy, nil
}

// checkAttributes refuses what a standard queue cannot have.
func (s *Service) checkAttributes(attributes map[string]string) error {
	for name, value := range attributes {
		if limit, ok := ranges[name]; ok {
			if n, err := strconv.Atoi(value); err != nil || n < limit[0] || n > limit[1] {
				return api.Errorf("InvalidAttributeValue", "Invalid value %q for the parameter %s: expected a number from %d to %d.", value, name, limit[0], limit[1])
			}
			continue
		}
		switch name {
		case "Policy", "RedriveAllowPolicy":
			if value != "" && !json.Valid([]byte(value)) {
				return api.Errorf("InvalidAttributeValue", "Invalid value for the parameter %s: expected JSON.", name)
			}
		case "RedrivePolicy":
			policy, err := readRedrive(value)
			if err != nil {
				return err
			}
			if policy != nil && s.byARN(policy.DeadLetterTargetARN) == nil {
				return api.Errorf("InvalidAttributeValue", "Value %s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.", value)
			}
		case "SqsManagedSseEnabled":
			if value != "true" && value != "false" {
				return api.Errorf("InvalidAttributeValue", "Invalid value %q for the parameter %s: expected true or false.", value, name)
			}
		case "KmsMasterKeyId":
		case "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit":
			return api.Errorf("InvalidAttributeValue", "%s: this endpoint serves standard queues only; leave the attribute out.", name)
		default:
			return api.Errorf("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	return nil
}

// merge puts changed attributes over a queue's; an empty policy or key removes it.
func merge(old, changed map[string]string) map[string]string {
	merged := maps.Clone(old)
	if merged == nil {
		merged = map[string]string{}
	}
	for name, value := range changed {
		if value == "" {
			delete(merged, name)
		} else {
			merged[name] = value
		}
	}
	return merged
}

// readable are the names that GetQueueAttributes takes.
var readable = []string{
	"All", "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible", "CreatedTimestamp",
	"DelaySeconds", "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "LastModifiedTimestamp", "MaximumMessageSize", "MessageRetentionPeriod",
	"Policy", "QueueArn", "ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy", "SqsManagedSseEnabled", "VisibilityTimeout",
}

// describe is what GetQueueAttributes answers for the names.
func (q *queue) describe(names []string, now time.Time) (map[string]string, error) {
	for _, name := range names {
		if !slices.Contains(readable, name) {
			return nil, api.Errorf("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	q.settle(now)
	q.expire(now)
	all := merge(defaults, q.Attributes)
	all["ApproximateNumberOfMessages"] = strconv.Itoa(q.visible)
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(q.inFlight)
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(q.delayed)
	all["CreatedTimestamp"] = strconv.FormatInt(q.Created.Unix(), 10)
	all["LastModifiedTimestamp"] = strconv.FormatInt(q.Modified.Unix(), 10)
	all["QueueArn"] = q.arn()
	if !slices.Contains(names, "All") {
		maps.DeleteFunc(all, func(name, _ string) bool { return !slices.Contains(names, name) })
	}
	return all, nil
}
