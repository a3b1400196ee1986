package jobs

import (
	"strings"
	"sync"
	"time"
)

// trust is how far this worker relies on events, by account, region and sort of thing: where nobody set up rules, or events
// get lost, polls do the work. It begins distrustful, grows with each wait that an event ended, and falls with each that a
// poll ended though an event should have.
type trust struct {
	mu    sync.Mutex
	score map[string]float64 // 0 to 1
}

const (
	// trustGain is how much of what is missing to full trust an event adds; trustLoss what a poll that finds what no event told
	// leaves of it.
	trustGain, trustLoss = 0.3, 0.5
	// stretchMost is by how much a poll behind trusted events is put off, as a multiple of its time, and stretchLimit at most:
	// an event that gets lost all the same delays its job by no more.
	stretchMost  = 6
	stretchLimit = 5 * time.Minute
)

func newTrust() *trust { return &trust{score: map[string]float64{}} }

// heard: an event ended a wait.
func (t *trust) heard(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sort := sortOf(key)
	t.score[sort] += (1 - t.score[sort]) * trustGain
}

// missed: a poll ended the wait for the things, and no event did.
func (t *trust) missed(keys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		t.score[sortOf(key)] *= trustLoss
	}
}

// stretch is how long to wait for the things where d would be right without events: as the least trusted allows.
func (t *trust) stretch(d time.Duration, keys []string) time.Duration {
	if len(keys) == 0 {
		return d
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	least := 1.0
	for _, key := range keys {
		least = min(least, t.score[sortOf(key)])
	}
	return d + min(time.Duration(float64(d)*(stretchMost-1)*least), stretchLimit)
}

// sortOf is the key with the sort of the thing instead of its id: accounts, regions and sorts are few.
func sortOf(key string) string {
	at := strings.LastIndexByte(key, '/') + 1
	for _, sort := range []string{"i-", "ami-", "snap-"} {
		if strings.HasPrefix(key[at:], sort) {
			return key[:at] + sort
		}
	}
	return key[:at] + "command"
}
