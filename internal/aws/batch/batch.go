// Package batch lets calls that come together share one: callers hand in keys, wait for a short window, and each gets the
// values of its own. It is for describing things by id; between windows it holds no goroutine and no memory.
package batch

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Options say how long a window is open.
type Options struct {
	// Idle closes the window when no caller has come for so long; 0 is 50 ms.
	Idle time.Duration
	// Max closes it however many still come; 0 is 1 s.
	Max time.Duration
	// Size closes it at once when so many keys have been handed in; 0 is 200.
	Size int
}

// Batcher gives T's their U's, as many T's a call as the window brought. It is safe for concurrent use.
type Batcher[T comparable, U any] struct {
	options Options
	fetch   func(ctx context.Context, keys []T) (map[T]U, error)

	mu   sync.Mutex
	open *window[T, U]
}

// New makes a batcher over fetch. Keys that fetch does not know are absent in what it returns.
func New[T comparable, U any](o Options, fetch func(ctx context.Context, keys []T) (map[T]U, error)) *Batcher[T, U] {
	if o.Idle <= 0 {
		o.Idle = 50 * time.Millisecond
	}
	if o.Max <= 0 {
		o.Max = time.Second
	}
	if o.Size <= 0 {
		o.Size = 200
	}
	return &Batcher[T, U]{options: o, fetch: fetch}
}

// window is one call to come.
type window[T comparable, U any] struct {
	ctx     context.Context
	cancel  context.CancelFunc
	opened  time.Time
	timer   *time.Timer
	closed  bool
	keys    []T
	seen    map[T]bool
	waiting int
	done    chan struct{}
	values  map[T]U
	err     error
}

// Get gives the values of the keys that fetch knows. A caller whose context ends leaves; the call goes on for the others,
// and is given up when nobody waits for it any more.
func (b *Batcher[T, U]) Get(ctx context.Context, keys ...T) (map[T]U, error) {
	values := make(map[T]U, len(keys))
	windows := b.join(keys)
	for i, w := range windows {
		select {
		case <-w.done:
		case <-ctx.Done():
			for _, w := range windows[i:] {
				b.leave(w)
			}
			return nil, ctx.Err()
		}
		b.leave(w)
		if w.err != nil {
			for _, w := range windows[i+1:] {
				b.leave(w)
			}
			return nil, w.err
		}
		for _, key := range keys {
			if value, ok := w.values[key]; ok {
				values[key] = value
			}
		}
	}
	return values, nil
}

// join puts the keys into the open window, and into further ones where it is full.
func (b *Batcher[T, U]) join(keys []T) []*window[T, U] {
	b.mu.Lock()
	defer b.mu.Unlock()
	var joined []*window[T, U]
	for _, key := range keys {
		w := b.open
		if w == nil {
			w = b.start()
		}
		if len(joined) == 0 || joined[len(joined)-1] != w {
			joined = append(joined, w)
			w.waiting++
		}
		if !w.seen[key] {
			w.seen[key] = true
			w.keys = append(w.keys, key)
		}
		if len(w.keys) >= b.options.Size {
			b.close(w)
			go b.run(w)
		}
	}
	if w := b.open; w != nil && len(keys) > 0 {
		w.timer.Reset(min(b.options.Idle, b.options.Max-time.Since(w.opened)))
	}
	return joined
}

func (b *Batcher[T, U]) start() *window[T, U] {
	w := &window[T, U]{opened: time.Now(), seen: map[T]bool{}, done: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.timer = time.AfterFunc(b.options.Idle, func() {
		b.mu.Lock()
		due := !w.closed
		b.close(w)
		b.mu.Unlock()
		if due {
			b.run(w)
		}
	})
	b.open = w
	return w
}

// close ends the window's time to join. The caller holds the lock, and runs what it closed.
func (b *Batcher[T, U]) close(w *window[T, U]) {
	w.closed = true
	w.timer.Stop()
	if b.open == w {
		b.open = nil
	}
}

func (b *Batcher[T, U]) run(w *window[T, U]) {
	defer close(w.done)
	defer func() {
		if p := recover(); p != nil {
			w.err = fmt.Errorf("panic in a batched call: %v\n%s", p, debug.Stack())
		}
	}()
	w.values, w.err = b.fetch(w.ctx, w.keys)
}

// leave takes a caller out; the last one cancels the call, and drops the window if it is still open.
func (b *Batcher[T, U]) leave(w *window[T, U]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w.waiting--
	if w.waiting > 0 {
		return
	}
	w.cancel()
	if !w.closed {
		b.close(w)
	}
}
