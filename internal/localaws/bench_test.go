package localaws

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// BenchmarkQueue carries messages of 500 bytes through a queue that stands 10,000 deep: one operation is a batch of ten
// sent, received and deleted.
func BenchmarkQueue(b *testing.B) {
	b.Run("socket", func(b *testing.B) {
		server := start(b, Config{})
		socket := httptest.NewServer(server)
		b.Cleanup(socket.Close)
		transport := &http.Transport{MaxIdleConnsPerHost: 64}
		b.Cleanup(transport.CloseIdleConnections)
		benchmarkQueue(b, sqs.NewFromConfig(sdkOver(socket.URL, "AKID", &http.Client{Transport: transport})))
	})
	b.Run("process", func(b *testing.B) {
		benchmarkQueue(b, sqs.NewFromConfig(sdk(start(b, Config{}), "AKID")))
	})
}

func benchmarkQueue(b *testing.B, client *sqs.Client) {
	queue, err := client.CreateQueue(background, &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		b.Fatal(err)
	}
	send := &sqs.SendMessageBatchInput{QueueUrl: queue.QueueUrl}
	for i := range 10 {
		send.Entries = append(send.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(strings.Repeat("x", 500))})
	}
	for range 1000 {
		if _, err := client.SendMessageBatch(background, send); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := carryBatch(client, send); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(10*b.N)/b.Elapsed().Seconds(), "messages/s")
}

func carryBatch(client *sqs.Client, send *sqs.SendMessageBatchInput) error {
	if _, err := client.SendMessageBatch(background, send); err != nil {
		return err
	}
	got, err := client.ReceiveMessage(background, &sqs.ReceiveMessageInput{QueueUrl: send.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
	if err != nil {
		return err
	}
	done := &sqs.DeleteMessageBatchInput{QueueUrl: send.QueueUrl}
	for i, m := range got.Messages {
		done.Entries = append(done.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	out, err := client.DeleteMessageBatch(background, done)
	if err == nil && len(out.Successful) != len(got.Messages) {
		err = fmt.Errorf("%d of %d messages were deleted", len(out.Successful), len(got.Messages))
	}
	return err
}
