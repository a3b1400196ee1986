package jobs

import (
	"context"
	"errors"
	"sync"
	"time"
)

// beat extends, with one heartbeat, the lease and the visibility of everything in hand.
func (w *Worker) beat(ctx context.Context) {
	ticker := time.NewTicker(w.Engine.Times.Heartbeat / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			w.extend(ctx, now)
		}
	}
}

func (w *Worker) extend(ctx context.Context, now time.Time) {
	w.mu.Lock()
	var old []*inHand
	for h := range w.held {
		if now.Sub(h.since) >= w.Engine.Times.Heartbeat/2 {
			h.since = now
			old = append(old, h)
		}
	}
	w.mu.Unlock()
	var beats sync.WaitGroup
	for _, h := range old {
		beats.Go(func() { w.extendOne(ctx, h) })
	}
	beats.Wait()
}

func (w *Worker) beginBeat(h *inHand) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.settling {
		return false
	}
	h.beating = make(chan struct{})
	return true
}

// endBeats waits for the heartbeat under way and lets none begin: one that came late would hide a message again that was
// handed back.
func (w *Worker) endBeats(h *inHand) {
	w.mu.Lock()
	h.settling = true
	beating := h.beating
	w.mu.Unlock()
	if beating != nil {
		<-beating
	}
}

// extendOne moves the message's visibility first, so that the lease always ends before it. A claim that has passed on
// ends the delivery's context: it can change nothing any more.
func (w *Worker) extendOne(ctx context.Context, h *inHand) {
	if !w.beginBeat(h) {
		return
	}
	defer close(h.beating)
	times := w.Engine.Times
	ctx, cancel := context.WithTimeout(ctx, times.Heartbeat)
	defer cancel()
	if err := w.Queue.Hide(ctx, h.Received, times.Visibility); err != nil {
		w.Log.Warn("cannot extend a message's visibility", "message", h.ID, "error", err)
		return
	}
	w.mu.Lock()
	hold, end := h.hold, h.cancel
	w.mu.Unlock()
	if hold == nil {
		return
	}
	until := times.now().Add(times.Lease)
	err := w.Engine.Store.Renew(ctx, hold.Job, hold.Fence, until)
	switch {
	case err == nil:
		hold.Extend(until)
	case errors.Is(err, ErrFenced):
		end()
	default:
		w.Log.Warn("cannot extend a lease", "job", hold.Job, "error", err)
	}
}
