package queue

import (
	"context"
	"sync"
	"time"
)

// Limits of a batch (aws-facts "SQS"). The bytes leave room for the request's own.
const (
	batchEntries = 10
	batchBytes   = 1<<20 - 16<<10
)

// collector gathers entries for one queue into batches: a batch goes when it is full, or linger after its first entry. An
// entry's error is its own: one bad entry fails no neighbour.
type collector[T any] struct {
	linger time.Duration
	send   func(ctx context.Context, entries []T) []error
	wait   *sync.WaitGroup

	mu      sync.Mutex
	pending []pendingEntry[T]
	bytes   int
	timer   *time.Timer
}

type pendingEntry[T any] struct {
	entry T
	done  chan error
}

// add waits until the entry's batch was answered. An entry that was added is sent even if ctx ends meanwhile.
func (c *collector[T]) add(ctx context.Context, entry T, size int) error {
	p := pendingEntry[T]{entry: entry, done: make(chan error, 1)}
	c.mu.Lock()
	if len(c.pending) > 0 && c.bytes+size > batchBytes {
		c.flushLocked()
	}
	c.pending = append(c.pending, p)
	c.bytes += size
	if len(c.pending) == batchEntries {
		c.flushLocked()
	} else if len(c.pending) == 1 {
		c.timer = time.AfterFunc(c.linger, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.flushLocked()
		})
	}
	c.mu.Unlock()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flushLocked sends under a context of its own: the batch is the call of all who are in it, and neither the end nor the lease
// of one may refuse the others'.
func (c *collector[T]) flushLocked() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	batch := c.pending
	c.pending, c.bytes = nil, 0
	if len(batch) == 0 {
		return
	}
	c.wait.Go(func() {
		entries := make([]T, len(batch))
		for i, p := range batch {
			entries[i] = p.entry
		}
		for i, err := range c.send(context.Background(), entries) {
			batch[i].done <- err
		}
	})
}
