package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/stampmill/stampmill/internal/jobs"
)

// sortAwait marks the items that say which job awaits a thing: await/ACCOUNT/REGION/ID.
const sortAwait = "await"

func awaitID(key string) string { return sortAwait + "/" + key }

var _ jobs.Awaits = (*Store)(nil)

// Await implements jobs.Awaits. The item carries the fence of the claim that wrote it. Two jobs that await one thing overwrite
// each other: the last one is woken, and the other looks by itself.
func (s *Store) Await(ctx context.Context, g jobs.Guard, waiter jobs.Waiter, keys []string, expires time.Time) error {
	urgent := int64(0)
	if waiter.Urgent {
		urgent = 1
	}
	var group errgroup.Group
	for _, key := range keys {
		group.Go(func() error {
			_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table,
				Item: item{"id": text(awaitID(key)), "t": text(sortAwait), "job": text(waiter.Job), "inc": text(waiter.Incarnation), "run": number(int64(waiter.Run)),
					"urg": number(urgent), "com": number(waiter.Company.Milliseconds()),
					"fence": number(g.Fence), "exp": number(expires.Unix())},
				ConditionExpression:       aws.String("attribute_not_exists(id) OR inc <> :inc OR fence <= :fence"),
				ExpressionAttributeValues: item{":inc": text(waiter.Incarnation), ":fence": number(g.Fence)},
			})
			if _, failed := failedOn(err); failed {
				return jobs.ErrFenced
			}
			return wrap("await", key, err)
		})
	}
	return group.Wait()
}

// Awaiting implements jobs.Awaits. What has expired counts as absent: DynamoDB deletes it late.
func (s *Store) Awaiting(ctx context.Context, keys []string) (map[string]jobs.Waiter, error) {
	ids := make([]string, len(keys))
	for i, key := range keys {
		ids[i] = awaitID(key)
	}
	waiters := map[string]jobs.Waiter{}
	err := s.getAll(ctx, "look who awaits", ids, func(it item) {
		if integer(it, "exp") >= time.Now().Unix() && str(it, "t") == sortAwait {
			waiters[str(it, "id")[len(sortAwait)+1:]] = jobs.Waiter{Job: str(it, "job"), Incarnation: str(it, "inc"), Run: int(integer(it, "run")),
				Urgent: integer(it, "urg") == 1, Company: time.Duration(integer(it, "com")) * time.Millisecond}
		}
	})
	return waiters, err
}

// getAll reads the items with these ids, consistently, a hundred a call; absent ones are left out.
func (s *Store) getAll(ctx context.Context, op string, ids []string, each func(item)) error {
	for len(ids) > 0 {
		n := min(len(ids), 100) // items a BatchGetItem
		keys := make([]item, n)
		for i, id := range ids[:n] {
			keys[i] = key(id)
		}
		ids = ids[n:]
		ask := map[string]types.KeysAndAttributes{s.table: {Keys: keys, ConsistentRead: aws.Bool(true)}}
		for tries := 0; len(ask) > 0; tries++ {
			if tries == 8 {
				return wrap(op, fmt.Sprint(len(ids)+n), errors.New("the table does not answer for all keys"))
			}
			out, err := s.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: ask})
			if err != nil {
				return wrap(op, fmt.Sprint(n), err)
			}
			for _, it := range out.Responses[s.table] {
				each(it)
			}
			ask = out.UnprocessedKeys
		}
	}
	return nil
}
