// Package capacity keeps in DynamoDB which pools had no servers to give: one item a pool in the jobs table, with a time to
// live. What all jobs of a worker ask within a moment is one read, and its answer serves for some seconds.
package capacity

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/batch"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/capacity"
)

const (
	// prefix begins the items' ids; sort is their attribute t, which tells them from jobs.
	prefix = "pool/"
	sort   = "pool"
	// keysPerCall is what BatchGetItem takes.
	keysPerCall = 100
	// together is how long a read waits for others to join it.
	together = 10 * time.Millisecond
)

// API is what the memory calls of DynamoDB.
type API interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
}

// Memory implements capacity.Memory. It is safe for concurrent use.
type Memory struct {
	api   API
	table string
	reads *batch.Batcher[string, capacity.Refusal]
	known known
}

var _ capacity.Memory = (*Memory)(nil)

// New makes the memory in the jobs table.
func New(api API, table string) *Memory {
	m := &Memory{api: api, table: table}
	m.reads = batch.New(batch.Options{Idle: together, Size: keysPerCall}, m.fetch)
	return m
}

// Refusals implements capacity.Memory.
func (m *Memory) Refusals(ctx context.Context, keys []string) (map[string]capacity.Refusal, error) {
	found, missing := m.known.get(keys)
	if len(missing) == 0 {
		return found, nil
	}
	read, err := m.reads.Get(ctx, missing...)
	if err != nil {
		return nil, wrap(err, missing[0])
	}
	for key, r := range read {
		if r.Times > 0 {
			found[key] = r
		}
	}
	return found, nil
}

// Refuse implements capacity.Memory.
func (m *Memory) Refuse(ctx context.Context, key string, r capacity.Refusal, begun time.Time) error {
	_, err := m.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &m.table, Key: id(key),
		UpdateExpression:         aws.String("SET t = :t, refused = :times, refusedAt = :at, #until = :until, #exp = :exp REMOVE trier, trial"),
		ConditionExpression:      aws.String("attribute_not_exists(#until) OR #until <= :begun"),
		ExpressionAttributeNames: map[string]string{"#until": "until", "#exp": "exp"},
		ExpressionAttributeValues: item{":t": text(sort), ":times": number(int64(r.Times)), ":at": number(r.At.UnixMilli()),
			":until": number(r.Until.UnixMilli()), ":exp": number(r.Until.Add(capacity.Stale).Unix() + 1), ":begun": number(begun.UnixMilli())},
	})
	m.known.drop(key)
	if failed(err) { // it was refused to another call at about the same time
		return nil
	}
	return wrap(err, key)
}

// Try implements capacity.Memory.
func (m *Memory) Try(ctx context.Context, key, job string, now, trial time.Time) (bool, error) {
	_, err := m.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &m.table, Key: id(key),
		UpdateExpression: aws.String("SET trier = :job, trial = :trial"),
		ConditionExpression: aws.String(
			"#until <= :now AND (attribute_not_exists(trial) OR trial <= :now OR trier = :job)"),
		ExpressionAttributeNames: map[string]string{"#until": "until"},
		ExpressionAttributeValues: item{":job": text(job), ":now": number(now.UnixMilli()),
			":trial": number(trial.UnixMilli())},
	})
	m.known.drop(key)
	if failed(err) {
		return false, nil
	}
	return err == nil, wrap(err, key)
}

// Forget implements capacity.Memory. The item goes when its time to live is over.
func (m *Memory) Forget(ctx context.Context, key string, before time.Time) error {
	_, err := m.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &m.table, Key: id(key),
		UpdateExpression:          aws.String("REMOVE refused, refusedAt, #until, trier, trial"),
		ConditionExpression:       aws.String("refusedAt < :before"),
		ExpressionAttributeNames:  map[string]string{"#until": "until"},
		ExpressionAttributeValues: item{":before": number(before.UnixMilli())},
	})
	m.known.drop(key)
	if failed(err) { // it is forgotten already, or was refused again meanwhile
		return nil
	}
	return wrap(err, key)
}

// fetch reads what is remembered of the pools. Of one that is not known it gives the zero value, so that this is known.
func (m *Memory) fetch(ctx context.Context, keys []string) (map[string]capacity.Refusal, error) {
	found := make(map[string]capacity.Refusal, len(keys))
	var ids []item
	for _, key := range keys {
		found[key] = capacity.Refusal{}
		ids = append(ids, id(key))
	}
	for asked := 0; len(ids) > 0; asked++ {
		if asked == 20 {
			return nil, &jobs.Error{Class: jobs.Retry, Op: "dynamodb BatchGetItem", Thing: m.table, Message: "keys stay unprocessed"}
		}
		out, err := m.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			m.table: {Keys: ids, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return nil, err
		}
		for _, it := range out.Responses[m.table] {
			found[keyOf(it)] = refusal(it)
		}
		ids = out.UnprocessedKeys[m.table].Keys
	}
	m.known.put(found)
	return found, nil
}

// wrap classifies what failed. The memory is advice: no write of it makes anything that could get lost.
func wrap(err error, key string) error {
	err = awserr.From(err, key)
	if e, ok := errors.AsType[*jobs.Error](err); ok && e.Ambiguous {
		certain := *e
		certain.Ambiguous = false
		return &certain
	}
	return err
}

func failed(err error) bool {
	_, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	return ok
}

type item = map[string]types.AttributeValue

func id(key string) item                 { return item{"id": text(prefix + key)} }
func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func keyOf(it item) string {
	if s, ok := it["id"].(*types.AttributeValueMemberS); ok && len(s.Value) > len(prefix) {
		return s.Value[len(prefix):]
	}
	return ""
}

// refusal reads an item; one that is not as this package writes it counts as never refused.
func refusal(it item) capacity.Refusal {
	r := capacity.Refusal{Times: int(integer(it, "refused")), At: moment(it, "refusedAt"), Until: moment(it, "until"), Trial: moment(it, "trial")}
	if s, ok := it["trier"].(*types.AttributeValueMemberS); ok {
		r.Trier = s.Value
	}
	if r.Times < 1 || r.At.IsZero() || r.Until.IsZero() {
		return capacity.Refusal{}
	}
	return r
}

func integer(it item, name string) int64 {
	n, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	value, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil {
		return 0
	}
	return value
}

func moment(it item, name string) time.Time {
	if ms := integer(it, name); ms > 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}
