package store

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stampmill/stampmill/internal/jobs"
)

// A queue keeps no order, and delivers again what was delivered: whatever comes first, the same order of a verb stands at last.
func TestTheNewestOrderOfAVerbStandsWhicheverComesFirst(t *testing.T) {
	t.Parallel()
	api := endpointTable(t)
	at := time.UnixMilli(1_800_000_000_123).UTC()
	for name, c := range map[string]struct{ less, more jobs.Order }{
		"later":                        {jobs.Order{At: at}, jobs.Order{At: at.Add(time.Millisecond)}},
		"later, of a lesser wave":      {jobs.Order{At: at, Value: "9"}, jobs.Order{At: at.Add(time.Millisecond), Value: "1"}},
		"at one moment, another wave":  {jobs.Order{At: at, Value: "1"}, jobs.Order{At: at, Value: "2"}},
		"at one moment, a wave at all": {jobs.Order{At: at}, jobs.Order{At: at, Value: "canary"}},
	} {
		for _, coming := range [][]jobs.Order{{c.less, c.more}, {c.more, c.less}, {c.more, c.less, c.more, c.less}} {
			it := goodItem(t, "ping-good")
			if _, err := api.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("jobs"), Item: it}); err != nil {
				t.Fatal(err)
			}
			s := New(api, "jobs")
			known := jobs.Order{}
			for _, o := range coming {
				row, wrote, err := s.Order(t.Context(), "ping-good", 1, "inc", jobs.Approve, o)
				if err != nil || wrote != o.After(known) {
					t.Fatalf("%s: the order %+v was written: %t, %v; it counts before %+v: %t", name, o, wrote, err, known, o.After(known))
				}
				known = row.Job.Orders[jobs.Approve]
			}
			if known != c.more {
				t.Errorf("%s: after %+v stands %+v", name, coming, known)
			}
		}
	}
}
