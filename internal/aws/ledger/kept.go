package ledger

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/jobs"
)

// keptBuilder is a builder that a spec asked to keep.
type keptBuilder struct {
	Instance string    `json:"instance"`
	Until    time.Time `json:"until"`
	Job      string    `json:"job"`
}

// PutKept names a builder that stays until then, though its job is over.
func (t *Ledger) PutKept(ctx context.Context, g jobs.Guard, instanceID string, until time.Time) error {
	it, err := document(allKept, instanceID, keptBuilder{Instance: instanceID, Until: until.UTC(), Job: g.Job}, nil)
	if err != nil {
		return err
	}
	return t.write(ctx, g, instanceID, t.put(it, condition{}))
}

// ListKept gives the kept builders, and until when each stays.
func (t *Ledger) ListKept(ctx context.Context) (map[string]time.Time, error) {
	builders, err := all[keptBuilder](ctx, t, allKept, "")
	if err != nil {
		return nil, err
	}
	until := make(map[string]time.Time, len(builders))
	for _, b := range builders {
		until[b.Instance] = b.Until
	}
	return until, nil
}

// DeleteKept forgets a kept builder. Whoever removed the builder calls it, job or reaper, so no claim is checked.
func (t *Ledger) DeleteKept(ctx context.Context, instanceID string) error {
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String(t.table), Key: key(allKept, instanceID)})
	return awserr.From(err, instanceID)
}
