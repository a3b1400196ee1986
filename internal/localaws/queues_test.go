package localaws

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// desk is a queue and a client for it.
type desk struct {
	*testing.T
	server *Server
	client *sqs.Client
	url    *string
}

func newDesk(t *testing.T, attributes map[string]string) *desk {
	t.Helper()
	server := start(t, Config{Seed: 1})
	d := &desk{T: t, server: server, client: sqs.NewFromConfig(sdk(server, "AKID"))}
	d.url = d.queue("jobs", attributes)
	return d
}

func (d *desk) queue(name string, attributes map[string]string) *string {
	d.Helper()
	out, err := d.client.CreateQueue(background, &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
	if err != nil {
		d.Fatal(err)
	}
	return out.QueueUrl
}

func (d *desk) send(body string, delay int32) string {
	d.Helper()
	out, err := d.client.SendMessage(background, &sqs.SendMessageInput{QueueUrl: d.url, MessageBody: aws.String(body), DelaySeconds: delay})
	if err != nil {
		d.Fatal(err)
	}
	return *out.MessageId
}

func (d *desk) receive(url *string, wait int32) []types.Message {
	d.Helper()
	out, err := d.client.ReceiveMessage(background, &sqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		d.Fatal(err)
	}
	return out.Messages
}

func (d *desk) count(name types.QueueAttributeName) string {
	d.Helper()
	out, err := d.client.GetQueueAttributes(background, &sqs.GetQueueAttributesInput{QueueUrl: d.url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		d.Fatal(err)
	}
	return out.Attributes[string(name)]
}

func TestALongPollEndsWhenAMessageArrives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		began := time.Now()
		go func() {
			time.Sleep(7 * time.Second)
			d.send("late", 0)
		}()
		got := d.receive(d.url, 20)
		if len(got) != 1 || *got[0].Body != "late" || time.Since(began) != 7*time.Second {
			t.Fatalf("after %s: %d messages, want one after 7s", time.Since(began), len(got))
		}
		if got := d.receive(d.url, 20); len(got) != 0 || time.Since(began) != 27*time.Second {
			t.Fatalf("after %s: %d messages, want none after 20s more", time.Since(began), len(got))
		}
	})
}

func TestALongPollEndsWhenADelayedMessageIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		began := time.Now()
		d.send("last", 9)
		go func() {
			time.Sleep(time.Second)
			d.send("first", 3)
		}()
		if d.count("ApproximateNumberOfMessagesDelayed") != "1" {
			t.Error("a delayed message is not counted as one")
		}
		for _, want := range []struct {
			body string
			at   time.Duration
		}{{"first", 4 * time.Second}, {"last", 9 * time.Second}} {
			got := d.receive(d.url, 20)
			if len(got) != 1 || *got[0].Body != want.body || time.Since(began).Truncate(time.Millisecond) != want.at {
				t.Fatalf("after %s: %v, want %s after %s", time.Since(began), got, want.body, want.at)
			}
		}
	})
}

