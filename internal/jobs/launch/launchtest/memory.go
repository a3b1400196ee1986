// Package launchtest is a small world for tests of the fleets' kinds: the engine's ports, EC2, target groups, the ledger and
// the bucket in memory, and workers that take turns in it. A worker can be made to die before or after any call.
package launchtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// errDead is what a dead worker's calls answer.
var errDead = &jobs.Error{Class: jobs.Retry, Message: "this worker is dead", Ambiguous: true, Err: errors.New("dead")}

// memory is the engine's ports.
type memory struct {
	mu       sync.Mutex
	rows     map[string]json.RawMessage // encoded, so that nothing is shared
	tombs    map[string]bool
	fans     map[string][]jobs.FanChild
	ended    map[string]map[int]bool
	messages []*queued
	dead     []string
	next     int

	calls int
	dieAt int
	after bool
	died  bool
}

type queued struct {
	jobs.Received
	visible time.Time
}

// call carries an effect out as one call of the worker, which may die before or after it.
func (m *memory) call(effect func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.died {
		return errDead
	}
	m.calls++
	here := m.calls == m.dieAt
	if m.died = here && !m.after; m.died {
		return errDead
	}
	err := effect()
	if m.died = here; m.died {
		return errDead
	}
	return err
}

// idle is a call that does not count: how often a worker polls is nobody's business.
func (m *memory) idle(effect func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.died {
		return errDead
	}
	effect()
	return nil
}

func (m *memory) load(id string) *jobs.Row {
	raw, ok := m.rows[id]
	if !ok {
		if m.tombs[id] {
			return &jobs.Row{Tombstone: true}
		}
		return nil
	}
	var job jobs.Job
	if err := json.Unmarshal(raw, &job); err != nil {
		panic(err)
	}
	return &jobs.Row{Job: &job}
}

func (m *memory) put(job *jobs.Job) {
	raw, err := json.Marshal(job)
	if err != nil {
		panic(err)
	}
	m.rows[job.ID] = raw
}

// holds checks a guard as the ledger's transactions do.
func (m *memory) holds(g jobs.Guard) error {
	if row := m.load(g.Job); row == nil || row.Job == nil || row.Job.Fence != g.Fence || row.Job.Incarnation != g.Incarnation {
		return jobs.ErrFenced
	}
	return nil
}

func (m *memory) Create(_ context.Context, job *jobs.Job, over bool) (row *jobs.Row, err error) {
	err = m.call(func() error {
		if row = m.load(job.ID); row != nil && (!over || !row.Tombstone) {
			return nil
		}
		row = nil
		delete(m.tombs, job.ID)
		m.put(job)
		return nil
	})
	return row, err
}

func (m *memory) Claim(_ context.Context, c jobs.Claim) (row *jobs.Row, ok bool, err error) {
	err = m.call(func() error {
		if row = m.load(c.ID); row == nil || row.Job == nil {
			return nil
		}
		job := row.Job
		wrong := job.Finished() || job.Leased(c.Now) || c.Run > 0 && c.Run != job.Run || c.HasSeq && c.Seq != job.Seq
		if wrong || c.Incarnation != "" && c.Incarnation != job.Incarnation {
			return nil
		}
		job.Fence++
		job.Claims++
		job.Lease, job.Delivery = c.Until, c.Delivery
		m.put(job)
		ok = true
		return nil
	})
	return row, ok, err
}

func (m *memory) Flag(_ context.Context, id string, run int, _ string) (row *jobs.Row, ok bool, err error) {
	err = m.call(func() error {
		if row = m.load(id); row == nil || row.Job == nil || row.Job.Finished() || row.Job.Run != run {
			return nil
		}
		row.Job.Cancel = run
		m.put(row.Job)
		ok = true
		return nil
	})
	return row, ok, err
}

func (m *memory) Order(_ context.Context, id string, run int, _ string, verb jobs.Verb, o jobs.Order) (row *jobs.Row, ok bool, err error) {
	err = m.call(func() error {
		if row = m.load(id); row == nil || row.Job == nil || row.Job.Finished() || row.Job.Run != run || !o.After(row.Job.Orders[verb]) {
			return nil
		}
		if row.Job.Orders == nil {
			row.Job.Orders = map[jobs.Verb]jobs.Order{}
		}
		row.Job.Orders[verb] = o
		m.put(row.Job)
		ok = true
		return nil
	})
	return row, ok, err
}

func (m *memory) Bury(_ context.Context, id string, _ int, _ time.Time) (row *jobs.Row, ok bool, err error) {
	err = m.call(func() error {
		if row = m.load(id); row == nil {
			m.tombs[id], ok = true, true
		}
		return nil
	})
	return row, ok, err
}

