// Package ledger keeps in DynamoDB what Stampmill has made: images with their versions, fleets with their servers, and the
// builders that a spec asked to keep.
//
// One table holds it, with partition key pk and sort key sk:
//
//	image#NAME   #                  the image
//	image#NAME   v#0000000041       one of its versions
//	image#NAME   r#INCARNATION#RUN  which number a bake reserved, so that it asks twice and gets one
//	image#NAME   m#INCARNATION#RUN  how a person's order moved what is current
//	image#NAME   hold               which job of a restamp renews the image
//	fleet#NAME   #                  the fleet, with its owner and its line
//	fleet#NAME   s#0000000017       the holder of one of its ordinals
//	images       NAME               that the image exists, to list images
//	fleets       NAME               that the fleet exists, to list fleets
//	restamps     INCARNATION#RUN    a restamp that is under way, and what it selected
//	restamp#INCARNATION#RUN  slots  which of its jobs may bake now
//	restamp#INCARNATION#RUN  i#NAME how far an image has come; f#NAME: a fleet
//	kept         INSTANCE           a kept builder
//
// An item is a JSON document in b, and beside it what conditions look at. Every write is a transaction that also checks the
// job's fence, so that a delivery whose claim has passed on changes nothing; and every write may be repeated, since the
// answer to it can be lost.
package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

// Ledger is the ledger of one installation. It is safe for concurrent use.
type Ledger struct {
	client *dynamodb.Client
	table  string
	jobs   string
}

// New gives the ledger in the worker's own account and region; the prefix is the installation's.
func New(clients *clients.Clients, prefix string) *Ledger {
	return &Ledger{client: clients.For(jobs.Target{}).DynamoDB, table: prefix + "-ledger", jobs: prefix + "-jobs"}
}

type item = map[string]types.AttributeValue

// The partitions that list what exists, and the sort key of a thing's own item.
const (
	allImages = "images"
	allFleets = "fleets"
	allKept   = "kept"
	own       = "#"
)

// rounds is how often a write that lost a race reads again and tries anew before it becomes a wait of the job.
const rounds = 4

func imageKey(name string) string  { return "image#" + name }
func fleetKey(name string) string  { return "fleet#" + name }
func versionKey(number int) string { return fmt.Sprintf("v#%010d", number) }
func serverKey(ordinal int) string { return fmt.Sprintf("s#%010d", ordinal) }
func secondKey(ordinal int) string { return fmt.Sprintf("second#%010d", ordinal) }

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func integer(n int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}

func key(pk, sk string) item { return item{"pk": text(pk), "sk": text(sk)} }

// document makes an item of a thing, with the attributes that conditions look at.
func document(pk, sk string, thing any, attributes item) (item, error) {
	b, err := json.Marshal(thing)
	if err != nil {
		return nil, jobs.Fatalf("ledger", pk+" "+sk, err.Error(), "")
	}
	it := key(pk, sk)
	it["b"] = &types.AttributeValueMemberB{Value: b}
	maps.Copy(it, attributes)
	return it, nil
}

// decode fills the thing from an item's document.
func decode(it item, thing any) error {
	b, ok := it["b"].(*types.AttributeValueMemberB)
	if !ok {
		return jobs.Fatalf("ledger", name(it), "the item has no document", "it was not written by Stampmill")
	}
	if err := json.Unmarshal(b.Value, thing); err != nil {
		return jobs.Fatalf("ledger", name(it), "the item's document cannot be read: "+err.Error(), "a newer Stampmill may have written it")
	}
	return nil
}

func name(it item) string { return textOf(it, "pk") + " " + textOf(it, "sk") }

func textOf(it item, attribute string) string {
	if s, ok := it[attribute].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// intOf is the attribute's number; 0 where there is none.
func intOf(it item, attribute string) int {
	n, ok := it[attribute].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	i, err := strconv.Atoi(n.Value)
	if err != nil {
		return 0
	}
	return i
}

// get reads one item as it is now; nil: there is none.
func (t *Ledger) get(ctx context.Context, pk, sk string) (item, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(t.table), Key: key(pk, sk), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, awserr.From(err, pk+" "+sk)
	}
	if len(out.Item) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	return out.Item, nil
}

