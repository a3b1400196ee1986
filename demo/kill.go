package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/setup"
)

// kill is the end of a worker that held a claim.
type kill struct {
	worker *worker
	held   leased
	call   string
}

// leased is what the jobs table says of a job that somebody holds.
type leased struct {
	job, delivery string
	fence         int64
	until         time.Time
}

// grace is how long EC2's answers are held back, shorter than a worker's time-out with a lease of 6 s (2.6 s).
const grace = "2400ms"

// strike is where a worker is to die: in so many calls of this name, whose effect in EC2 is then there.
type strike struct {
	call    string
	times   int
	applied func(map[string]map[string]int) bool // of EC2's own counts
	struck  chan struct{}                        // closed when it has died; may be nil
}

// strikeDown kills a worker that makes the call, after EC2 has carried it out and before the worker learns of it: the
// answer is held back meanwhile. That the worker holds the claim is no guess. It is stopped first, so that it can neither
// finish nor hand back; then the jobs table must still show its lease; then it gets SIGKILL.
func (s *show) strikeDown(ctx context.Context, k strike) error {
	rule := map[string]any{"service": "ec2", "action": k.call, "times": k.times, "delayAnswer": grace}
	if err := s.Control(ctx, http.MethodPost, "faults", rule, nil); err != nil {
		return err
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for applied := false; ; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no worker was found that holds a claim during %s: %w", k.call, context.Cause(ctx))
		case <-ticker.C:
		}
		if !applied {
			var err error
			if applied, err = s.applied(ctx, k); err != nil {
				return err
			}
			continue
		}
		if killed, err := s.killHolder(ctx, k); err != nil || killed {
			return err
		}
	}
}

// applied: the calls have come to EC2, and it has done what they ask.
func (s *show) applied(ctx context.Context, k strike) (bool, error) {
	var rules []struct {
		Action string `json:"action"`
		Met    int    `json:"met"`
	}
	if err := s.Control(ctx, http.MethodGet, "faults", nil, &rules); err != nil {
		return false, err
	}
	met := false
	for _, r := range rules {
		met = met || r.Action == k.call && r.Met == k.times
	}
	if !met {
		return false, nil
	}
	counts, err := s.counts(ctx)
	return err == nil && k.applied(counts), err
}

// killHolder kills the first worker that the jobs table shows to hold a job.
func (s *show) killHolder(ctx context.Context, k strike) (bool, error) {
	candidates, err := s.leases(ctx)
	if err != nil {
		return false, err
	}
	for _, held := range candidates {
		for i, w := range s.workers {
			if _, ok := w.claimed(held.delivery); !ok || !w.Running() {
				continue
			}
			w.Signal(syscall.SIGSTOP)
			now, err := s.lease(ctx, held.job)
			if err != nil || now.delivery != held.delivery || now.fence != held.fence || time.Until(now.until) <= 0 {
				w.Signal(syscall.SIGCONT)
				if err != nil {
					return false, err
				}
				continue
			}
			w.Signal(syscall.SIGKILL)
			left := time.Until(now.until).Seconds()
			<-w.Gone()
			s.kills = append(s.kills, kill{w, now, k.call})
			s.say.line(red, "kill -9 worker %d (pid %d) during %s: EC2 has done it, the worker never learns of it", i+1, w.PID(), k.call)
			s.say.line(red, "it held %s: fence %d, lease for another %.1f s, says the jobs table", now.job, now.fence, left)
			return true, nil
		}
	}
	return false, nil
}

// counts are EC2's own, without propagation delay, over all regions: things by state.
func (s *show) counts(ctx context.Context) (map[string]map[string]int, error) {
	var services struct {
		EC2 map[string]map[string]int `json:"ec2"`
	}
	err := s.Control(ctx, http.MethodGet, "state", nil, &services)
	return services.EC2, err
}

// takenOver waits until another worker has claimed the job of the last kill, and tells.
func (s *show) takenOver(ctx context.Context) error {
	k, begun := s.kills[len(s.kills)-1], time.Now()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		for i, w := range s.workers {
			w.mu.Lock()
			for _, c := range w.claims {
				if w != k.worker && c.Job == k.held.job && c.Fence > k.held.fence {
					w.mu.Unlock()
					s.say.line(green, "worker %d carries on with %s at step %s: fence %d, %.1f s after the kill", i+1, c.Job, c.Step, c.Fence, time.Since(begun).Seconds())
					return nil
				}
			}
			w.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody took %s over: %w", k.held.job, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// leases are the open jobs that somebody holds now.
func (s *show) leases(ctx context.Context) ([]leased, error) {
	out, err := s.aws.DynamoDB.Scan(ctx, &dynamodb.ScanInput{
		TableName: aws.String(setup.JobsTable("stampmill")), ConsistentRead: aws.Bool(true),
		FilterExpression: aws.String("t = :job AND #state = :open AND lease > :now"), ExpressionAttributeNames: map[string]string{"#state": "state"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":job": &types.AttributeValueMemberS{Value: "job"}, ":open": &types.AttributeValueMemberS{Value: "open"},
			":now": &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().UnixMilli(), 10)}},
	})
	if err != nil {
		return nil, fmt.Errorf("read the jobs table: %w", err)
	}
	var all []leased
	for _, item := range out.Items {
		all = append(all, leaseOf(item))
	}
	return all, nil
}

func (s *show) lease(ctx context.Context, job string) (leased, error) {
	out, err := s.aws.DynamoDB.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(setup.JobsTable("stampmill")), ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: job}}})
	if err != nil {
		return leased{}, fmt.Errorf("read the jobs table: %w", err)
	}
	return leaseOf(out.Item), nil
}

func leaseOf(item map[string]types.AttributeValue) leased {
	word := func(name string) string {
		if v, ok := item[name].(*types.AttributeValueMemberS); ok {
			return v.Value
		}
		return ""
	}
	count := func(name string) int64 {
		if v, ok := item[name].(*types.AttributeValueMemberN); ok {
			if n, err := strconv.ParseInt(v.Value, 10, 64); err == nil {
				return n
			}
		}
		return 0
	}
	return leased{job: word("id"), delivery: word("dlv"), fence: count("fence"), until: time.UnixMilli(count("lease"))}
}
