package store

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Holder tells who took the named lease last, and until when it is held; an empty owner: nobody ever did.
func (s *Store) Holder(ctx context.Context, name string) (owner string, until time.Time, err error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key("lease/" + name), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return "", time.Time{}, wrap("read the lease", name, err)
	}
	return str(out.Item, "owner"), moment(integer(out.Item, "until")), nil
}
