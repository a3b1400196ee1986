package batch

import (
	"cmp"
	"slices"
	"time"
)

const (
	// aheadAtMost is how old a value may be that was asked for before its caller came: a queue's delays are of whole
	// seconds, so that the callers of one instant come within one.
	aheadAtMost = 1500 * time.Millisecond
	// earlyAtMost is by how much the instant at which a key is due may be missed.
	earlyAtMost = 2 * time.Second
	// again is how far apart two questions are at least that are not one caller's.
	again = time.Second
	// keptFor is how long a key is remembered that nobody asks for any more, beside twice its interval.
	keptFor = time.Minute
	// keptPerCall bounds the keys that are remembered, as a multiple of what a call takes along.
	keptPerCall = 16
)

// habit is what a batcher remembers of a key: when it was asked for, and how long after the time before.
type habit[T comparable, U any] struct {
	last   time.Time
	number int           // of its first question
	every  time.Duration // 0: it was asked for once
	// flight is the call under way that takes the key along.
	flight *window[T, U]
	// value is what a call brought along, as of at. It is handed out once.
	value U
	at    time.Time
	held  bool
}

// Forget drops what was asked for ahead of the keys: they have just been changed.
func (b *Batcher[T, U]) Forget(keys ...T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		if h := b.habits[key]; h != nil {
			h.drop()
			h.flight = nil
		}
	}
}

// ahead is what a call brought along for the key, or the call that is on its way with it. The lock is held.
func (b *Batcher[T, U]) ahead(key T, now time.Time, fresh bool) (value U, flight *window[T, U], ok bool) {
	if b.options.Along == 0 {
		return value, nil, false
	}
	h := b.habits[key]
	if h == nil {
		if len(b.habits) < keptPerCall*b.options.Along {
			b.number++
			b.habits[key] = &habit[T, U]{last: now, number: b.number}
		}
		return value, nil, false
	}
	if !fresh {
		if h.held && now.Sub(h.at) <= min(aheadAtMost, h.every/4) {
			value, ok = h.value, true
		} else if h.flight != nil && h.flight.waiting > 0 {
			flight = h.flight
		}
	}
	h.drop()
	if gap := now.Sub(h.last); gap >= again {
		h.last, h.every = now, gap
	}
	return value, flight, ok
}

func (h *habit[T, U]) drop() {
	var none U
	h.value, h.held = none, false
}

// takeAlong chooses the keys that are due and that fit the call, those first that were asked for longest ago, and forgets
// what nobody asks for any more.
func (b *Batcher[T, U]) takeAlong(w *window[T, U], now time.Time) []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	var along []T
	for key, h := range b.habits {
		switch {
		case now.Sub(h.last) > 2*h.every+keptFor:
			delete(b.habits, key)
		case w.seen[key]:
			h.drop()
		case h.flight == nil && h.due(now):
			along = append(along, key)
		}
	}
	slices.SortFunc(along, func(x, y T) int {
		one, other := b.habits[x], b.habits[y]
		return cmp.Or(one.last.Compare(other.last), cmp.Compare(one.number, other.number))
	})
	along = along[:min(len(along), max(b.options.Along-len(w.keys), 0))]
	for _, key := range along {
		b.habits[key].flight = w
	}
	return along
}

// due: the key will be asked for about now. What is asked for in quick succession is not worth it.
func (h *habit[T, U]) due(now time.Time) bool {
	if h.every < 2*again || h.held && now.Sub(h.at) <= min(aheadAtMost, h.every/4) {
		return false
	}
	return h.last.Add(h.every).Sub(now).Abs() <= min(earlyAtMost, h.every/4)
}

// arrive keeps what the call brought along for the callers to come.
func (b *Batcher[T, U]) arrive(w *window[T, U], along []T, begun time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range along {
		h := b.habits[key]
		if h == nil || h.flight != w {
			continue
		}
		h.flight = nil
		value, ok := w.values[key]
		if ok && h.last.Before(begun) { // else its caller waits for this very call
			h.value, h.at, h.held = value, begun, true
		}
	}
}
