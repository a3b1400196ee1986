package jobs

import "time"

// Events come one by one where polls come together, and each has its job look anew. An event whose job is in no hurry
// therefore waits a moment, in the worker, for others of its account, region and sort of thing: then they are delivered
// together, and their looks share a call. It holds no slot, no goroutine and no claim meanwhile; its message stays in
// flight, so that a worker that dies only makes it late.

const (
	// mostCompany bounds how long an event waits, whatever its job asks for: less than a message is hidden.
	mostCompany = 15 * time.Second
	// fullCompany is how many events wait at most; more than that share no call.
	fullCompany = 200
)

// company is events that wait for each other. One timer is theirs.
type company struct {
	lane  Lane
	kept  []*inHand
	due   time.Time
	timer *time.Timer
}

// keep lets an event wait for others. The first that is due takes all along.
func (w *Worker) keep(lane Lane, h *inHand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		w.work.Go(func() { w.handBack(h) })
		return
	}
	w.held[h] = struct{}{}
	sort := sortOf(h.wake.awaited)
	due := time.Now().Add(min(h.waiter.Company, mostCompany))
	c := w.company[sort]
	if c == nil {
		c = &company{lane: lane, due: due}
		c.timer = time.AfterFunc(time.Until(due), func() { w.deliver(sort, c) })
		w.company[sort] = c
	}
	c.kept = append(c.kept, h)
	if due.Before(c.due) {
		c.due = due
		c.timer.Reset(time.Until(due))
	}
	if len(c.kept) >= fullCompany {
		w.deliverLocked(sort, c)
	}
}

func (w *Worker) deliver(sort string, c *company) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deliverLocked(sort, c)
}

// deliverLocked brings them to the slots, once.
func (w *Worker) deliverLocked(sort string, c *company) {
	if w.company[sort] != c {
		return
	}
	c.timer.Stop()
	delete(w.company, sort)
	w.ready[c.lane] = append(w.ready[c.lane], c.kept...)
	w.dispatchLocked()
}

// dismissLocked gives the events that wait, to be handed back.
func (w *Worker) dismissLocked() (all []*inHand) {
	for sort, c := range w.company {
		c.timer.Stop()
		delete(w.company, sort)
		all = append(all, c.kept...)
	}
	return all
}
