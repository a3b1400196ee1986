package capacity

import (
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/capacity"
)

const (
	// fresh is how long what was read serves.
	fresh = 3 * time.Second
	// mostKnown bounds the worker's memory.
	mostKnown = 10_000
)

// known is what was read lately.
type known struct {
	mu   sync.Mutex
	read map[string]reading
}

type reading struct {
	refusal capacity.Refusal
	at      time.Time
}

// get gives what is fresh, and the keys of the others. A pool that is known to have no refusal is in neither.
func (k *known) get(keys []string) (found map[string]capacity.Refusal, missing []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found = map[string]capacity.Refusal{}
	for _, key := range keys {
		switch r, ok := k.read[key]; {
		case !ok || time.Since(r.at) >= fresh:
			missing = append(missing, key)
		case r.refusal.Times > 0:
			found[key] = r.refusal
		}
	}
	return found, missing
}

func (k *known) put(found map[string]capacity.Refusal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.read == nil || len(k.read)+len(found) > mostKnown {
		k.read = map[string]reading{}
	}
	for key, r := range found {
		k.read[key] = reading{r, time.Now()}
	}
}

// drop makes the next question a read: this worker has just changed the pool's item.
func (k *known) drop(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.read, key)
}
