package store

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	// aloneWrites is how many requests with writes are on their way at once before others wait to share one.
	aloneWrites = 2
	// largestBatch is DynamoDB's limit of statements a BatchExecuteStatement.
	largestBatch = 25
	// longestQueue is how long a write waits for others' to land: requests that hang hold up nobody else's.
	longestQueue = 250 * time.Millisecond
	// batchRest is how long nothing is shared after a shared request failed as a whole: a worker may not be allowed to, or
	// the network is broken. Every write goes alone then.
	batchRest = time.Minute
	// largestShared is up to how many bytes of documents a write shares a request: a batch of them stays well under the limit
	// of 16 MB, and nobody waits for another's megabytes.
	largestShared = 32 << 10
	// batchTimeout bounds a shared request. Who waits for it has a bound of his own.
	batchTimeout = 10 * time.Second
)

// together lets the writes of many jobs share requests while the worker is busy: a request costs more than the write in
// it, on both ends. While few are on their way each write goes alone, at once. What comes meanwhile waits for one of them to
// land, and goes out in one request, in which every statement has a condition and an end of its own.
//
// A shared request is trusted only where it says that a write was made. In any other case the write goes alone after all:
// it is conditional, so that it may go twice.
type together struct {
	api API
	log *slog.Logger

	mu     sync.Mutex
	flying int
	queue  []*shared
	rest   time.Time // until when nothing is shared
}

// shared is a write that waits for a request to share.
type shared struct {
	id        string
	statement types.BatchStatementRequest
	landed    chan landing
}

// landing is whether a write was made, and what it returns.
type landing struct {
	made    bool
	returns item
}

// write makes the write of an item, alone or as a statement of a shared request, and gives what it returns. The size is that
// of its documents.
func (t *together) write(ctx context.Context, id string, size int, statement func() types.BatchStatementRequest, alone func() (item, error)) (item, error) {
	t.mu.Lock()
	if t.flying < aloneWrites || size > largestShared || time.Now().Before(t.rest) {
		t.flying++
		t.mu.Unlock()
		defer t.land()
		return alone()
	}
	s := &shared{id: id, statement: statement(), landed: make(chan landing, 1)}
	t.queue = append(t.queue, s)
	t.mu.Unlock()
	patience := time.NewTimer(longestQueue)
	defer patience.Stop()
	for {
		select {
		case l := <-s.landed:
			if l.made {
				return l.returns, nil
			}
			return alone()
		case <-patience.C:
			if t.leave(s) {
				return alone()
			}
		case <-ctx.Done():
			t.leave(s)
			return alone() // which says so, as every call does
		}
	}
}

// leave takes a write out of the queue. One that is on its way stays there.
func (t *together) leave(s *shared) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := len(t.queue)
	t.queue = slices.DeleteFunc(t.queue, func(other *shared) bool { return other == s })
	return len(t.queue) < before
}

// land makes room for who waits.
func (t *together) land() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flying--
	if len(t.queue) > 0 && t.flying < aloneWrites {
		t.flying++
		go t.send(t.take())
	}
}

// take chooses the next writes to share a request, one of each item: DynamoDB takes no two. The caller holds the lock.
func (t *together) take() []*shared {
	var taken, left []*shared
	seen := map[string]bool{}
	for _, s := range t.queue {
		if len(taken) == largestBatch || seen[s.id] {
			left = append(left, s)
			continue
		}
		seen[s.id] = true
		taken = append(taken, s)
	}
	t.queue = left
	return taken
}

func (t *together) send(batch []*shared) {
	defer t.land()
	if len(batch) == 1 {
		batch[0].landed <- landing{} // what one is told is more than what a statement is
		return
	}
	in := &dynamodb.BatchExecuteStatementInput{Statements: make([]types.BatchStatementRequest, len(batch))}
	for i, s := range batch {
		in.Statements[i] = s.statement
	}
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	out, err := t.api.BatchExecuteStatement(ctx, in)
	if err == nil {
		err = denied(out.Responses)
	}
	if err != nil {
		t.mu.Lock()
		t.rest = time.Now().Add(batchRest)
		t.mu.Unlock()
		t.log.Warn("writes cannot share requests; each goes alone for a while", "writes", len(batch), "error", err)
	}
	for i, s := range batch {
		var l landing
		if out != nil && i < len(out.Responses) && out.Responses[i].Error == nil {
			l = landing{true, out.Responses[i].Item}
		}
		s.landed <- l
	}
}

// denied finds out whether the worker may not send statements: DynamoDB says so of each one.
func denied(responses []types.BatchStatementResponse) error {
	for _, r := range responses {
		if r.Error != nil && r.Error.Code == types.BatchStatementErrorCodeEnumAccessDenied {
			return fmt.Errorf("%s: %s (the worker needs dynamodb:PartiQLInsert and dynamodb:PartiQLUpdate)", r.Error.Code, aws.ToString(r.Error.Message))
		}
	}
	return nil
}
