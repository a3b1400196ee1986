package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// Save implements jobs.Store. The write sets absolute values on condition of the fence, of the seq and the number of saves before
// it and of the cancel flag that is known, so that the answer needs to carry nothing; a flag that came meanwhile is learned from
// the failed condition, and the save is sent again. The number keeps a request that was given up, sent again and arrives after
// all from putting back what the delivery's later saves wrote.
func (s *Store) Save(ctx context.Context, job *jobs.Job, saving jobs.Saving) (int, error) {
	known := job.Cancel
	for range 3 {
		old, failed, err := s.save(ctx, job, saving, known)
		if err != nil {
			return known, wrap("save", job.ID, err)
		}
		if !failed {
			job.Saves++
			return known, nil
		}
		if len(old) == 0 || integer(old, "fence") != job.Fence || str(old, "dlv") != job.Delivery {
			return known, jobs.ErrFenced
		}
		cancel := int(integer(old, "cancel"))
		if integer(old, "saves") == job.Saves+1 && integer(old, "seq") == job.Seq {
			job.Saves++
			return cancel, nil // it is there already: its answer was lost
		}
		if integer(old, "saves") != job.Saves || integer(old, "seq") != saving.Seq || cancel == known {
			return known, jobs.ErrFenced
		}
		known = cancel
	}
	return known, jobs.ErrFenced
}

func (s *Store) save(ctx context.Context, job *jobs.Job, saving jobs.Saving, known int) (old item, failed bool, err error) {
	b, err := encodeDocument(job)
	if err != nil {
		return nil, false, err
	}
	write := saved(job, saving, known, b)
	more, err := s.companions(job, saving)
	if err != nil {
		return nil, false, err
	}
	if len(more) == 0 {
		_, err := s.writes.write(ctx, job.ID, len(b), func() types.BatchStatementRequest { return write.statement(s.table) }, func() (item, error) {
			return s.updateItem(ctx, write)
		})
		if old, failed := failedOn(err); failed {
			return old, true, nil
		}
		return nil, false, err
	}
	err = s.transact(ctx, job.ID, append([]types.TransactWriteItem{{Update: write.update(&s.table)}}, more...))
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) && len(cancelled.CancellationReasons) > 0 {
		if reason := cancelled.CancellationReasons[0]; aws.ToString(reason.Code) == "ConditionalCheckFailed" {
			return reason.Item, true, nil
		}
	}
	return nil, false, err
}

// conflictTries is how often a transaction is tried that others' writes of the same item cancelled. Siblings that end
// together all write their parent's count; DynamoDB lets one through at a time, and its SDK leaves the rest to the caller.
const conflictTries = 12

// transact writes all items or none. Tries after a conflict are spread by job over times that double to half a second.
func (s *Store) transact(ctx context.Context, id string, items []types.TransactWriteItem) error {
	for try := 1; ; try++ {
		_, err := s.api.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		if !conflicted(err) || try == conflictTries {
			return err
		}
		hash := fnv.New32a()
		fmt.Fprintf(hash, "%s %d", id, try) // a hash never fails to write
		spread := min(10*time.Millisecond<<try, 500*time.Millisecond)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(float64(spread) * float64(hash.Sum32()) / (1 << 32))):
		}
	}
}

// conflicted reports whether a transaction failed on others' writes only.
func conflicted(err error) bool {
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return false
	}
	conflict := false
	for _, reason := range cancelled.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "TransactionConflict":
			conflict = true
		case "ConditionalCheckFailed":
			return false
		}
	}
	return conflict
}

