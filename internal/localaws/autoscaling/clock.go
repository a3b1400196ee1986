package autoscaling

import (
	"sync"
	"time"
)

// clock runs the loop when something is due or has changed, one pass at a time. Its lock is never held while the loop runs.
type clock struct {
	run func() (next time.Time) // one pass; when the next is due, zero: only after a change

	mu      sync.Mutex
	open    bool
	timer   *time.Timer
	at      time.Time
	number  uint64 // of the timer
	again   bool   // something changed during the pass
	running bool
	passes  sync.WaitGroup
}

func (c *clock) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = true
}

// wake makes a pass at the time or sooner.
func (c *clock) wake(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arm(at)
}

func (c *clock) arm(at time.Time) {
	if !c.open || c.timer != nil && !c.at.After(at) {
		return
	}
	if c.timer != nil && c.timer.Stop() {
		c.passes.Done()
	}
	c.passes.Add(1)
	c.number++
	own := c.number
	c.at, c.timer = at, time.AfterFunc(time.Until(at), func() { c.fire(own) })
}

func (c *clock) fire(own uint64) {
	defer c.passes.Done()
	c.mu.Lock()
	if own == c.number {
		c.timer = nil
	}
	if !c.open || c.running {
		c.again = true
		c.mu.Unlock()
		return
	}
	c.running, c.again = true, false
	c.mu.Unlock()
	next := c.run()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
	if c.again {
		next = time.Now()
	}
	if !next.IsZero() {
		c.arm(next)
	}
}

func (c *clock) close() {
	c.mu.Lock()
	c.open = false
	if c.timer != nil && c.timer.Stop() {
		c.passes.Done()
	}
	c.timer = nil
	c.mu.Unlock()
	c.passes.Wait()
}
