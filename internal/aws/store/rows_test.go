package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// slow is a DynamoDB that answers for three keys of a batch at a time, and leaves the others unprocessed.
type slow struct {
	API
	t *testing.T
}

func (s *slow) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	ask := in.RequestItems["jobs"]
	n := min(len(ask.Keys), 3)
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for _, key := range ask.Keys[:n] {
		out.Responses["jobs"] = append(out.Responses["jobs"], goodItem(s.t, str(key, "id")))
	}
	if rest := ask.Keys[n:]; len(rest) > 0 {
		out.UnprocessedKeys = map[string]types.KeysAndAttributes{"jobs": {Keys: rest}}
	}
	return out, nil
}

func TestRowsThatDynamoDBLeftUnprocessedAreAskedForAgain(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 10 {
		ids = append(ids, fmt.Sprint("ping-", i))
	}
	rows, err := New(&slow{t: t}, "jobs").Rows(t.Context(), ids)
	if err != nil || len(rows) != len(ids) {
		t.Errorf("%d rows of %d, %v", len(rows), len(ids), err)
	}
}
