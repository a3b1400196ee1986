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

// heldPlace takes the place that the worker holds in the class's line for calls that belong to no single job.
func (k *bucket) heldPlace(class budget.Class) (budget.Place, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	place, ok := k.held[class]
	delete(k.held, class)
	return place, ok
}

func (k *bucket) holdPlace(class budget.Class, place budget.Place, holds bool) {
	if !holds {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held == nil {
		k.held = map[budget.Class]budget.Place{}
	}
	k.held[class] = place
}
