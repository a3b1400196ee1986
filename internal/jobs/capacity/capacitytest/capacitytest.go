// Package capacitytest is a memory of capacity for tests of the kinds.
package capacitytest

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/capacity"
)

// Memory is in memory, and as strict as the real one. The zero value is empty.
type Memory struct {
	mu    sync.Mutex
	pools map[string]capacity.Refusal
}

var _ capacity.Memory = (*Memory)(nil)

// Refusals implements capacity.Memory.
func (m *Memory) Refusals(_ context.Context, keys []string) (map[string]capacity.Refusal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]capacity.Refusal{}
	for _, key := range keys {
		if r, ok := m.pools[key]; ok {
			found[key] = r
		}
	}
	return found, nil
}

// Refuse implements capacity.Memory.
func (m *Memory) Refuse(_ context.Context, key string, r capacity.Refusal, begun time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pools == nil {
		m.pools = map[string]capacity.Refusal{}
	}
	if old, ok := m.pools[key]; !ok || !old.Until.After(begun) {
		m.pools[key] = r
	}
	return nil
}

// Try implements capacity.Memory.
func (m *Memory) Try(_ context.Context, key, job string, now, trial time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.pools[key]
	if !ok || r.Until.After(now) || r.Trial.After(now) && r.Trier != job {
		return false, nil
	}
	r.Trier, r.Trial = job, trial
	m.pools[key] = r
	return true, nil
}

// Forget implements capacity.Memory.
func (m *Memory) Forget(_ context.Context, key string, before time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.pools[key]; ok && r.At.Before(before) {
		delete(m.pools, key)
	}
	return nil
}

// All are the refusals that are remembered now, by key.
func (m *Memory) All() map[string]capacity.Refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.pools)
}
