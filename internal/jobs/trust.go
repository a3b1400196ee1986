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
	score := t.ofLocked(sort)
	t.score[sort] = score + (1-score)*trustGain
}

// missed: a poll ended the wait for the things, and no event did.
func (t *trust) missed(keys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		sort := sortOf(key)
		t.score[sort] = t.ofLocked(sort) * trustLoss
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
		least = min(least, t.ofLocked(sortOf(key)))
	}
	return d + time.Duration(least*float64(min(d*(stretchMost-1), stretchLimit)))
}

// ofLocked is the trust in events of the sort. The rules of an account and region are made together, so that a sort of which
// nothing is known yet is trusted as far as the least trusted of the others there.
func (t *trust) ofLocked(sort string) float64 {
	score, known := t.score[sort]
	if known {
		return score
	}
	place, least := sort[:strings.LastIndexByte(sort, '/')+1], 1.0
	for other, score := range t.score {
		if strings.HasPrefix(other, place) {
			known, least = true, min(least, score)
		}
	}
	if !known {
		return 0
	}
	return least
}

// stretch is how long the job's wait is, behind the events that it awaits. An urgent job looks as if there were none.
func (e *Engine) stretch(job *Job, move Move, keys []string) time.Duration {
	delay := max(move.delay, time.Second)
	if job.Priority == High {
		return delay
	}
	return e.trust.stretch(delay, keys)
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
