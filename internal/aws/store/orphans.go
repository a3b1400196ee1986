package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// sortOrphan marks the reaper's records. They stand in the index of lists, in partitions of their own.
const (
	sortOrphan   = "orphan"
	orphansOpen  = "orphans-open"
	orphansEnded = "orphans-ended"
)

// orphansKept is how long a record is kept after its last change.
const orphansKept = 90 * 24 * time.Hour

var _ jobs.OrphanRecords = (*Store)(nil)

// NoteOrphan implements jobs.OrphanRecords.
func (s *Store) NoteOrphan(ctx context.Context, record jobs.OrphanRecord) error {
	document, err := json.Marshal(record)
	if err != nil {
		return err
	}
	_, err = s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: item{
		"id": text(sortOrphan + "/" + record.ID), "t": text(sortOrphan), "ls": text(orphanPartition(record.State.Open())),
		"at": number(record.Changed.UnixMilli()), "exp": number(record.Changed.Add(orphansKept).Unix()), "b": binary(document),
	}})
	return wrap("record the orphan", record.ID, err)
}

// Orphans implements jobs.OrphanRecords. The index is read behind the table: a record that has moved on since is left out.
func (s *Store) Orphans(ctx context.Context, open bool, limit int) ([]jobs.OrphanRecord, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String(IndexList), KeyConditionExpression: aws.String("ls = :ls"),
		ExpressionAttributeValues: item{":ls": text(orphanPartition(open))}, ScanIndexForward: aws.Bool(false), Limit: aws.Int32(100),
	}
	var records []jobs.OrphanRecord
	for {
		out, err := s.api.Query(ctx, in)
		if err != nil {
			return nil, wrap("list orphans", s.table, err)
		}
		page, err := s.orphanRecords(ctx, out.Items)
		if err != nil {
			return nil, err
		}
		for _, record := range page {
			if record.State.Open() == open && len(records) < limit {
				records = append(records, record)
			}
		}
		if len(records) >= limit || len(out.LastEvaluatedKey) == 0 {
			return records, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// orphanRecords loads what a page of the index names, in its order. Expired records count as absent: DynamoDB deletes them late.
func (s *Store) orphanRecords(ctx context.Context, page []map[string]types.AttributeValue) ([]jobs.OrphanRecord, error) {
	if len(page) == 0 {
		return nil, nil
	}
	ids := make([]string, len(page))
	for i, it := range page {
		ids[i] = str(it, "id")
	}
	found := map[string]jobs.OrphanRecord{}
	var unread error
	err := s.getAll(ctx, "load orphans", ids, func(it item) {
		var record jobs.OrphanRecord
		if integer(it, "exp") < time.Now().Unix() {
			return
		}
		if err := json.Unmarshal(bytesOf(it, "b"), &record); err != nil {
			unread = unreadable(str(it, "id"), err)
			return
		}
		found[str(it, "id")] = record
	})
	if err := errors.Join(err, unread); err != nil {
		return nil, err
	}
	var records []jobs.OrphanRecord
	for _, it := range page {
		if record, ok := found[str(it, "id")]; ok {
			records = append(records, record)
		}
	}
	return records, nil
}

func orphanPartition(open bool) string {
	if open {
		return orphansOpen
	}
	return orphansEnded
}