func TestAnUndeletedMessageComesBackWithItsCountAndFirstTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, map[string]string{"VisibilityTimeout": "10"})
		sent := strconv.FormatInt(time.Now().UnixMilli(), 10)
		id := d.send("again", 0)
		first := d.receive(d.url, 0)
		if len(d.receive(d.url, 0)) != 0 || d.count("ApproximateNumberOfMessagesNotVisible") != "1" {
			t.Fatal("a message in flight was received again")
		}
		began := time.Now()
		second := d.receive(d.url, 20)
		if len(second) != 1 || *second[0].MessageId != id || time.Since(began).Truncate(time.Millisecond) != 10*time.Second {
			t.Fatalf("after %s: %v", time.Since(began), second)
		}
		a := second[0].Attributes
		if a["ApproximateReceiveCount"] != "2" || a["SentTimestamp"] != sent || a["ApproximateFirstReceiveTimestamp"] != sent {
			t.Fatalf("attributes %v", a)
		}
		// The old handle succeeds and deletes nothing.
		for range 2 {
			if _, err := d.client.DeleteMessage(background, &sqs.DeleteMessageInput{QueueUrl: d.url, ReceiptHandle: first[0].ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
		}
		if d.count("ApproximateNumberOfMessagesNotVisible") != "1" {
			t.Fatal("an old receipt handle deleted the message")
		}
		for range 2 {
			if _, err := d.client.DeleteMessage(background, &sqs.DeleteMessageInput{QueueUrl: d.url, ReceiptHandle: second[0].ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
		}
		if d.count("ApproximateNumberOfMessagesNotVisible") != "0" || len(d.receive(d.url, 20)) != 0 {
			t.Fatal("a deleted message came back")
		}
	})
}

func TestAVisibilityTimeoutIsExtendedAndEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, map[string]string{"VisibilityTimeout": "10"})
		d.send("held", 0)
		held := d.receive(d.url, 0)[0]
		change := func(seconds int32) error {
			_, err := d.client.ChangeMessageVisibility(background, &sqs.ChangeMessageVisibilityInput{QueueUrl: d.url, ReceiptHandle: held.ReceiptHandle, VisibilityTimeout: seconds})
			return err
		}
		time.Sleep(9 * time.Second)
		if err := change(15); err != nil {
			t.Fatal(err)
		}
		if got := d.receive(d.url, 14); len(got) != 0 {
			t.Fatal("an extended message was received")
		}
		if err := change(0); err != nil {
			t.Fatal(err)
		}
		if err := change(5); codeOf(err) != "AWS.SimpleQueueService.MessageNotInflight" {
			t.Fatalf("got %v, want MessageNotInflight", err)
		}
		if got := d.receive(d.url, 0); len(got) != 1 {
			t.Fatal("a message whose timeout was ended is not visible")
		}
		if err := change(5); codeOf(err) != "InvalidParameterValue" {
			t.Fatalf("got %v for an old handle, want InvalidParameterValue", err)
		}
	})
}

func TestAMessageReceivedTooOftenGoesToTheDeadLettersAndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, map[string]string{"VisibilityTimeout": "1"})
		dead := d.queue("dead", nil)
		if _, err := d.client.SetQueueAttributes(background, &sqs.SetQueueAttributesInput{QueueUrl: d.url, Attributes: map[string]string{
			"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"2"}`,
		}}); err != nil {
			t.Fatal(err)
		}
		sent := strconv.FormatInt(time.Now().UnixMilli(), 10)
		id := d.send("poison", 0)
		for range 2 {
			if len(d.receive(d.url, 5)) != 1 {
				t.Fatal("the message did not come")
			}
		}
		if len(d.receive(d.url, 5)) != 0 {
			t.Fatal("the message came a third time")
		}
		got := d.receive(dead, 0)
		if len(got) != 1 || *got[0].MessageId != id || got[0].Attributes["SentTimestamp"] != sent {
			t.Fatalf("dead letters: %v", got)
		}
		if got[0].Attributes["DeadLetterQueueSourceArn"] != "arn:aws:sqs:us-east-1:000000000000:jobs" {
			t.Fatalf("attributes %v", got[0].Attributes)
		}
		time.Sleep(30 * time.Second)
		if _, err := d.client.StartMessageMoveTask(background, &sqs.StartMessageMoveTaskInput{SourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:dead")}); err != nil {
			t.Fatal(err)
		}
		tasks, err := d.client.ListMessageMoveTasks(background, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:dead")})
		if err != nil || len(tasks.Results) != 1 || *tasks.Results[0].Status != "COMPLETED" {
			t.Fatalf("tasks %v, %v", tasks, err)
		}
		back := d.receive(d.url, 0)
		if len(back) != 1 || *back[0].Body != "poison" || *back[0].MessageId == id || back[0].Attributes["ApproximateReceiveCount"] != "1" {
			t.Fatalf("after the redrive: %v", back)
		}
	})
}

