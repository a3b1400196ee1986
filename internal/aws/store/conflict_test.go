package store_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
)

// contended is a table whose count of children is being written by others.
type contended struct {
	store.API
	conflicts, calls int
}

func (c *contended) TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	if c.calls++; c.calls <= c.conflicts {
		return nil, &types.TransactionCanceledException{CancellationReasons: []types.CancellationReason{
			{Code: aws.String("None")}, {Code: aws.String("TransactionConflict")}}}
	}
	return &dynamodb.TransactWriteItemsOutput{}, nil
}

func TestAChildsEndWaitsForItsSiblingsCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &contended{conflicts: 6}
		job := &jobs.Job{ID: "ping-web-a", State: jobs.Succeeded, Run: 1, Seq: 1, Fence: 1, Expires: time.Now().Add(time.Hour),
			Parent: &jobs.Parent{ID: "ping-web-p", Incarnation: "p", Run: 1, Fan: 1, Of: 100}}
		begun := time.Now()
		if _, err := store.New(api, "jobs").Save(t.Context(), job, jobs.Saving{Ends: true}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Fatalf("it took %s: longer than the lease allows", took)
		}
	})
}
