// Package store keeps jobs in DynamoDB, one item a job, by conditional writes only.
//
// What conditions look at stands in attributes of its own: state, inc (incarnation), run, seq, fence, lease, dlv (the
// delivery that claimed last), claims, cancel, exp (TTL), due and ds (the sparse index of due jobs), at and ls (the index
// that lists), aw (the things whose events end the job's wait). The rest of the job is one compressed document, b, and the
// spec another, spec. The same table holds tombstones, children's lists and counts, leases, who awaits which thing, and pools
// without capacity (internal/aws/capacity), told apart by the attribute t.
package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// API is what the store calls of DynamoDB.
type API interface {
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// Store is the jobs table.
type Store struct {
	api   API
	table string
}

// New makes a store on the table.
func New(api API, table string) *Store { return &Store{api: api, table: table} }

type item = map[string]types.AttributeValue

// The sorts of items in the table, attribute t.
const (
	sortJob   = "job"
	sortTomb  = "tombstone"
	sortFan   = "fan"
	sortCount = "count"
	sortLease = "lease"
)

// Create implements jobs.Store. An item whose time to live is over counts as absent: DynamoDB deletes it late.
func (s *Store) Create(ctx context.Context, job *jobs.Job, over bool) (*jobs.Row, error) {
	full, err := encodeJob(job)
	if err != nil {
		return nil, err
	}
	condition := "attribute_not_exists(id) OR (attribute_exists(#exp) AND #exp < :now)"
	names := map[string]string{"#exp": "exp"}
	values := item{":now": number(job.Created.Unix())}
	if over {
		condition += " OR t = :tomb"
		values[":tomb"] = text(sortTomb)
	}
	_, err = s.api.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table, Item: full, ConditionExpression: &condition, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if old, failed := failedOn(err); failed {
		row, err := s.row(old)
		if row == nil && err == nil {
			row = &jobs.Row{} // it expired between the write and now: nothing stands there any more, but nothing was created
		}
		return row, err
	}
	return nil, wrap("create", job.ID, err)
}

// Claim implements jobs.Store.
func (s *Store) Claim(ctx context.Context, c jobs.Claim) (*jobs.Row, bool, error) {
	condition := "#state = :open AND (attribute_not_exists(lease) OR lease < :now)"
	update := "SET fence = fence + :one, lease = :until, dlv = :dlv, claims = claims + :one"
	values := item{":open": text(string(jobs.Open)), ":now": number(c.Now.UnixMilli()), ":one": number(1),
		":until": number(c.Until.UnixMilli()), ":dlv": text(c.Delivery)}
	names := map[string]string{"#state": "state"}
	if c.Reopen > 0 {
		condition = "t = :job AND #state <> :open AND #run = :run AND (attribute_not_exists(#exp) OR #exp >= :now)"
		update = "SET fence = fence + :one, lease = :until, dlv = :dlv, claims = :one, #state = :open, #run = :next REMOVE cancel, #exp"
		names["#run"], names["#exp"] = "run", "exp"
		values[":run"], values[":next"], values[":job"] = number(int64(c.Reopen)), number(int64(c.Reopen+1)), text(sortJob)
		values[":now"] = number(c.Now.Unix()) // what has expired counts as absent
	} else if c.Run > 0 {
		condition += " AND #run = :run"
		names["#run"], values[":run"] = "run", number(int64(c.Run))
	}
	if c.Await != "" {
		condition += " AND contains(aw, :await)"
		values[":await"] = text(c.Await)
	}
	if c.HasSeq {
		condition += " AND seq = :seq"
		values[":seq"] = number(c.Seq)
	}
	if c.Incarnation != "" {
		condition += " AND inc = :inc"
		values[":inc"] = text(c.Incarnation)
	}
	condition += " AND v <= :schema"
	values[":schema"] = number(jobs.SchemaVersion)
	return s.update(ctx, "claim", c.ID, update, condition, names, values)
}

// Flag implements jobs.Store.
func (s *Store) Flag(ctx context.Context, id string, run int, incarnation string) (*jobs.Row, bool, error) {
	condition := "#state = :open AND #run = :run"
	values := item{":open": text(string(jobs.Open)), ":run": number(int64(run))}
	if incarnation != "" {
		condition += " AND inc = :inc"
		values[":inc"] = text(incarnation)
	}
	return s.update(ctx, "cancel", id, "SET cancel = :run", condition, map[string]string{"#state": "state", "#run": "run"}, values)
}

// Bury implements jobs.Store.
func (s *Store) Bury(ctx context.Context, id string, run int, expires time.Time) (*jobs.Row, bool, error) {
	_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           &s.table,
		Item:                                item{"id": text(id), "t": text(sortTomb), "run": number(int64(run)), "exp": number(expires.Unix())},
		ConditionExpression:                 aws.String("attribute_not_exists(id) OR (attribute_exists(#exp) AND #exp < :now)"),
		ExpressionAttributeNames:            map[string]string{"#exp": "exp"},
		ExpressionAttributeValues:           item{":now": number(time.Now().Unix())},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if old, failed := failedOn(err); failed {
		row, err := s.row(old)
		return row, false, err
	}
	return &jobs.Row{Tombstone: true}, err == nil, wrap("bury", id, err)
}

// Renew implements jobs.Store. A lease that was given up is not taken again.
func (s *Store) Renew(ctx context.Context, id string, fence int64, until time.Time) error {
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: key(id), UpdateExpression: aws.String("SET lease = :until"),
		ConditionExpression:       aws.String("fence = :fence AND attribute_exists(lease)"),
		ExpressionAttributeValues: item{":until": number(until.UnixMilli()), ":fence": number(fence)},
	})
	if _, failed := failedOn(err); failed {
		return jobs.ErrFenced
	}
	return wrap("renew", id, err)
}

