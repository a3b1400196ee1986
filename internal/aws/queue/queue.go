// Package queue is the four lanes and the dead letters on SQS. Everything that can share a request does: receives ask for
// up to ten, sends, deletes and changes of visibility gather for a few milliseconds.
package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// API is what the queues call of SQS.
type API interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
}

// Attributes of a message that went to the dead letters.
const (
	// AttributeReason says why nobody could work on it.
	AttributeReason = "stampmill-reason"
	// AttributeOriginal is the id that the message had first: the key of a submission without one.
	AttributeOriginal = "stampmill-original-id"
	// AttributeLane is the lane that it came from.
	AttributeLane = "stampmill-lane"
)

// DeadLetters is the lane's name of the dead-letter queue, for Names and Send.
const DeadLetters jobs.Lane = "dead"

// Config is what a Queue is made of.
type Config struct {
	API API
	// Prefix of the queues' names: prefix-high, prefix-wake, prefix-normal, prefix-low, prefix-dead. Default stampmill.
	Prefix string
	// Visibility is how long a received message stays hidden. Default 90 s.
	Visibility time.Duration
	// SendLinger is how long a send waits for company; DeleteLinger the same of deletes and visibility. Defaults 5 and 50 ms.
	SendLinger, DeleteLinger time.Duration
}

// Queue implements jobs.Queue. It is safe for concurrent use.
type Queue struct {
	Config
	lanes map[jobs.Lane]*lane
	wait  sync.WaitGroup
}

type lane struct {
	url     string
	sends   collector[types.SendMessageBatchRequestEntry]
	deletes collector[string]
	hides   collector[types.ChangeMessageVisibilityBatchRequestEntry]
}

// Name is the queue's name of a lane.
func Name(prefix string, l jobs.Lane) string { return prefix + "-" + string(l) }

// AllLanes are the lanes and the dead letters.
func AllLanes() []jobs.Lane { return append(append([]jobs.Lane(nil), jobs.Lanes...), DeadLetters) }

// Open finds the queues by their names.
func Open(ctx context.Context, config Config) (*Queue, error) {
	if config.Prefix == "" {
		config.Prefix = "stampmill"
	}
	if config.Visibility <= 0 {
		config.Visibility = 90 * time.Second
	}
	if config.SendLinger <= 0 {
		config.SendLinger = 5 * time.Millisecond
	}
	if config.DeleteLinger <= 0 {
		config.DeleteLinger = 50 * time.Millisecond
	}
	q := &Queue{Config: config, lanes: map[jobs.Lane]*lane{}}
	for _, l := range AllLanes() {
		name := Name(config.Prefix, l)
		out, err := config.API.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
		if err != nil {
			return nil, &jobs.Error{Class: jobs.Fatal, Op: "sqs: find the queue", Thing: name, Err: err,
				Hint: "run `stampmill setup` or deploy the CloudFormation template, and check STAMPMILL_PREFIX and the region"}
		}
		q.lanes[l] = q.open(aws.ToString(out.QueueUrl))
	}
	return q, nil
}

func (q *Queue) open(url string) *lane {
	l := &lane{url: url}
	l.sends = collector[types.SendMessageBatchRequestEntry]{linger: q.SendLinger, wait: &q.wait, send: func(ctx context.Context, entries []types.SendMessageBatchRequestEntry) []error {
		return q.sendBatch(ctx, url, entries)
	}}
	l.deletes = collector[string]{linger: q.DeleteLinger, wait: &q.wait, send: func(ctx context.Context, receipts []string) []error {
		return q.deleteBatch(ctx, url, receipts)
	}}
	l.hides = collector[types.ChangeMessageVisibilityBatchRequestEntry]{linger: q.SendLinger, wait: &q.wait,
		send: func(ctx context.Context, entries []types.ChangeMessageVisibilityBatchRequestEntry) []error {
			return q.hideBatch(ctx, url, entries)
		}}
	return l
}

// URL is the lane's queue URL.
func (q *Queue) URL(l jobs.Lane) string { return q.lanes[l].url }

// Account is the account that owns the queues, as their URLs say; empty where they say none.
func (q *Queue) Account() string {
	match := accountInURL.FindStringSubmatch(q.URL(jobs.LaneWake))
	if match == nil {
		return ""
	}
	return match[1]
}

var accountInURL = regexp.MustCompile(`/(\d{12})/[^/]+$`)

// Receive implements jobs.Queue. It waits for a second at the least: the SDK leaves a zero out, and the queue's own long poll,
// which is longer than the call's time-out, would then be waited for and given up (aws-sdk-go-v2#1704).
func (q *Queue) Receive(ctx context.Context, l jobs.Lane, most int, wait time.Duration) ([]jobs.Received, error) {
	out, err := q.API.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.lanes[l].url, MaxNumberOfMessages: int32(min(most, batchEntries)), WaitTimeSeconds: max(int32(wait/time.Second), 1),
		VisibilityTimeout: int32(q.Visibility / time.Second), MessageAttributeNames: []string{AttributeOriginal},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameSentTimestamp},
	})
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", l, err)
	}
	received := make([]jobs.Received, len(out.Messages))
	for i, m := range out.Messages {
		received[i] = FromSQS(l, m)
	}
	return received, nil
}