// load reads one thing as it is now.
func load[T any](ctx context.Context, t *Ledger, pk, sk string) (thing T, it item, err error) {
	if it, err = t.get(ctx, pk, sk); err != nil {
		return thing, nil, err
	}
	thing, err = loaded[T](it)
	return thing, it, err
}

// two reads two items of one partition as they are now, by one request; nil: there is none.
func (t *Ledger) two(ctx context.Context, pk, first, second string) (one, other item, err error) {
	err = t.batchGet(ctx, t.table, []item{key(pk, first), key(pk, second)}, func(it item) {
		if textOf(it, "sk") == first {
			one = it
		} else {
			other = it
		}
	})
	return one, other, err
}

// loaded decodes what was read; nothing of nil.
func loaded[T any](it item) (thing T, err error) {
	if len(it) > 0 {
		err = decode(it, &thing)
	}
	return thing, err
}

// query reads the partition's items whose sort key begins with the prefix, in order, as they are now.
func (t *Ledger) query(ctx context.Context, pk, prefix string) ([]item, error) {
	in := &dynamodb.QueryInput{
		TableName:                 aws.String(t.table),
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": text(pk)},
		ConsistentRead:            aws.Bool(true),
	}
	if prefix != "" {
		in.KeyConditionExpression = aws.String("pk = :pk AND begins_with(sk, :sk)")
		in.ExpressionAttributeValues[":sk"] = text(prefix)
	}
	pages := dynamodb.NewQueryPaginator(t.client, in)
	var items []item
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awserr.From(err, pk)
		}
		items = append(items, page.Items...)
	}
	return items, nil
}

// all decodes what query reads. Where some cannot be decoded it gives the others, and an *jobs.UnreadableError.
func all[T any](ctx context.Context, t *Ledger, pk, prefix string) ([]T, error) {
	items, err := t.query(ctx, pk, prefix)
	if err != nil {
		return nil, err
	}
	things := make([]T, 0, len(items))
	unread := &jobs.UnreadableError{}
	for _, it := range items {
		var thing T
		if err := decode(it, &thing); err != nil {
			unread.Add(err)
			continue
		}
		things = append(things, thing)
	}
	return things, unread.OrNil()
}

// listed reads the things that a list of pointers names, in the order of their names; see all for what cannot be decoded.
func listed[T any](ctx context.Context, t *Ledger, list string, keyOf func(name string) string) ([]T, error) {
	pointers, err := t.query(ctx, list, "")
	if err != nil {
		return nil, err
	}
	found := make(map[string]item, len(pointers))
	for begin := 0; begin < len(pointers); begin += 100 { // BatchGetItem takes 100 keys
		var keys []item
		for _, p := range pointers[begin:min(begin+100, len(pointers))] {
			keys = append(keys, key(keyOf(textOf(p, "sk")), own))
		}
		if err := t.batchGet(ctx, t.table, keys, func(it item) { found[textOf(it, "pk")] = it }); err != nil {
			return nil, err
		}
	}
	things := make([]T, 0, len(pointers))
	unread := &jobs.UnreadableError{}
	for _, p := range pointers {
		it, ok := found[keyOf(textOf(p, "sk"))]
		if !ok {
			continue // deleted since the list was read
		}
		var thing T
		if err := decode(it, &thing); err != nil {
			unread.Add(err)
			continue
		}
		things = append(things, thing)
	}
	return things, unread.OrNil()
}

// batchGet reads items as they are now. What DynamoDB leaves out of a large answer is asked for again.
func (t *Ledger) batchGet(ctx context.Context, table string, keys []item, take func(item)) error {
	for asked := 0; len(keys) > 0; asked++ {
		if asked == 20 {
			return &jobs.Error{Class: jobs.Retry, Op: "dynamodb BatchGetItem", Thing: table, Message: "keys stay unprocessed"}
		}
		out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			table: {Keys: keys, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return awserr.From(err, table)
		}
		for _, it := range out.Responses[table] {
			take(it)
		}
		keys = out.UnprocessedKeys[table].Keys
	}
	return nil
}