// saved is what a save changes, and its condition.
func saved(job *jobs.Job, saving jobs.Saving, known int, document []byte) *change {
	c := &change{id: job.ID, set: []attribute{{"b", binary(document)}, {"seq", number(job.Seq)}, {"state", text(string(job.State))},
		{"claims", number(int64(job.Claims))}, {"saves", number(job.Saves + 1)}}}
	if job.Lease.IsZero() { // a heartbeat may have moved a lease that is kept
		c.remove = append(c.remove, "lease", "rescues")
	}
	if job.Seq != saving.Seq {
		// A save that leaves seq alone leaves the due entry too: it may be all that stands for the job, where the message in
		// hand carries no seq and a delete by an old receipt handle takes it away.
		due := job.Wait != nil && job.Wait.Due && !job.Finished()
		if due {
			c.set = append(c.set, attribute{"ds", text(shard(job.ID))}, attribute{"due", number(job.Wait.Until.UnixMilli())},
				attribute{"lane", text(string(jobs.WakeLane(job.Priority)))})
		} else {
			c.remove = append(c.remove, "ds", "due", "lane")
		}
	}
	if len(job.Awaits) > 0 {
		c.set = append(c.set, attribute{"aw", &types.AttributeValueMemberSS{Value: job.Awaits}})
	} else {
		c.remove = append(c.remove, "aw")
	}
	if job.Finished() {
		c.set = append(c.set, attribute{"exp", number(job.Expires.Unix())})
	}
	c.equal("fence", number(job.Fence))
	c.equal("seq", number(saving.Seq))
	if job.Saves > 0 {
		c.equal("saves", number(job.Saves))
	} else {
		c.where(term{absent, "saves", nil})
	}
	if known > 0 {
		c.equal("cancel", number(int64(known)))
	} else {
		c.where(term{absent, "cancel", nil})
	}
	return c
}

// familyLife is how long lists and counts of children are kept: as long as finished jobs by default, and half as much again.
const familyLife = 45 * 24 * time.Hour

// companions are the other items of a save's transaction: the list of children, or the count of the parent's.
func (s *Store) companions(job *jobs.Job, saving jobs.Saving) ([]types.TransactWriteItem, error) {
	expires := number(time.Now().Add(familyLife).Unix())
	if saving.Fan != nil {
		list, err := json.Marshal(saving.Fan)
		if err != nil {
			return nil, err
		}
		packed, err := pack(list)
		if err != nil {
			return nil, err
		}
		id := fanID(job.Incarnation, job.Run, job.Fan.Number)
		return []types.TransactWriteItem{{Put: &types.Put{TableName: &s.table,
			Item: item{"id": text(id), "t": text(sortFan), "b": binary(packed), "exp": expires}}}}, nil
	}
	if saving.Ends && job.Parent != nil {
		p := job.Parent
		return []types.TransactWriteItem{{Update: &types.Update{TableName: &s.table, Key: key(countID(*p)),
			UpdateExpression:         aws.String("ADD #ended :index SET t = :t, #exp = :exp"),
			ExpressionAttributeNames: map[string]string{"#ended": "ended", "#exp": "exp"},
			ExpressionAttributeValues: item{":index": &types.AttributeValueMemberNS{Value: []string{fmt.Sprint(p.Index)}},
				":t": text(sortCount), ":exp": expires}}}}, nil
	}
	return nil, nil
}

func fanID(incarnation string, run, number int) string {
	return fmt.Sprintf("fan/%s/%d/%d", incarnation, run, number)
}

func countID(p jobs.Parent) string {
	return fmt.Sprintf("count/%s/%d/%d", p.Incarnation, p.Run, p.Fan)
}

// FanList implements jobs.Families.
func (s *Store) FanList(ctx context.Context, parent *jobs.Job) ([]jobs.FanChild, error) {
	id := fanID(parent.Incarnation, parent.Run, parent.Fan.Number)
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key(id), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, wrap("load the children of", parent.ID, err)
	}
	raw, err := unpack(bytesOf(out.Item, "b"))
	if err != nil || raw == nil {
		return nil, &jobs.Error{Class: jobs.Fatal, Op: "store: load the children of", Thing: parent.ID, Message: "their list is gone", Err: err}
	}
	var list []jobs.FanChild
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, unreadable(parent.ID, err)
	}
	return list, nil
}

// Ended implements jobs.Families.
func (s *Store) Ended(ctx context.Context, parent jobs.Parent) (int, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key(countID(parent)), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return 0, wrap("count the children of", parent.ID, err)
	}
	if set, ok := out.Item["ended"].(*types.AttributeValueMemberNS); ok {
		return len(set.Value), nil
	}
	return 0, nil
}

// Rows implements jobs.Families.
func (s *Store) Rows(ctx context.Context, ids []string) (map[string]*jobs.Row, error) {
	rows := map[string]*jobs.Row{}
	err := s.getAll(ctx, "load rows", ids, func(it item) {
		row, err := s.row(it)
		if err != nil {
			row = &jobs.Row{Unreadable: err}
		}
		if row != nil {
			rows[str(it, "id")] = row
		}
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}
