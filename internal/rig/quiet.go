package rig

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
)

// Wait waits until all jobs are terminal, at most for limit of the bubble's time.
func (r *Rig) Wait(ctx context.Context, limit time.Duration, ids ...string) (map[string]*jobs.Job, error) {
	end := time.Now().Add(limit)
	for {
		rows, err := r.User.Store.Rows(ctx, ids)
		if err != nil {
			return nil, err
		}
		ended := map[string]*jobs.Job{}
		for id, row := range rows {
			if row.Job != nil && row.Job.Finished() {
				ended[id] = row.Job
			}
		}
		if len(ended) == len(ids) {
			return ended, nil
		}
		if time.Now().After(end) {
			return ended, fmt.Errorf("%d of %d jobs did not end within %s", len(ids)-len(ended), len(ids), limit)
		}
		time.Sleep(5 * time.Second)
	}
}

// Cancel asks to cancel a job's run.
func (r *Rig) Cancel(ctx context.Context, id string, run int) error {
	return r.User.Queue.Send(ctx, jobs.LaneHigh, &jobs.Message{Type: jobs.Cancel, Job: id, Run: run}, 0)
}

// Retry asks for another run of a job whose last one is over.
func (r *Rig) Retry(ctx context.Context, id string, run int) error {
	return r.User.Queue.Send(ctx, jobs.LaneNormal, &jobs.Message{Type: jobs.Reopen, Job: id, Run: run}, 0)
}

// settling is how long messages may outlive their jobs: the longest delay that a queue gives, and a lease.
const settling = 20 * time.Minute

// Quiet waits until nothing is left of jobs that are over: no message on any queue, seen or delayed, no open job, no lease.
// It answers an error if that does not come to be, and at once if there is a dead letter.
func (r *Rig) Quiet(ctx context.Context) error {
	end := time.Now().Add(settling)
	for {
		left, err := r.left(ctx)
		if err != nil {
			return err
		}
		if left == "" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %s there is still %s", settling, left)
		}
		time.Sleep(30 * time.Second)
	}
}

func (r *Rig) left(ctx context.Context) (string, error) {
	dead, err := r.Messages(ctx, queue.DeadLetters)
	if err != nil {
		return "", err
	}
	if dead > 0 {
		return "", fmt.Errorf("%d dead letters", dead)
	}
	for _, lane := range jobs.Lanes {
		n, err := r.Messages(ctx, lane)
		if err != nil {
			return "", err
		}
		if n > 0 {
			return fmt.Sprintf("%d messages in %s", n, lane), nil
		}
	}
	all, err := r.User.Store.List(ctx, store.Filter{Children: true, Limit: 1000})
	if err != nil {
		return "", err
	}
	for _, job := range all {
		if !job.Finished() || !job.Lease.IsZero() {
			return fmt.Sprintf("%s: %s, leased until %s", job.ID, job.State, job.Lease), nil
		}
	}
	return "", nil
}

// Messages counts what a queue holds: visible, in flight and delayed.
func (r *Rig) Messages(ctx context.Context, lane jobs.Lane) (int, error) {
	url := r.User.Queue.URL(lane)
	out, err := r.User.SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed}})
	if err != nil {
		return 0, err
	}
	total := 0
	for name, value := range out.Attributes {
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("%s is %q: %w", name, value, err)
		}
		total += n
	}
	return total, nil
}
