package localaws

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestWhatSQSWouldRefuseIsRefusedWithItsCode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		send := func(in sqs.SendMessageInput) error {
			in.QueueUrl = d.url
			_, err := d.client.SendMessage(background, &in)
			return err
		}
		entries := func(n int, id func(int) string, body string) error {
			in := &sqs.SendMessageBatchInput{QueueUrl: d.url, Entries: []types.SendMessageBatchRequestEntry{}}
			for i := range n {
				in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(id(i)), MessageBody: aws.String(body)})
			}
			_, err := d.client.SendMessageBatch(background, in)
			return err
		}
		receive := func(in sqs.ReceiveMessageInput) error {
			in.QueueUrl = d.url
			_, err := d.client.ReceiveMessage(background, &in)
			return err
		}
		create := func(name string, attributes map[string]string) error {
			_, err := d.client.CreateQueue(background, &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
			return err
		}
		_, unknown := d.client.ReceiveMessage(background, &sqs.ReceiveMessageInput{QueueUrl: aws.String(d.server.URL() + "/000000000000/none")})
		_, handle := d.client.DeleteMessage(background, &sqs.DeleteMessageInput{QueueUrl: d.url, ReceiptHandle: aws.String("nonsense")})
		for what, check := range map[string]struct {
			err  error
			code string
		}{
			"a delay over 15 minutes": {send(sqs.SendMessageInput{MessageBody: aws.String("x"), DelaySeconds: 901}), "InvalidParameterValue"},
			"a body over 1 MiB":       {send(sqs.SendMessageInput{MessageBody: aws.String(strings.Repeat("x", 1<<20+1))}), "InvalidParameterValue"},
			"a control character":     {send(sqs.SendMessageInput{MessageBody: aws.String("\x01")}), "InvalidMessageContents"},
			"eleven entries":          {entries(11, strconv.Itoa, "x"), "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
			"no entries":              {entries(0, strconv.Itoa, "x"), "AWS.SimpleQueueService.EmptyBatchRequest"},
			"equal ids":               {entries(2, func(int) string { return "same" }, "x"), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
			"a batch over 1 MiB":      {entries(2, strconv.Itoa, strings.Repeat("x", 600_000)), "AWS.SimpleQueueService.BatchRequestTooLong"},
			"a wait over 20 s":        {receive(sqs.ReceiveMessageInput{WaitTimeSeconds: 21}), "InvalidParameterValue"},
			"over ten messages":       {receive(sqs.ReceiveMessageInput{MaxNumberOfMessages: 11}), "InvalidParameterValue"},
			"13 hours' visibility":    {receive(sqs.ReceiveMessageInput{VisibilityTimeout: 13 * 3600}), "InvalidParameterValue"},
			"a FIFO queue":            {create("a.fifo", map[string]string{"FifoQueue": "true"}), "InvalidParameterValue"},
			"other attributes":        {create("jobs", map[string]string{"VisibilityTimeout": "99"}), "QueueAlreadyExists"},
			"an unknown attribute":    {create("b", map[string]string{"Visibility": "99"}), "InvalidAttributeName"},
			"an unknown queue":        {unknown, "AWS.SimpleQueueService.NonExistentQueue"},
			"a wrong handle":          {handle, "ReceiptHandleIsInvalid"},
		} {
			if codeOf(check.err) != check.code {
				t.Errorf("%s: got %v, want %s", what, check.err, check.code)
			}
		}
		if !errors.As(unknown, new(*types.QueueDoesNotExist)) {
			t.Errorf("an unknown queue's error is %T", unknown)
		}
	})
}
