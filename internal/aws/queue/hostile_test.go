package queue_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/jobs"
)

// scales are an SQS that weighs what it is sent.
type scales struct {
	post
	size   int
	body   string
	reason string
}

func (s *scales) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	for _, e := range in.Entries {
		s.body = aws.ToString(e.MessageBody)
		s.size += len(s.body)
		for name, a := range e.MessageAttributes {
			s.size += len(name) + len(aws.ToString(a.DataType)) + len(aws.ToString(a.StringValue))
		}
		s.reason = aws.ToString(e.MessageAttributes[queue.AttributeReason].StringValue)
	}
	return &sqs.SendMessageBatchOutput{}, nil
}

func TestALetterOfTheLargestSizeFitsTheQueueOfDeadLettersWithItsReason(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("why ", 1000)
	spaces := `{"a":` + strings.Repeat(" ", jobs.MaxMessage-7) + "1}"
	for name, c := range map[string]struct{ body, want string }{
		"small":            {"{}", "{}"},
		"exactly as large": {strings.Repeat("x", jobs.MaxMessage), strings.Repeat("x", 1000)},
		"white space":      {spaces, `{"a":1}`},
		"characters":       {strings.Repeat("ä", jobs.MaxMessage/2), "ää"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &scales{}
			q, err := queue.Open(t.Context(), queue.Config{API: api})
			if err != nil {
				t.Fatal(err)
			}
			r := jobs.Received{Lane: jobs.LaneNormal, ID: "m", OriginalID: strings.Repeat("i", 128), Body: []byte(c.body)}
			if err := q.DeadLetter(t.Context(), r, long); err != nil {
				t.Fatal(err)
			}
			if api.size > jobs.MaxMessage || !strings.HasPrefix(api.body, c.want) || !strings.Contains(api.reason, "why why") {
				t.Errorf("it weighs %d, its body begins %.40q, its reason %.40q", api.size, api.body, api.reason)
			}
			if cut := len(api.body) < len(c.body) && name != "white space"; cut != strings.HasPrefix(api.reason, "(cut from ") {
				t.Errorf("of %d bytes %d are left, and the reason begins %.40q", len(c.body), len(api.body), api.reason)
			}
		})
	}
}

func TestALaneThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	q, err := queue.Open(t.Context(), queue.Config{API: &post{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Send(t.Context(), "x", &jobs.Message{Type: jobs.Nudge, Job: "ping-web-a"}, 0); !jobs.IsClass(err, jobs.Fatal) {
		t.Errorf("sending gives %v", err)
	}
}
