package ec2

import (
	"container/heap"
	"time"
)

// timers run what is due under the service's lock, with one timer for all of it. Guarded by the service's lock.
type timers struct {
	service *Service
	queue   timerQueue
	timer   *time.Timer
	next    time.Time
	number  uint64
	stopped bool
}

type timerEntry struct {
	at     time.Time
	number uint64
	run    func()
}

// at runs f under the service's lock at the time, or soon if that is past.
func (t *timers) at(at time.Time, f func()) {
	if t.stopped {
		return
	}
	t.number++
	heap.Push(&t.queue, timerEntry{at: at, number: t.number, run: f})
	t.arm()
}

// arm sets the timer to the earliest entry. A timer that is replaced finds nothing due when it fires late.
func (t *timers) arm() {
	if len(t.queue) == 0 || t.stopped {
		return
	}
	at := t.queue[0].at
	if t.timer != nil && !t.next.After(at) {
		return
	}
	if t.timer != nil && t.timer.Stop() {
		t.service.background.release()
	}
	if !t.service.background.hold() {
		return
	}
	t.next = at
	t.timer = time.AfterFunc(time.Until(at), t.fire)
}

func (t *timers) fire() {
	s := t.service
	defer s.background.release()
	s.lock()
	defer s.unlock()
	if t.stopped {
		return
	}
	now := time.Now()
	if t.timer != nil && !t.next.After(now) {
		t.timer = nil
	}
	for len(t.queue) > 0 && !t.queue[0].at.After(now) && !t.stopped {
		entry := heap.Pop(&t.queue).(timerEntry)
		entry.run()
	}
	t.arm()
}

func (t *timers) stop() {
	t.stopped = true
	if t.timer != nil && t.timer.Stop() {
		t.service.background.release()
	}
	t.timer = nil
}

type timerQueue []timerEntry

func (q timerQueue) Len() int { return len(q) }
func (q timerQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].number < q[j].number
	}
	return q[i].at.Before(q[j].at)
}
func (q timerQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *timerQueue) Push(x any)   { *q = append(*q, x.(timerEntry)) }
func (q *timerQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
