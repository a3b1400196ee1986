package jobs_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func (m *memory) Send(_ context.Context, lane jobs.Lane, message *jobs.Message, delay time.Duration) error {
	if err := m.refused("send"); err != nil {
		return err
	}
	return m.call(func() error { return m.enqueue(lane, message, delay) })
}

func (m *memory) enqueue(lane jobs.Lane, message *jobs.Message, delay time.Duration) error {
	body, err := message.Encode()
	if err != nil {
		return err
	}
	m.next++
	m.messages = append(m.messages, &queued{id: fmt.Sprint("message-", m.next), lane: lane, body: body, visible: time.Now().Add(delay)})
	m.signal()
	return nil
}

func (m *memory) Receive(ctx context.Context, lane jobs.Lane, most int, wait time.Duration) (received []jobs.Received, err error) {
	deadline := time.Now().Add(wait)
	for {
		err = m.call(func() error {
			for _, q := range m.messages {
				if q.lane == lane && !q.visible.After(time.Now()) && len(received) < most {
					q.visible = time.Now().Add(90 * time.Second)
					q.receives++
					q.receipt++
					received = append(received, m.received(q))
				}
			}
			return nil
		})
		if err != nil || len(received) > 0 || !time.Now().Before(deadline) {
			return received, err
		}
		m.mu.Lock()
		until, changed := deadline, m.changed
		for _, q := range m.messages {
			if q.lane == lane && q.visible.Before(until) {
				until = q.visible
			}
		}
		m.mu.Unlock()
		timer := time.NewTimer(time.Until(until))
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (m *memory) received(q *queued) jobs.Received {
	return jobs.Received{Lane: q.lane, ID: q.id, OriginalID: q.id, Receipt: fmt.Sprint(q.id, "/", q.receipt), Body: q.body, Receives: q.receives}
}

func (m *memory) Delete(_ context.Context, r jobs.Received) error {
	return m.call(func() error {
		for i, q := range m.messages {
			if q.id == r.ID {
				m.messages = append(m.messages[:i:i], m.messages[i+1:]...)
				break
			}
		}
		return nil
	})
}

func (m *memory) Hide(_ context.Context, r jobs.Received, d time.Duration) error {
	return m.call(func() error {
		for _, q := range m.messages {
			if q.id == r.ID && fmt.Sprint(q.id, "/", q.receipt) == r.Receipt {
				q.visible = time.Now().Add(d)
			}
		}
		m.signal()
		return nil
	})
}

func (m *memory) DeadLetter(_ context.Context, r jobs.Received, reason string) error {
	return m.call(func() error {
		m.dead = append(m.dead, r.OriginalID+": "+reason)
		return nil
	})
}

func (m *memory) Backlog(_ context.Context, lane jobs.Lane) (n int, err error) {
	err = m.call(func() error {
		for _, q := range m.messages {
			if q.lane == lane && !q.visible.After(time.Now()) {
				n++
			}
		}
		return nil
	})
	return n, err
}