func TestANoisyGroupDoesNotHoldTheOthersUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		for i := range 30 {
			group := "noisy"
			if i == 29 {
				group = "quiet"
			}
			if _, err := d.client.SendMessage(background, &sqs.SendMessageInput{QueueUrl: d.url, MessageBody: aws.String(group), MessageGroupId: aws.String(group)}); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range d.receive(d.url, 0) {
			if *m.Body == "quiet" && m.Attributes["MessageGroupId"] == "quiet" {
				return
			}
		}
		t.Fatal("the last group's only message is not among the first ten")
	})
}

func TestMessagesExpireAfterTheRetentionPeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, map[string]string{"MessageRetentionPeriod": "60"})
		d.send("old", 0)
		time.Sleep(61 * time.Second)
		d.send("new", 0)
		if d.count("ApproximateNumberOfMessages") != "1" {
			t.Error("an expired message is counted")
		}
		if got := d.receive(d.url, 0); len(got) != 1 || *got[0].Body != "new" {
			t.Fatalf("got %v", got)
		}
	})
}

func TestAttributesAreDigestedAsTheSDKChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		out, err := d.client.SendMessageBatch(background, &sqs.SendMessageBatchInput{QueueUrl: d.url, Entries: []types.SendMessageBatchRequestEntry{{
			Id: aws.String("a"), MessageBody: aws.String("ünï <&>"), MessageAttributes: map[string]types.MessageAttributeValue{
				"trace.id": {DataType: aws.String("String"), StringValue: aws.String("x")},
				"blob":     {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1}},
			},
		}}})
		if err != nil || len(out.Successful) != 1 {
			t.Fatalf("%v, %v", out, err)
		}
		// Computed once with another implementation of AWS's documented algorithm.
		if *out.Successful[0].MD5OfMessageAttributes != "dd37d4791ff4a57c9c85b914dd446ac2" {
			t.Fatalf("digest %s", *out.Successful[0].MD5OfMessageAttributes)
		}
		got := d.receive(d.url, 0)
		if len(got) != 1 || *got[0].Body != "ünï <&>" || len(got[0].MessageAttributes) != 2 || *got[0].MD5OfMessageAttributes != *out.Successful[0].MD5OfMessageAttributes {
			t.Fatalf("got %v", got)
		}
	})
}

func TestACancelledPollStrandsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if _, err := d.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: d.url, WaitTimeSeconds: 20}); err == nil {
			t.Fatal("a cancelled poll succeeded")
		}
		d.send("kept", 0)
		if len(d.receive(d.url, 0)) != 1 {
			t.Fatal("the poll that was given up took the message")
		}
	})
}

func TestQueuesAndMessagesSurviveARestart(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/state"
	server, err := New(Config{StatePath: path})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{T: t, server: server, client: sqs.NewFromConfig(sdk(server, "AKID"))}
	d.url = d.queue("jobs", map[string]string{"VisibilityTimeout": "600"})
	for i := range 3 {
		d.send(fmt.Sprint(i), 0)
	}
	got := d.receive(d.url, 0)
	for _, m := range got[:1] {
		if _, err := d.client.DeleteMessage(background, &sqs.DeleteMessageInput{QueueUrl: d.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	d.send("visible", 0)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	d.server = start(t, Config{StatePath: path})
	d.client = sqs.NewFromConfig(sdk(d.server, "AKID"))
	if n := d.count("ApproximateNumberOfMessagesNotVisible"); n != "2" {
		t.Fatalf("%s messages in flight after the restart, want 2", n)
	}
	if _, err := d.client.DeleteMessage(background, &sqs.DeleteMessageInput{QueueUrl: d.url, ReceiptHandle: got[1].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	if n := d.count("ApproximateNumberOfMessagesNotVisible"); n != "1" {
		t.Fatalf("a handle from before the restart deleted nothing: %s in flight", n)
	}
	if again := d.receive(d.url, 0); len(again) != 1 || *again[0].Body != "visible" {
		t.Fatalf("got %v", again)
	}
}
