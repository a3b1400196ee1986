package sqs

import (
	"container/heap"
	"strings"
	"time"
)

// maxInFlight is the number of messages of a standard queue that may be in flight.
const maxInFlight = 120_000

// settings is a queue's durable record.
type settings struct {
	Account, Region, Name string
	Attributes            map[string]string
	Tags                  map[string]string
	Created, Modified     time.Time
	// Purged is when the last purge was.
	Purged time.Time
}

func (s *settings) key() string { return s.Account + "/" + s.Region + "/" + s.Name }
func (s *settings) arn() string {
	return "arn:aws:sqs:" + s.Region + ":" + s.Account + ":" + s.Name
}

// queue is one queue. The service's lock guards it.
type queue struct {
	*settings
	service *Service
	limits  limits

	// turn is the ring of groups with visible messages, by group the line of each.
	turn   line[*group]
	groups map[string]*group
	hidden hiddenHeap

	visible, inFlight, delayed int
	waiters                    line[*waiter]
	arrivals                   int // counts long polls
}

// group is the line of visible messages of one message group; messages without one share the group "".
type group struct {
	id    string
	line  line[*message]
	place *node[*group] // in the queue's ring
}

// waiter is one long poll.
type waiter struct {
	wake  chan struct{} // of size 1
	turn  time.Duration // how much later than others it looks for what has come due
	place *node[*waiter]
}

func newQueue(service *Service, stored *settings) *queue {
	q := &queue{settings: stored, service: service, groups: map[string]*group{}}
	q.limits = readLimits(stored.Attributes)
	return q
}

// restore puts a message that the log held to its place.
func (q *queue) restore(m *message, now time.Time) {
	q.service.sequence++
	m.order = q.service.sequence
	if m.VisibleAt.After(now) {
		q.hide(m, m.VisibleAt, m.Receives > 0)
	} else {
		q.show(m)
	}
}

// show makes a message visible and wakes a long poll.
func (q *queue) show(m *message) {
	g := q.groups[m.Group]
	if g == nil {
		g = &group{id: m.Group}
		g.place = q.turn.push(g)
		q.groups[m.Group] = g
	}
	m.place = g.line.push(m)
	q.visible++
	q.wakeOne()
}

// hide lets a message stand in the heap until at.
func (q *queue) hide(m *message, at time.Time, inFlight bool) {
	m.VisibleAt, m.inFlight = at, inFlight
	if inFlight {
		q.inFlight++
	} else {
		q.delayed++
	}
	heap.Push(&q.hidden, m)
	if q.hidden[0] == m {
		// Waiting long polls have set their timers for a later instant.
		q.wakeAll()
	}
}

// take removes a message from wherever it stands.
func (q *queue) take(m *message) {
	if m.place != nil {
		g := q.groups[m.Group]
		g.line.remove(m.place)
		m.place = nil
		q.visible--
		if g.line.first == nil {
			q.turn.remove(g.place)
			delete(q.groups, m.Group)
		}
		return
	}
	heap.Remove(&q.hidden, m.heapIndex)
	if m.inFlight {
		q.inFlight--
	} else {
		q.delayed--
	}
	m.inFlight = false
}

// drop removes a message for good.
func (q *queue) drop(m *message) {
	q.take(m)
	q.service.messages.Delete(m.key())
	q.service.deliveries.Delete(m.key())
}

// settle shows what is due.
func (q *queue) settle(now time.Time) {
	for len(q.hidden) > 0 && !q.hidden[0].VisibleAt.After(now) {
		m := q.hidden[0]
		q.take(m)
		q.show(m)
	}
}

// expire drops what stood in line longer than the retention period. Receives look at the messages that they take by
// themselves; this is for the counters.
func (q *queue) expire(now time.Time) {
	for _, g := range q.groups {
		for g.line.first != nil && q.expired(g.line.first.value, now) {
			q.drop(g.line.first.value)
		}
	}
}

func (q *queue) expired(m *message, now time.Time) bool {
	return !m.Sent.Add(q.limits.retention).After(now)
}

// next is the message that a receive gets now: the first of the group whose turn it is. Messages that have been received too
// often go to the dead-letter queue instead. It is nil when nothing is visible.
func (q *queue) next(now time.Time) *message {
	for q.turn.first != nil {
		g := q.turn.first.value
		m := g.line.first.value
		if q.expired(m, now) {
			q.drop(m)
			continue
		}
		if target := q.deadLetters(m); target != nil {
			q.take(m)
			target.adopt(m)
			continue
		}
		q.turn.toEnd(g.place)
		q.take(m)
		return m
	}
	return nil
}

// deadLetters is the queue that a message goes to instead of being received once more, or nil.
func (q *queue) deadLetters(m *message) *queue {
	policy := q.limits.redrive
	if policy == nil || m.Receives < policy.MaxReceiveCount {
		return nil
	}
	return q.service.byARN(policy.DeadLetterTargetARN)
}

// adopt takes a message over from another queue. It keeps its id, its age and its receive count.
func (q *queue) adopt(m *message) {
	m.Source, m.Queue = m.Queue, q.key()
	q.service.messages.Put(m.key(), m)
	m.VisibleAt = time.Time{}
	q.service.deliveries.Put(m.key(), m.delivery)
	q.show(m)
}

// due is when the next hidden message becomes visible.
func (q *queue) due() (time.Time, bool) {
	if len(q.hidden) == 0 {
		return time.Time{}, false
	}
	return q.hidden[0].VisibleAt, true
}

func (q *queue) wakeOne() {
	if q.waiters.first == nil {
		return
	}
	w := q.waiters.first.value
	q.waiters.remove(w.place)
	w.place = nil
	w.wake <- struct{}{}
}

func (q *queue) wakeAll() {
	for q.waiters.first != nil {
		q.wakeOne()
	}
}

func (s *Service) byARN(arn string) *queue {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[2] != "sqs" {
		return nil
	}
	return s.queues[parts[4]+"/"+parts[3]+"/"+parts[5]]
}

// hiddenHeap orders messages by the instant at which they become visible, and by id where that is the same.
type hiddenHeap []*message

func (h hiddenHeap) Len() int { return len(h) }
func (h hiddenHeap) Less(i, j int) bool {
	if c := h[i].VisibleAt.Compare(h[j].VisibleAt); c != 0 {
		return c < 0
	}
	return h[i].order < h[j].order
}
func (h hiddenHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}
func (h *hiddenHeap) Push(x any) {
	m := x.(*message)
	m.heapIndex = len(*h)
	*h = append(*h, m)
}
func (h *hiddenHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h, m.heapIndex = old[:len(old)-1], -1
	return m
}
