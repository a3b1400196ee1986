package budgets

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// Entry is one budget as it stands now.
type Entry struct {
	Name, Account, Region, Action string
	Limit                         budget.Limit
	State                         budget.Bucket
}

// List gives all budgets that anybody used, by name. Items that cannot be read are its error; it comes with the others.
func (b *Budgets) List(ctx context.Context) ([]Entry, error) {
	in := &dynamodb.QueryInput{
		TableName: &b.Table, IndexName: aws.String(store.IndexList), KeyConditionExpression: aws.String("ls = :ls"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":ls": &types.AttributeValueMemberS{Value: partition}},
	}
	var entries []Entry
	var unread error
	for {
		out, err := b.API.Query(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, item := range out.Items {
			entry, found, err := b.entry(ctx, strings.TrimPrefix(text(item, "id"), sort+"/"))
			unread = errors.Join(unread, err)
			if found {
				entries = append(entries, entry)
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
			return entries, unread
		}
	}
}

// Now is how the bucket of an action stands in the target's region. Kept: it has been used; else it is full.
func (b *Budgets) Now(ctx context.Context, target jobs.Target, action string) (state budget.Bucket, limit budget.Limit, kept bool, err error) {
	name := Name(target, target.Region, action)
	limit = b.bucket(name).limit
	entry, kept, err := b.entry(ctx, name)
	if !kept {
		entry.State = budget.New(limit, b.Clock())
	}
	return entry.State, limit, kept, err
}

func (b *Budgets) entry(ctx context.Context, name string) (Entry, bool, error) {
	k := b.bucket(name)
	item, err := k.read(ctx)
	if err != nil || len(item) == 0 {
		return Entry{}, false, err
	}
	state, _, err := decode(item)
	if err != nil {
		return Entry{}, false, err
	}
	state.Advance(k.limit, b.Clock())
	parts := append(strings.SplitN(name, "/", 3), "", "")
	return Entry{Name: name, Account: parts[0], Region: parts[1], Action: parts[2], Limit: k.limit, State: state}, true, nil
}
