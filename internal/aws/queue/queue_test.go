package queue_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/jobs"
)

type seenKey struct{}

// post is an SQS that remembers what the contexts of its batches carry.
type post struct {
	queue.API
	seen any
}

func (p *post) GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String("https://queue")}, nil
}

func (p *post) SendMessageBatch(ctx context.Context, _ *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	p.seen = ctx.Value(seenKey{})
	return &sqs.SendMessageBatchOutput{}, nil
}

func TestABatchIsNobodysCallSoThatOneLeaseDoesNotRefuseItsNeighbours(t *testing.T) {
	t.Parallel()
	api := &post{}
	q, err := queue.Open(t.Context(), queue.Config{API: api})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), seenKey{}, "the lease of the delivery whose entry came first")
	if err := q.Send(ctx, jobs.LaneWake, &jobs.Message{Type: jobs.Nudge, Job: "ping-web-a"}, 0); err != nil {
		t.Fatal(err)
	}
	if api.seen != nil {
		t.Fatalf("the batch was sent under %v", api.seen)
	}
}

func (p *post) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	p.seen = in.WaitTimeSeconds
	return &sqs.ReceiveMessageOutput{}, nil
}

func TestAReceiveThatShallNotWaitIsNotTheQueuesOwnLongPoll(t *testing.T) {
	t.Parallel()
	api := &post{}
	q, err := queue.Open(t.Context(), queue.Config{API: api})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Receive(t.Context(), jobs.LaneNormal, 10, 0); err != nil || api.seen != int32(1) {
		t.Fatalf("a receive without a wait asks for %v s, %v; the SDK does not send a zero", api.seen, err)
	}
}

func TestAnOriginalIDThatNoQueueGaveIsIgnored(t *testing.T) {
	t.Parallel()
	for original, want := range map[string]string{
		"5fea7756-0ea4-451a-a703-a558b933e274": "5fea7756-0ea4-451a-a703-a558b933e274",
		"":                                     "own",
		"\x1b[2J":                              "own",
		strings.Repeat("x", 300<<10):           "own",
	} {
		r := queue.FromSQS(jobs.LaneNormal, types.Message{MessageId: aws.String("own"), Body: aws.String("{}"),
			MessageAttributes: map[string]types.MessageAttributeValue{queue.AttributeOriginal: {DataType: aws.String("String"), StringValue: &original}}})
		if r.OriginalID != want {
			t.Errorf("%.20q gives %.20q, want %q", original, r.OriginalID, want)
		}
	}
}