// Load reads one row, consistently; nil: nothing stands there.
func (s *Store) Load(ctx context.Context, id string) (*jobs.Row, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key(id), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, wrap("load", id, err)
	}
	return s.row(out.Item)
}

func (s *Store) update(ctx context.Context, op, id, update, condition string, names map[string]string, values item) (*jobs.Row, bool, error) {
	out, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: key(id), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values, ReturnValues: types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if old, failed := failedOn(err); failed {
		row, err := s.row(old)
		return row, false, err
	}
	if err != nil {
		return nil, false, wrap(op, id, err)
	}
	row, err := s.row(out.Attributes)
	return row, err == nil, err
}

// row decodes what stands at an id. Expired items count as absent.
func (s *Store) row(it item) (*jobs.Row, error) {
	if len(it) == 0 {
		return nil, nil
	}
	if expires := integer(it, "exp"); expires > 0 && expires < time.Now().Unix() {
		return nil, nil
	}
	if str(it, "t") == sortTomb {
		return &jobs.Row{Tombstone: true}, nil
	}
	job, err := decodeJob(it)
	if err != nil {
		return nil, err
	}
	return &jobs.Row{Job: job}, nil
}

// failedOn reports whether a single write failed on its condition, and what stood there.
func failedOn(err error) (item, bool) {
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return failed.Item, true
	}
	return nil, false
}

func wrap(op, id string, err error) error {
	if err == nil {
		return nil
	}
	return &jobs.Error{Class: jobs.Retry, Op: "store: " + op, Thing: id, Err: err, Ambiguous: true}
}

func key(id string) item                   { return item{"id": text(id)} }
func text(s string) types.AttributeValue   { return &types.AttributeValueMemberS{Value: s} }
func binary(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func str(it item, name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func integer(it item, name string) int64 {
	if v, ok := it[name].(*types.AttributeValueMemberN); ok {
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err == nil {
			return n
		}
	}
	return 0
}

func bytesOf(it item, name string) []byte {
	if v, ok := it[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	return nil
}

func unreadable(id string, err error) error {
	return fmt.Errorf("the item of job %s cannot be read: %w", id, err)
}
