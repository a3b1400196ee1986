package spec

import (
	"encoding/json"
	"sync"
)

// cacheBytes bounds what a Cache holds, counted in bytes of undecoded specs.
const cacheBytes = 4 << 20

// Cache keeps decoded specs by digest: a job's spec is the same at each of its deliveries. What it gives is shared, and must
// not be changed. The zero value is ready.
type Cache[T any] struct {
	mu    sync.Mutex
	specs map[string]T
	bytes int
}

// Read is Read, once a digest. An empty digest is not kept.
func (c *Cache[T]) Read(digest string, raw json.RawMessage) (T, error) {
	if digest == "" {
		return Read[T](raw)
	}
	c.mu.Lock()
	decoded, ok := c.specs[digest]
	c.mu.Unlock()
	if ok {
		return decoded, nil
	}
	decoded, err := Read[T](raw)
	if err != nil {
		return decoded, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.specs == nil || c.bytes+len(raw) > cacheBytes {
		c.specs, c.bytes = map[string]T{}, 0 // jobs that still work fill it again
	}
	c.specs[digest] = decoded
	c.bytes += len(raw)
	return decoded, nil
}
