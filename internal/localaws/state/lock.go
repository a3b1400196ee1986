package state

import (
	"bytes"
	"strings"
	"sync"
)

// RWMutex is a service's lock. All that its holder changes in the service's tables is logged as one line when it lets go:
// a kill in the middle of a call leaves nothing of it, and never a part, such as servers without their client token. The
// zero value, and one whose store has no path, is a mere lock.
type RWMutex struct {
	sync.RWMutex
	store   *Store
	service string
}

// Keep makes the lock keep together what is changed in the tables whose names begin with the service's.
func (m *RWMutex) Keep(store *Store, service string) { m.store, m.service = store, service }

// Lock takes the lock.
func (m *RWMutex) Lock() {
	m.RWMutex.Lock()
	if m.store != nil {
		m.store.hold(m.service)
	}
}

// Unlock logs what was changed, and lets go.
func (m *RWMutex) Unlock() {
	if m.store != nil {
		m.store.release(m.service)
	}
	m.RWMutex.Unlock()
}

// act is what the holder of a service's lock has changed so far.
type act struct {
	lines [][]byte
}

// serviceOf is the service that a table belongs to: ec2 for ec2-instances, dynamodb for dynamodb.items.
func serviceOf(table string) string {
	if end := strings.IndexAny(table, ".-"); end >= 0 {
		return table[:end]
	}
	return table
}

func (s *Store) hold(service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.acts[service] = &act{}
	}
}

func (s *Store) release(service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.acts[service]
	delete(s.acts, service)
	if a == nil || len(a.lines) == 0 || s.err != nil {
		return
	}
	line := a.lines[0]
	if len(a.lines) > 1 {
		line = append(append([]byte{'['}, bytes.Join(a.lines, []byte{','})...), ']')
	}
	_, s.err = s.buffer.Write(append(line, '\n'))
}
