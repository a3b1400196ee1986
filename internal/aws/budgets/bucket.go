package budgets

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// Budgets stand in the jobs table, in a partition of their own of the index that lists.
const (
	sort      = "budget"
	partition = "budgets"
)

// tries bounds how often a write meets another worker's before its asks are refused for now.
const tries = 50

// bucket is one budget, as this worker knows it.
type bucket struct {
	name   string
	config *Config
	limit  budget.Limit

	mu      sync.Mutex
	asks    []*ask
	writing bool
	state   budget.Bucket
	version int64 // of the item that state is; 0: none is known
	block   block
	held    map[heldLine]budget.Place
}

// ask is a change that waits for the next write. It may be applied several times, each time to a newer state; the last
// time counts.
type ask struct {
	apply func(state *budget.Bucket, now time.Time) (changes bool)
	done  chan error
}

// change applies a change to the item; changes that come together share a write, and those that change nothing a read.
func (k *bucket) change(ctx context.Context, apply func(*budget.Bucket, time.Time) bool) error {
	a := &ask{apply: apply, done: make(chan error, 1)}
	k.mu.Lock()
	k.asks = append(k.asks, a)
	leads := !k.writing
	k.writing = true
	k.mu.Unlock()
	if leads {
		go k.lead(context.WithoutCancel(ctx))
	}
	select {
	case err := <-a.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lead writes for everybody until nobody asks any more; then the next one leads.
func (k *bucket) lead(ctx context.Context) {
	// The calls are everybody's: no single job's lease bounds them.
	ctx = jobs.WithoutClaim(ctx)
	for {
		k.mu.Lock()
		asks := k.asks
		k.asks = nil
		k.writing = len(asks) > 0
		k.mu.Unlock()
		if len(asks) == 0 {
			return
		}
		err := k.carry(ctx, asks)
		for _, a := range asks {
			a.done <- err
		}
	}
}

// carry applies the asks to the item as it stands.
func (k *bucket) carry(ctx context.Context, asks []*ask) error {
	by := rand.Text()
	fresh := false
	for range tries {
		next, changes := k.applied(asks)
		var old map[string]types.AttributeValue
		var err error
		switch {
		case changes:
			if old, err = k.write(ctx, next, by); err == nil && old == nil {
				k.keep(next, k.version+1)
				return nil
			}
		case fresh:
			return nil
		default:
			old, err = k.read(ctx)
		}
		if err != nil {
			return &jobs.Error{Class: jobs.Retry, Op: "budget", Thing: k.name, Err: err}
		}
		if err := k.take(old); err != nil {
			return err
		}
		if fresh = true; changes && text(old, "by") == by {
			return nil // the write's answer was lost: what was applied is what stands there
		}
	}
	return &jobs.Error{Class: jobs.Retry, Op: "budget", Thing: k.name, Message: "other workers' writes came first each time"}
}

func (k *bucket) applied(asks []*ask) (next budget.Bucket, changes bool) {
	now := k.config.Clock()
	if next = k.state.Clone(); k.version == 0 {
		next = budget.New(k.limit, now)
	}
	for _, a := range asks {
		changes = a.apply(&next, now) || changes
	}
	return next, changes
}

func (k *bucket) keep(state budget.Bucket, version int64) {
	k.state, k.version = state, version
}

// take remembers what stands in the table; nothing: a full bucket.
func (k *bucket) take(item map[string]types.AttributeValue) error {
	if len(item) == 0 {
		k.keep(budget.Bucket{}, 0)
		return nil
	}
	state, version, err := decode(item)
	if err != nil {
		return &jobs.Error{Class: jobs.Retry, Op: "budget", Thing: k.name, Err: err, Hint: "delete the item " + sort + "/" + k.name + ": the budget then begins full"}
	}
	k.keep(state, version)
	return nil
}

// write puts the state on condition of the version. Old is what stands there if that failed.
func (k *bucket) write(ctx context.Context, next budget.Bucket, by string) (old map[string]types.AttributeValue, err error) {
	document, err := json.Marshal(next)
	if err != nil {
		return nil, err
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &k.config.Table, Key: key(k.name),
		UpdateExpression:         aws.String("SET b = :b, ver = :next, #by = :by, t = :sort, ls = :ls, #at = :zero"),
		ConditionExpression:      aws.String("ver = :ver"),
		ExpressionAttributeNames: map[string]string{"#by": "by", "#at": "at"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":b": &types.AttributeValueMemberB{Value: document}, ":next": number(k.version + 1), ":ver": number(k.version),
			":by": &types.AttributeValueMemberS{Value: by}, ":sort": &types.AttributeValueMemberS{Value: sort},
			":ls": &types.AttributeValueMemberS{Value: partition}, ":zero": number(0),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if k.version == 0 {
		in.ConditionExpression = aws.String("attribute_not_exists(id)")
		delete(in.ExpressionAttributeValues, ":ver")
	}
	_, err = k.config.API.UpdateItem(ctx, in)
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		if failed.Item == nil {
			return map[string]types.AttributeValue{}, nil // it was deleted: begin anew
		}
		return failed.Item, nil
	}
	return nil, err
}

func (k *bucket) read(ctx context.Context) (map[string]types.AttributeValue, error) {
	out, err := k.config.API.GetItem(ctx, &dynamodb.GetItemInput{TableName: &k.config.Table, Key: key(k.name), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

func decode(item map[string]types.AttributeValue) (budget.Bucket, int64, error) {
	var state budget.Bucket
	document, ok := item["b"].(*types.AttributeValueMemberB)
	if !ok {
		return state, 0, fmt.Errorf("the budget's item %s has no document", text(item, "id"))
	}
	if err := json.Unmarshal(document.Value, &state); err != nil {
		return state, 0, fmt.Errorf("the budget's item %s: %w", text(item, "id"), err)
	}
	if err := state.Check(); err != nil {
		return state, 0, fmt.Errorf("the budget's item %s: %w", text(item, "id"), err)
	}
	version := int64(0)
	if n, ok := item["ver"].(*types.AttributeValueMemberN); ok {
		var err error
		if version, err = strconv.ParseInt(n.Value, 10, 64); err != nil {
			return state, 0, fmt.Errorf("the budget's item %s: %w", text(item, "id"), err)
		}
	}
	return state, version, nil
}

func key(name string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: sort + "/" + name}}
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func text(item map[string]types.AttributeValue, name string) string {
	if s, ok := item[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}
