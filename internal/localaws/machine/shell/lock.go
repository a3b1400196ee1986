package shell

import (
	"context"
	"sync"
)

// locks are the advisory locks of a server, by file.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// TryLock takes the lock of a file if it is free.
func (s *System) TryLock(name string) (release func(), ok bool) {
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	if s.locks.held == nil {
		s.locks.held = map[string]chan struct{}{}
	}
	if _, taken := s.locks.held[name]; taken {
		return nil, false
	}
	free := make(chan struct{})
	s.locks.held[name] = free
	return sync.OnceFunc(func() {
		s.locks.mu.Lock()
		defer s.locks.mu.Unlock()
		delete(s.locks.held, name)
		close(free)
	}), true
}

// Lock takes the lock of a file, waiting for it until the context ends.
func (s *System) Lock(ctx context.Context, name string) (release func(), ok bool) {
	for {
		if release, ok = s.TryLock(name); ok {
			return release, true
		}
		s.locks.mu.Lock()
		free, taken := s.locks.held[name]
		s.locks.mu.Unlock()
		if !taken {
			continue
		}
		select {
		case <-free:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// Name is the path of the open file, empty for pipes.
func (h *Handle) Name() string { return h.name }

// HoldLock ties a lock to the open file: it is released when the file is closed everywhere, or by Unlock.
func (h *Handle) HoldLock(release func()) { h.lock.Store(&release) }

// Unlock releases the lock, if there is one.
func (h *Handle) Unlock() {
	if release := h.lock.Swap(nil); release != nil {
		(*release)()
	}
}