// messageID is what an original id may look like. Anyone who may send can set the attribute, and it names jobs.
var messageID = regexp.MustCompile(`^[\w-]{1,128}$`)

// FromSQS turns an SQS message into what a worker takes in hand.
func FromSQS(l jobs.Lane, m types.Message) jobs.Received {
	r := jobs.Received{Lane: l, ID: aws.ToString(m.MessageId), Receipt: aws.ToString(m.ReceiptHandle), Body: []byte(aws.ToString(m.Body))}
	r.OriginalID = r.ID
	if original, ok := m.MessageAttributes[AttributeOriginal]; ok && original.StringValue != nil && messageID.MatchString(*original.StringValue) {
		r.OriginalID = *original.StringValue
	}
	if n, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"]); err == nil {
		r.Receives = n
	}
	if ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64); err == nil {
		r.Sent = time.UnixMilli(ms)
	}
	return r
}

// Send implements jobs.Sender.
func (q *Queue) Send(ctx context.Context, l jobs.Lane, m *jobs.Message, delay time.Duration) error {
	body, err := m.Encode()
	if err != nil {
		return err
	}
	return q.SendRaw(ctx, l, body, delay, nil)
}

// SendRaw sends a body with string attributes.
func (q *Queue) SendRaw(ctx context.Context, l jobs.Lane, body []byte, delay time.Duration, attributes map[string]string) error {
	entry := types.SendMessageBatchRequestEntry{MessageBody: aws.String(string(body))}
	if delay > 0 {
		entry.DelaySeconds = int32((min(delay, jobs.MaxDelay) + time.Second - 1) / time.Second)
	}
	size := len(body)
	for name, value := range attributes {
		if entry.MessageAttributes == nil {
			entry.MessageAttributes = map[string]types.MessageAttributeValue{}
		}
		entry.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
		size += len(name) + len(value) + len("String")
	}
	if q.lanes[l] == nil {
		return jobs.Fatalf("sqs: send", string(l), "there is no such lane", "")
	}
	if err := q.lanes[l].sends.add(ctx, entry, size); err != nil {
		return &jobs.Error{Class: jobs.Retry, Op: "sqs: send to " + string(l), Err: err, Ambiguous: true}
	}
	return nil
}

// Delete implements jobs.Queue.
func (q *Queue) Delete(ctx context.Context, r jobs.Received) error {
	return q.lanes[r.Lane].deletes.add(ctx, r.Receipt, len(r.Receipt))
}

// Hide implements jobs.Queue.
func (q *Queue) Hide(ctx context.Context, r jobs.Received, d time.Duration) error {
	entry := types.ChangeMessageVisibilityBatchRequestEntry{ReceiptHandle: aws.String(r.Receipt),
		VisibilityTimeout: int32((d + time.Second - 1) / time.Second)}
	return q.lanes[r.Lane].hides.add(ctx, entry, len(r.Receipt))
}

// maxReason keeps a dead letter's reason readable and its message under the queue's limit.
const maxReason = 2000

// DeadLetter implements jobs.Queue.
func (q *Queue) DeadLetter(ctx context.Context, r jobs.Received, reason string) error {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	attributes := map[string]string{AttributeReason: printable(reason), AttributeOriginal: r.OriginalID, AttributeLane: string(r.Lane)}
	return q.SendRaw(ctx, DeadLetters, fitting(r.Body, attributes), 0, attributes)
}

// fitting is the body beside its attributes, which count towards the queue's limit: where both are too much, white space
// goes, and if that is not enough the body's end. No version takes a message of that size: its spec alone is over MaxSpec.
func fitting(body []byte, attributes map[string]string) []byte {
	room := jobs.MaxMessage
	for name, value := range attributes {
		room -= len(name) + len("String") + len(value)
	}
	if len(body) <= room {
		return body
	}
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil {
		body = compact.Bytes()
	}
	if len(body) <= room {
		return body
	}
	attributes[AttributeReason] = fmt.Sprintf("(cut from %d bytes) ", len(body)) + attributes[AttributeReason]
	return bytes.ToValidUTF8(body[:room-cutNote], nil)
}

// cutNote is more than what the reason of a letter that was cut says of it, in bytes.
const cutNote = 64

// Backlog implements jobs.Queue.
func (q *Queue) Backlog(ctx context.Context, l jobs.Lane) (int, error) {
	out, err := q.API.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.lanes[l].url,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages}})
	if err != nil {
		return 0, fmt.Errorf("ask for the backlog of %s: %w", l, err)
	}
	return strconv.Atoi(out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessages)])
}

// Wait waits for the batches that are under way.
func (q *Queue) Wait() { q.wait.Wait() }

// printable replaces what SQS refuses in an attribute: it takes XML's characters only.
func printable(s string) string {
	clean := []rune(s)
	for i, r := range clean {
		if (r < ' ' && r != '\n' && r != '\t') || r == 0xFFFE || r == 0xFFFF || (r >= 0xD800 && r <= 0xDFFF) {
			clean[i] = '·'
		}
	}
	return string(clean)
}
