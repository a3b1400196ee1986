package dynamodb

import "sync"

// cache keeps parsed expressions by their text: a program has few, and sends them again and again. When it is full it
// starts over.
type cache[T any] struct {
	parse   func(text string) (T, error)
	mu      sync.RWMutex
	entries map[string]parsed[T]
}

type parsed[T any] struct {
	expression T
	err        error
}

const cacheEntries = 1000

func (c *cache[T]) get(text string) (T, error) {
	c.mu.RLock()
	entry, ok := c.entries[text]
	c.mu.RUnlock()
	if ok {
		return entry.expression, entry.err
	}
	entry.expression, entry.err = c.parse(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= cacheEntries {
		c.entries = make(map[string]parsed[T])
	}
	c.entries[text] = entry
	return entry.expression, entry.err
}
