package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/jobs"
)

// Reasons of a cancelled transaction, by action, from DynamoDB's TransactWriteItems.
const (
	reasonNone      = "None"
	reasonCondition = "ConditionalCheckFailed"
	reasonConflict  = "TransactionConflict"
	reasonInvalid   = "ValidationError"
	reasonTooLarge  = "ItemCollectionSizeLimitExceeded"
)

// lostRace is what write answers where a condition of an action failed: it says which, and what stands there.
type lostRace struct {
	action int
	stands item
}

func (l *lostRace) Error() string {
	return fmt.Sprintf("the condition of action %d failed: %s", l.action, name(l.stands))
}

// write carries the actions out, all or none, if the delivery still holds its job. It answers jobs.ErrFenced where the claim
// has passed on, a lostRace where an action's own condition failed, else a classified error.
func (t *Ledger) write(ctx context.Context, g jobs.Guard, thing string, actions ...types.TransactWriteItem) error {
	if g.Job == "" {
		return jobs.Fatalf("ledger", thing, "a write without a claim", "")
	}
	_, err := t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
		TransactItems: append([]types.TransactWriteItem{t.held(g)}, actions...),
	})
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return awserr.From(err, thing)
	}
	if reasons := cancelled.CancellationReasons; len(reasons) > 0 && aws.ToString(reasons[0].Code) == reasonCondition {
		return jobs.ErrFenced
	}
	return refusal(cancelled, 1, thing, err)
}

// refusal says why a transaction was cancelled; its actions begin behind so many others.
func refusal(cancelled *types.TransactionCanceledException, behind int, thing string, err error) error {
	class, code, message := jobs.Unknown, "TransactionCanceledException", cancelled.ErrorMessage()
	var lost *lostRace
	for i, reason := range cancelled.CancellationReasons {
		switch c := aws.ToString(reason.Code); c {
		case "", reasonNone:
		case reasonCondition:
			if lost == nil {
				lost = &lostRace{action: i - behind, stands: reason.Item}
			}
		case reasonInvalid, reasonTooLarge:
			class, code, message = jobs.Fatal, c, aws.ToString(reason.Message)
		default: // a conflict or a throttle: nothing is known of the other conditions' worth
			if class == jobs.Unknown {
				class, code, message = jobs.Retry, c, aws.ToString(reason.Message)
			}
		}
	}
	if lost != nil && class == jobs.Unknown {
		return lost
	}
	return &jobs.Error{Class: class, Code: code, Op: "dynamodb TransactWriteItems", Thing: thing, Message: message, Err: err}
}

// held checks that the delivery still holds the job.
func (t *Ledger) held(g jobs.Guard) types.TransactWriteItem {
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName:                aws.String(t.jobs),
		Key:                      item{"id": text(g.Job)},
		ConditionExpression:      aws.String("inc = :inc AND fence = :fence AND #state = :open"),
		ExpressionAttributeNames: map[string]string{"#state": "state"},
		ExpressionAttributeValues: item{
			":inc":   text(g.Incarnation),
			":fence": &types.AttributeValueMemberN{Value: strconv.FormatInt(g.Fence, 10)},
			":open":  text(string(jobs.Open)),
		},
	}}
}

// condition is what must hold of the item that stands under an action's key. The zero condition always holds.
type condition struct {
	expression string
	names      map[string]string
	values     item
}

// absent: nothing stands there.
func absent() condition { return condition{expression: "attribute_not_exists(pk)"} }

// unchanged: what was read still stands there; every write of an item with a revision raises it.
func unchanged(revision int) condition {
	return condition{expression: "rev = :rev", values: item{":rev": integer(revision)}}
}

// revised is absent where nothing was read, else unchanged.
func revised(read item) condition {
	if len(read) == 0 {
		return absent()
	}
	return unchanged(intOf(read, "rev"))
}

// put writes an item if the condition holds of what stands in its place.
func (t *Ledger) put(it item, c condition) types.TransactWriteItem {
	put := &types.Put{TableName: aws.String(t.table), Item: it}
	if c.expression != "" {
		put.ConditionExpression, put.ExpressionAttributeNames = aws.String(c.expression), c.names
		if len(c.values) > 0 {
			put.ExpressionAttributeValues = c.values
		}
		put.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return types.TransactWriteItem{Put: put}
}

// remove deletes an item if the condition holds.
func (t *Ledger) remove(pk, sk string, c condition) types.TransactWriteItem {
	remove := &types.Delete{TableName: aws.String(t.table), Key: key(pk, sk)}
	if c.expression != "" {
		remove.ConditionExpression, remove.ExpressionAttributeNames = aws.String(c.expression), c.names
		if len(c.values) > 0 {
			remove.ExpressionAttributeValues = c.values
		}
	}
	return types.TransactWriteItem{Delete: remove}
}

// check demands the condition of an item that stays as it is.
func (t *Ledger) check(pk, sk string, c condition) types.TransactWriteItem {
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: aws.String(t.table), Key: key(pk, sk), ConditionExpression: aws.String(c.expression),
		ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values,
	}}
}

// again repeats read and write while others win the races, a few times; then it becomes a wait of the job.
func again(thing string, round func() error) error {
	for range rounds {
		err := round()
		if _, lost := errors.AsType[*lostRace](err); !lost {
			return err
		}
	}
	return &jobs.Error{Class: jobs.Retry, Op: "ledger", Thing: thing, Message: "others keep changing it"}
}