func (m *memory) Save(_ context.Context, job *jobs.Job, s jobs.Saving) (cancel int, err error) {
	cancel = job.Cancel
	err = m.call(func() error {
		row := m.load(job.ID)
		if row == nil || row.Job == nil || row.Job.Fence != job.Fence || row.Job.Seq != s.Seq {
			return jobs.ErrFenced
		}
		cancel = row.Job.Cancel
		kept := *job
		kept.Cancel, kept.Orders = cancel, row.Job.Orders
		if !job.Lease.IsZero() {
			kept.Lease = row.Job.Lease
		}
		m.put(&kept)
		if s.Fan != nil {
			m.fans[fmt.Sprint(job.Incarnation, job.Run, job.Fan.Number)] = s.Fan
		}
		if p := job.Parent; s.Ends && p != nil {
			id := fmt.Sprint(p.Incarnation, p.Run, p.Fan)
			if m.ended[id] == nil {
				m.ended[id] = map[int]bool{}
			}
			m.ended[id][p.Index] = true
		}
		return nil
	})
	return cancel, err
}

func (m *memory) Renew(_ context.Context, id string, fence int64, until time.Time) error {
	return m.call(func() error {
		row := m.load(id)
		if row == nil || row.Job == nil || row.Job.Fence != fence || row.Job.Lease.IsZero() {
			return jobs.ErrFenced
		}
		row.Job.Lease = until
		m.put(row.Job)
		return nil
	})
}

func (m *memory) FanList(_ context.Context, parent *jobs.Job) (list []jobs.FanChild, err error) {
	err = m.call(func() error {
		list = m.fans[fmt.Sprint(parent.Incarnation, parent.Run, parent.Fan.Number)]
		return nil
	})
	return list, err
}

func (m *memory) Ended(_ context.Context, p jobs.Parent) (n int, err error) {
	err = m.call(func() error {
		n = len(m.ended[fmt.Sprint(p.Incarnation, p.Run, p.Fan)])
		return nil
	})
	return n, err
}

func (m *memory) Rows(_ context.Context, ids []string) (map[string]*jobs.Row, error) {
	rows := map[string]*jobs.Row{}
	err := m.call(func() error {
		for _, id := range ids {
			if row := m.load(id); row != nil {
				rows[id] = row
			}
		}
		return nil
	})
	return rows, err
}

func (m *memory) Send(_ context.Context, lane jobs.Lane, message *jobs.Message, delay time.Duration) error {
	return m.call(func() error { return m.enqueue(lane, message, delay) })
}

func (m *memory) enqueue(lane jobs.Lane, message *jobs.Message, delay time.Duration) error {
	body, err := message.Encode()
	if err != nil {
		return err
	}
	m.next++
	id := fmt.Sprint("message-", m.next)
	m.messages = append(m.messages, &queued{jobs.Received{Lane: lane, ID: id, OriginalID: id, Body: body}, time.Now().Add(delay)})
	return nil
}

func (m *memory) Receive(_ context.Context, lane jobs.Lane, most int, wait time.Duration) (received []jobs.Received, err error) {
	deadline := time.Now().Add(wait)
	for {
		err = m.idle(func() {
			for _, q := range m.messages {
				if q.Lane == lane && !q.visible.After(time.Now()) && len(received) < most {
					q.visible = time.Now().Add(90 * time.Second)
					q.Receives++
					q.Receipt = fmt.Sprint(q.ID, "/", q.Receives)
					received = append(received, q.Received)
				}
			}
		})
		if err != nil || len(received) > 0 || !time.Now().Before(deadline) {
			return received, err
		}
		time.Sleep(250 * time.Millisecond) // virtual: the long poll
	}
}

func (m *memory) Delete(_ context.Context, r jobs.Received) error {
	return m.call(func() error {
		m.messages = slices.DeleteFunc(m.messages, func(q *queued) bool { return q.ID == r.ID })
		return nil
	})
}

func (m *memory) Hide(_ context.Context, r jobs.Received, d time.Duration) error {
	return m.call(func() error {
		for _, q := range m.messages {
			if q.Receipt == r.Receipt {
				q.visible = time.Now().Add(d)
			}
		}
		return nil
	})
}

func (m *memory) DeadLetter(_ context.Context, r jobs.Received, reason string) error {
	return m.call(func() error {
		m.dead = append(m.dead, reason)
		return nil
	})
}

func (m *memory) Backlog(context.Context, jobs.Lane) (int, error) { return 0, nil }
