package queue_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/jobs"
)

// picky is an SQS that refuses one message of a batch.
type picky struct{ post }

func (p *picky) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	out := &sqs.SendMessageBatchOutput{}
	for _, entry := range in.Entries {
		if strings.Contains(*entry.MessageBody, "ping-web-refused") {
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: entry.Id, Code: aws.String("InternalError"), Message: aws.String("not this one")})
		}
	}
	return out, nil
}

func TestAnEntrysErrorIsItsOwn(t *testing.T) {
	t.Parallel()
	q, err := queue.Open(t.Context(), queue.Config{API: &picky{}})
	if err != nil {
		t.Fatal(err)
	}
	var sends sync.WaitGroup
	for i := range 10 {
		id := fmt.Sprint("ping-web-", i)
		if i == 3 {
			id = "ping-web-refused"
		}
		sends.Go(func() {
			err := q.Send(t.Context(), jobs.LaneWake, &jobs.Message{Type: jobs.Nudge, Job: id}, 0)
			if refused := id == "ping-web-refused"; (err != nil) != refused {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	sends.Wait()
}
