// Package batch lets calls that come together share one: callers hand in keys, wait for a short window, and each gets the
// values of its own. It is for describing things by id; between windows it holds no goroutine and no timer.
//
// Keys that are asked for again and again are asked for at common instants, but their callers do not come in one window:
// there are more of them than a worker has slots, and a queue delivers within a second. So a call that goes out anyway
// takes along, up to what fits it, the keys that are due, and their callers find the answer there (habits.go).
package batch

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Options say how long a window is open, and what a call takes.
type Options struct {
	// Idle closes the window when no caller has come for so long; 0 is 50 ms.
	Idle time.Duration
	// Max closes it however many still come; 0 is 1 s.
	Max time.Duration
	// Size closes it at once when so many keys have been handed in; 0 is 200.
	Size int
	// Along is up to how many keys a call is filled with those that are due; 0: none are taken along.
	Along int
	// Fresh reports that a caller wants no value that was asked for before it came: it knows that there is a new one.
	Fresh func(ctx context.Context) bool
	// Lend gives the call's context what the call needs of a caller's; nil: nothing. It must not hold the caller's claim.
	Lend func(call, caller context.Context) context.Context
	// Blames reports that an error is about single keys of the call, not about the call: the keys are then asked for in
	// halves, so that the error is only theirs whose key it is about.
	Blames func(err error) bool
}

// Batcher gives T's their U's, as many T's a call as the window brought. It is safe for concurrent use.
type Batcher[T comparable, U any] struct {
	options Options
	fetch   func(ctx context.Context, keys []T) (map[T]U, error)

	mu     sync.Mutex
	open   *window[T, U]
	habits map[T]*habit[T, U]
	number int // of keys that were remembered
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
	return &Batcher[T, U]{options: o, fetch: fetch, habits: map[T]*habit[T, U]{}}
}

// window is one call to come, or under way.
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
	failed  map[T]error
}

// Get gives the values of the keys that fetch knows. A caller whose context ends leaves; the call goes on for the others,
// and is given up when nobody waits for it any more.
func (b *Batcher[T, U]) Get(ctx context.Context, keys ...T) (map[T]U, error) {
	values := make(map[T]U, len(keys))
	windows := b.join(ctx, keys, values, b.options.Fresh != nil && b.options.Fresh(ctx))
	for i, w := range windows {
		select {
		case <-w.done:
		case <-ctx.Done():
			b.leave(windows[i:]...)
			return nil, ctx.Err()
		}
		b.leave(w)
		for _, key := range keys {
			if err := w.failed[key]; err != nil {
				b.leave(windows[i+1:]...)
				return nil, err
			}
			if value, ok := w.values[key]; ok {
				values[key] = value
			}
		}
	}
	return values, nil
}

// join takes the values that were asked for ahead, and puts the other keys into the call that they are on the way with,
// the open window, and further ones where it is full.
func (b *Batcher[T, U]) join(ctx context.Context, keys []T, values map[T]U, fresh bool) []*window[T, U] {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var joined []*window[T, U]
	added := false
	for _, key := range keys {
		value, flight, ok := b.ahead(key, now, fresh)
		if ok {
			values[key] = value
			continue
		}
		w := flight
		if w == nil {
			if w = b.open; w == nil {
				w = b.start()
			}
			w.add(key)
			added = true
		}
		if !contains(joined, w) {
			joined = append(joined, w)
			w.waiting++
			if b.options.Lend != nil && !w.closed {
				w.ctx = b.options.Lend(w.ctx, ctx) //nolint:fatcontext // as deep as there are priorities
			}
		}
		if !w.closed && len(w.keys) >= b.options.Size {
			b.close(w)
			go b.run(w)
		}
	}
	if w := b.open; w != nil && added {
		w.timer.Reset(min(b.options.Idle, b.options.Max-time.Since(w.opened)))
	}
	return joined
}

func (w *window[T, U]) add(key T) {
	if !w.seen[key] {
		w.seen[key] = true
		w.keys = append(w.keys, key)
	}
}

// contains looks from the end: a caller's keys come into one window after the other.
func contains[T comparable, U any](list []*window[T, U], w *window[T, U]) bool {
	for _, joined := range slices.Backward(list) {
		if joined == w {
			return true
		}
	}
	return false
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
	begun := time.Now()
	along := b.takeAlong(w, begun)
	w.values, w.failed = map[T]U{}, map[T]error{}
	b.ask(w, append(slices.Clip(w.keys), along...))
	b.arrive(w, along, begun)
	close(w.done)
}

// ask fetches the keys, in halves where one of them spoils the call.
func (b *Batcher[T, U]) ask(w *window[T, U], keys []T) {
	values, err := b.guarded(w.ctx, keys)
	switch {
	case err == nil:
		maps.Copy(w.values, values)
	case len(keys) > 1 && b.options.Blames != nil && b.options.Blames(err):
		b.ask(w, keys[:len(keys)/2])
		b.ask(w, keys[len(keys)/2:])
	default:
		for _, key := range keys {
			w.failed[key] = err
		}
	}
}

func (b *Batcher[T, U]) guarded(ctx context.Context, keys []T) (values map[T]U, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a batched call: %v\n%s", p, debug.Stack())
		}
	}()
	return b.fetch(ctx, keys)
}

// leave takes a caller out; the last one cancels the call, and drops the window if it is still open.
func (b *Batcher[T, U]) leave(windows ...*window[T, U]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range windows {
		w.waiting--
		if w.waiting > 0 {
			continue
		}
		w.cancel()
		if !w.closed {
			b.close(w)
		}
	}
}
