package store

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// Names of the table's indexes.
const (
	// IndexDue holds open jobs in a long wait: ds (shard), due (Unix milliseconds); sparse.
	IndexDue = "due"
	// IndexList holds every job: ls (shard), at (creation, Unix milliseconds).
	IndexList = "list"
)

// Lease implements jobs.SweepStore.
func (s *Store) Lease(ctx context.Context, name, owner string, now, until time.Time) (bool, error) {
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: key("lease/" + name), UpdateExpression: aws.String("SET #owner = :owner, #until = :until, t = :t"),
		ConditionExpression:      aws.String("attribute_not_exists(id) OR #owner = :owner OR #until < :now"),
		ExpressionAttributeNames: map[string]string{"#owner": "owner", "#until": "until"},
		ExpressionAttributeValues: item{":owner": text(owner), ":until": number(until.UnixMilli()), ":now": number(now.UnixMilli()),
			":t": text(sortLease)},
	})
	if _, failed := failedOn(err); failed {
		return false, nil
	}
	return err == nil, wrap("take the lease", name, err)
}

// Due implements jobs.SweepStore.
func (s *Store) Due(ctx context.Context, before time.Time, limit int) ([]jobs.DueJob, error) {
	var due []jobs.DueJob
	for shard := range shards {
		out, err := s.api.Query(ctx, &dynamodb.QueryInput{
			TableName: &s.table, IndexName: aws.String(IndexDue), KeyConditionExpression: aws.String("ds = :shard AND due < :before"),
			ExpressionAttributeValues: item{":shard": text(strconv.Itoa(shard)), ":before": number(before.UnixMilli())},
			Limit:                     aws.Int32(int32(max(limit/shards, 1))),
		})
		if err != nil {
			return nil, wrap("list due jobs", strconv.Itoa(shard), err)
		}
		for _, it := range out.Items {
			due = append(due, jobs.DueJob{ID: str(it, "id"), Incarnation: str(it, "inc"), Run: int(integer(it, "run")), Seq: integer(it, "seq"),
				Due: moment(integer(it, "due")), Lane: laneOf(it)})
		}
	}
	slices.SortFunc(due, func(a, b jobs.DueJob) int { return a.Due.Compare(b.Due) })
	return due, nil
}

// laneOf is the lane that a due job's wake goes to. What the item says is not trusted: there is no such queue as any text.
func laneOf(it item) jobs.Lane {
	if lane := jobs.Lane(str(it, "lane")); slices.Contains(jobs.Lanes, lane) {
		return lane
	}
	return jobs.LaneWake
}

// Postpone implements jobs.SweepStore. A job that was saved meanwhile is left as it is.
func (s *Store) Postpone(ctx context.Context, job jobs.DueJob, to time.Time) error {
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: key(job.ID), UpdateExpression: aws.String("SET due = :to"),
		ConditionExpression:       aws.String("due = :due AND seq = :seq"),
		ExpressionAttributeValues: item{":to": number(to.UnixMilli()), ":due": number(job.Due.UnixMilli()), ":seq": number(job.Seq)},
	})
	if _, failed := failedOn(err); failed {
		return nil
	}
	return wrap("postpone", job.ID, err)
}

// Page implements jobs.SweepStore by a scan: it is slow, and meant to run rarely.
func (s *Store) Page(ctx context.Context, cursor string, limit int) ([]*jobs.Job, string, error) {
	in := &dynamodb.ScanInput{
		TableName: &s.table, FilterExpression: aws.String("t = :job AND #state = :open"), Limit: aws.Int32(int32(limit)),
		ExpressionAttributeNames:  map[string]string{"#state": "state"},
		ExpressionAttributeValues: item{":job": text(sortJob), ":open": text(string(jobs.Open))},
	}
	if cursor != "" {
		in.ExclusiveStartKey = key(cursor)
	}
	out, err := s.api.Scan(ctx, in)
	if err != nil {
		return nil, "", wrap("scan", s.table, err)
	}
	page, err := decodeJobs(out.Items)
	return page, str(out.LastEvaluatedKey, "id"), err
}

// Rescued implements jobs.SweepStore.
func (s *Store) Rescued(ctx context.Context, job *jobs.Job) error {
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: key(job.ID), UpdateExpression: aws.String("SET rescues = :n"),
		ConditionExpression:       aws.String("seq = :seq"),
		ExpressionAttributeValues: item{":n": number(int64(job.Rescues + 1)), ":seq": number(job.Seq)},
	})
	if _, failed := failedOn(err); failed {
		return nil
	}
	return wrap("count a rescue of", job.ID, err)
}

// Filter chooses jobs for List.
type Filter struct {
	States []jobs.State
	Kind   string
	Name   string
	Labels map[string]string
	// Since leaves out jobs created before.
	Since time.Time
	// Children includes jobs that another one fanned out.
	Children bool
	// Limit is how many jobs at the most; 0: 100.
	Limit int
}

// List gives jobs, newest first. Where some cannot be read it gives the others all the same, and an *jobs.UnreadableError.
func (s *Store) List(ctx context.Context, f Filter) ([]*jobs.Job, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	var all []*jobs.Job
	unread := &jobs.UnreadableError{}
	for shard := range shards {
		found, err := s.listShard(ctx, f, strconv.Itoa(shard), limit, unread)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b *jobs.Job) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	return all[:min(len(all), limit)], unread.OrNil()
}

func (s *Store) listShard(ctx context.Context, f Filter, shard string, limit int, unread *jobs.UnreadableError) ([]*jobs.Job, error) {
	var found []*jobs.Job
	in := &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String(IndexList), KeyConditionExpression: aws.String("ls = :shard AND #at >= :since"),
		ExpressionAttributeNames:  map[string]string{"#at": "at"},
		ExpressionAttributeValues: item{":shard": text(shard), ":since": number(f.Since.UnixMilli())},
		ScanIndexForward:          aws.Bool(false), Limit: aws.Int32(100),
	}
	for {
		out, err := s.api.Query(ctx, in)
		if err != nil {
			return nil, wrap("list", shard, err)
		}
		ids := make([]string, 0, len(out.Items))
		for _, it := range out.Items {
			ids = append(ids, str(it, "id"))
		}
		rows, err := s.Rows(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			switch row := rows[id]; {
			case row == nil:
			case row.Unreadable != nil:
				unread.Add(row.Unreadable)
			case row.Job != nil && f.matches(row.Job):
				found = append(found, row.Job)
			}
		}
		if len(found) >= limit || len(out.LastEvaluatedKey) == 0 {
			return found, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func (f Filter) matches(job *jobs.Job) bool {
	if len(f.States) > 0 && !slices.Contains(f.States, job.State) {
		return false
	}
	if (f.Kind != "" && f.Kind != job.Kind) || (f.Name != "" && f.Name != job.Name) || (job.Parent != nil && !f.Children) {
		return false
	}
	for name, value := range f.Labels {
		if job.Labels[name] != value {
			return false
		}
	}
	return true
}

// decodeJobs gives the jobs that can be read, and an *jobs.UnreadableError for the others.
func decodeJobs(items []map[string]types.AttributeValue) ([]*jobs.Job, error) {
	decoded := make([]*jobs.Job, 0, len(items))
	unread := &jobs.UnreadableError{}
	for _, it := range items {
		job, err := decodeJob(it)
		if err != nil {
			unread.Add(err)
			continue
		}
		decoded = append(decoded, job)
	}
	return decoded, unread.OrNil()
}
