package budgets

import (
	"time"

	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// blockLife is how long requests that were taken in a block may be used: the real bucket has refilled by then, and keeps no
// more than its size.
const blockLife = 10 * time.Second

// blockShare is the part of what is left in a bucket that one block takes, and largestBlock the most.
const (
	blockShare   = 10
	largestBlock = 10
)

// block is requests that were taken beforehand, for whichever call comes next.
type block struct {
	left  int
	until time.Time
}

// blockOf is how many requests to take beforehand: none where they are scarce.
func blockOf(limit budget.Limit, level float64) int {
	if level < limit.Requests.Size/2 {
		return 0
	}
	return min(int(level/blockShare), largestBlock)
}

// spare takes a block from the state, for a call of requests only that was granted at once.
func (k *bucket) spare(state *budget.Bucket, now time.Time, c call, due time.Time) int {
	if c.resources > 0 || due.After(state.At) {
		return 0
	}
	return state.Spare(k.limit, now, blockOf(k.limit, state.Requests.Level))
}

func (k *bucket) fromBlock() bool {
	now := k.config.Clock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.block.left == 0 || now.After(k.block.until) {
		return false
	}
	k.block.left--
	return true
}

func (k *bucket) addBlock(n int) {
	if n == 0 {
		return
	}
	now := k.config.Clock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.After(k.block.until) {
		k.block.left = 0
	}
	k.block.left += n
	k.block.until = now.Add(blockLife)
}

// dropBlock forgets it: EC2 says that the requests are not there.
func (k *bucket) dropBlock() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.block = block{}
}

// heldLine tells apart the places that a worker holds: a place is for as many servers as were asked for.
type heldLine struct {
	class     budget.Class
	resources float64
}

// heldPlace takes the place that the worker holds in the line for calls that belong to no single job.
func (k *bucket) heldPlace(line heldLine) (budget.Place, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	place, ok := k.held[line]
	delete(k.held, line)
	return place, ok
}

func (k *bucket) holdPlace(line heldLine, place budget.Place, holds bool) {
	if !holds {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held == nil {
		k.held = map[heldLine]budget.Place{}
	}
	k.held[line] = place
}
