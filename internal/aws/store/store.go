// Package store keeps jobs in DynamoDB, one item a job, by conditional writes only.
//
// What conditions look at stands in attributes of its own: state, inc (incarnation), run, seq, fence, lease, dlv (the
// delivery that claimed last), saves, claims, cancel, o and a verb (that order), exp (TTL), due and ds (the sparse index of due jobs), at and ls (the index
// that lists), aw (the things whose events end the job's wait). The rest of the job is one compressed document, b, and the
// spec another, spec. The same table holds tombstones, children's lists and counts, leases, who awaits which thing, and pools
// without capacity (internal/aws/capacity), told apart by the attribute t.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	BatchExecuteStatement(context.Context, *dynamodb.BatchExecuteStatementInput, ...func(*dynamodb.Options)) (*dynamodb.BatchExecuteStatementOutput, error)
}

// Store is the jobs table.
type Store struct {
	api    API
	table  string
	writes *together
}

// New makes a store on the table.
func New(api API, table string) *Store {
	return &Store{api: api, table: table, writes: &together{api: api, log: slog.New(slog.DiscardHandler)}}
}

// LogTo says where the store tells what it gets along without. It is to be called before the store is used.
func (s *Store) LogTo(log *slog.Logger) { s.writes.log = log }

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
	size := len(bytesOf(full, "b")) + len(bytesOf(full, "spec"))
	_, err = s.writes.write(ctx, job.ID, size, func() types.BatchStatementRequest { return inserting(s.table, full) }, func() (item, error) {
		_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &s.table, Item: full, ConditionExpression: &condition, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		return nil, err
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
	return s.change(ctx, "claim", claimed(c))
}

func claimed(c jobs.Claim) *change {
	open, one := text(string(jobs.Open)), number(1)
	w := &change{id: c.ID, returns: true, add: []attribute{{"fence", one}},
		set: []attribute{{"lease", number(c.Until.UnixMilli())}, {"dlv", text(c.Delivery)}}}
	if c.Reopen > 0 {
		w.set = append(w.set, attribute{"claims", one}, attribute{"state", open}, attribute{"run", number(int64(c.Reopen + 1))})
		w.remove = []string{"cancel", "exp"}
		w.equal("t", text(sortJob))
		w.where(term{"<>", "state", open})
		w.equal("run", number(int64(c.Reopen)))
		w.where(term{absent, "exp", nil}, term{">=", "exp", number(c.Now.Unix())}) // what has expired counts as absent
	} else {
		w.add = append(w.add, attribute{"claims", one})
		w.equal("state", open)
		w.where(term{absent, "lease", nil}, term{"<", "lease", number(c.Now.UnixMilli())})
		if c.Run > 0 {
			w.equal("run", number(int64(c.Run)))
		}
	}
	if c.Await != "" {
		w.where(term{contains, "aw", text(c.Await)})
	}
	if c.HasSeq {
		w.equal("seq", number(c.Seq))
	}
	if c.Incarnation != "" {
		w.equal("inc", text(c.Incarnation))
	}
	w.where(term{"<=", "v", number(jobs.SchemaVersion)})
	return w
}

// Flag implements jobs.Store.
func (s *Store) Flag(ctx context.Context, id string, run int, incarnation string) (*jobs.Row, bool, error) {
	return s.change(ctx, "cancel", flagged(id, run, incarnation))
}

func flagged(id string, run int, incarnation string) *change {
	w := &change{id: id, returns: true, set: []attribute{{"cancel", number(int64(run))}}}
	w.equal("state", text(string(jobs.Open)))
	w.equal("run", number(int64(run)))
	if incarnation != "" {
		w.equal("inc", text(incarnation))
	}
	return w
}

// Order implements jobs.Store.
func (s *Store) Order(ctx context.Context, id string, run int, incarnation string, verb jobs.Verb, o jobs.Order) (*jobs.Row, bool, error) {
	return s.change(ctx, "order", ordered(id, run, incarnation, verb, o))
}

func ordered(id string, run int, incarnation string, verb jobs.Verb, o jobs.Order) *change {
	name, value := orderAttribute(verb), text(encodeOrder(run, o))
	w := &change{id: id, returns: true, set: []attribute{{name, value}}}
	w.equal("state", text(string(jobs.Open)))
	w.equal("run", number(int64(run)))
	w.where(term{absent, name, nil}, term{"<", name, value})
	if incarnation != "" {
		w.equal("inc", text(incarnation))
	}
	return w
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

// Renew implements jobs.Store. A lease that was given up is not taken again, and none is shortened by a heartbeat that comes late.
func (s *Store) Renew(ctx context.Context, id string, fence int64, until time.Time) error {
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: key(id), UpdateExpression: aws.String("SET lease = :until"),
		ConditionExpression:       aws.String("fence = :fence AND lease <= :until"),
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

// change makes a change and gives the row after it, or the one that stands there where the condition failed.
func (s *Store) change(ctx context.Context, op string, w *change) (*jobs.Row, bool, error) {
	now, err := s.writes.write(ctx, w.id, 0, func() types.BatchStatementRequest { return w.statement(s.table) }, func() (item, error) {
		return s.updateItem(ctx, w)
	})
	if err == nil && len(now) == 0 { // a shared request that does not return what was asked for is not trusted
		now, err = s.updateItem(ctx, w)
	}
	if old, failed := failedOn(err); failed {
		row, err := s.row(old)
		return row, false, err
	}
	if err != nil {
		return nil, false, wrap(op, w.id, err)
	}
	row, err := s.row(now)
	return row, err == nil, err
}

// updateItem makes a change alone.
func (s *Store) updateItem(ctx context.Context, w *change) (item, error) {
	u := w.update(&s.table)
	in := &dynamodb.UpdateItemInput{
		TableName: u.TableName, Key: u.Key, UpdateExpression: u.UpdateExpression, ConditionExpression: u.ConditionExpression,
		ExpressionAttributeNames: u.ExpressionAttributeNames, ExpressionAttributeValues: u.ExpressionAttributeValues,
		ReturnValuesOnConditionCheckFailure: u.ReturnValuesOnConditionCheckFailure,
	}
	if w.returns {
		in.ReturnValues = types.ReturnValueAllNew
	}
	out, err := s.api.UpdateItem(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
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
