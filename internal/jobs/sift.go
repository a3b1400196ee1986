package jobs

import (
	"context"
	"crypto/rand"
	"slices"
	"time"
)

// Sift reads deliveries that are events and looks up, for all of them in one call, who awaits their things. It gives what
// becomes of each: an event that nobody awaits is deleted. Those that are to be delivered have the zero outcome.
func (e *Engine) Sift(ctx context.Context, events []*Delivery) []Outcome {
	outcomes, keys := make([]Outcome, len(events)), make([]string, len(events))
	var distinct []string
	for i, d := range events {
		event, awaited, err := ParseEvent(d.Body)
		switch {
		case err != nil:
			outcomes[i] = refused(err.Error())
		case !awaited || e.Awaits == nil:
			outcomes[i] = deleted()
		default:
			if keys[i] = event.key(); !slices.Contains(distinct, keys[i]) {
				distinct = append(distinct, keys[i])
			}
		}
	}
	if len(distinct) == 0 {
		return outcomes
	}
	waiters, err := e.Awaits.Awaiting(ctx, distinct)
	if err != nil {
		e.Log.Warn("cannot look up who awaits events", "events", len(distinct), "error", err)
	}
	for i, key := range keys {
		waiter, found := waiters[key]
		switch {
		case key == "":
		case err != nil:
			outcomes[i] = hidden(events[i].patience())
		case !found:
			outcomes[i] = deleted()
		default:
			events[i].waiter = waiter
			events[i].wake = &Message{Type: Nudge, Job: waiter.Job, Incarnation: waiter.Incarnation, Run: waiter.Run, awaited: key}
		}
	}
	return outcomes
}

// take brings received messages to the slots. Events go through the sift first, here, in the poll that brought them: one
// look-up for all of them, no slot and no claim for what nobody awaits, and no next poll before they are seen through, so
// that a flood of events waits in the queue.
func (w *Worker) take(lane Lane, messages []Received) {
	var others, events []*inHand
	for _, message := range messages {
		h := &inHand{Delivery: Delivery{Received: message, Token: rand.Text()}, since: time.Now()}
		if IsEvent(message.Body) {
			events = append(events, h)
		} else {
			others = append(others, h)
		}
	}
	w.accept(lane, others)
	if len(events) == 0 {
		return
	}
	deliveries := make([]*Delivery, len(events))
	for i, h := range events {
		deliveries[i] = &h.Delivery
	}
	var urgent, awaited []*inHand
	for i, outcome := range w.Engine.Sift(w.base, deliveries) {
		switch h := events[i]; {
		case h.wake == nil:
			w.work.Go(func() { w.settle(h, outcome) })
		case h.waiter.Urgent:
			urgent = append(urgent, h)
		case h.waiter.Company > 0:
			w.keep(lane, h)
		default:
			awaited = append(awaited, h)
		}
	}
	w.accept(LaneHigh, urgent)
	w.accept(lane, awaited)
}
