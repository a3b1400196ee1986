package jobs_test

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

// errDead is what a dead worker's calls answer: its transport refuses everything, at once.
var errDead = errors.New("this worker is dead")

// memory is the ports in memory, with a death at a chosen call of the worker that makes it.
type memory struct {
	mu       sync.Mutex
	rows     map[string]json.RawMessage // encoded jobs, so that nothing is shared
	tombs    map[string]bool
	fans     map[string][]jobs.FanChild
	ended    map[string]map[int]bool
	messages []*queued
	dead     []string
	next     int
	things   map[string]int // by token: how often made
	gone     map[string]bool
	awaits   map[string]awaited

	changed chan struct{} // closed and replaced when a message was sent or given back

	calls   int
	dieAt   int  // the call at which the worker dies; 0: never
	after   bool // after its effect, else before
	worker  int
	isDead  bool
	effects int

	// refuse, if not nil, lets calls of a sort fail: send, families.
	refuse func(what string) error
}

func (m *memory) refused(what string) error {
	if m.refuse == nil {
		return nil
	}
	return m.refuse(what)
}

type queued struct {
	id       string
	lane     jobs.Lane
	body     []byte
	visible  time.Time
	receives int
	receipt  int
}

func newMemory() *memory {
	return &memory{rows: map[string]json.RawMessage{}, tombs: map[string]bool{}, fans: map[string][]jobs.FanChild{},
		ended: map[string]map[int]bool{}, things: map[string]int{}, gone: map[string]bool{}, awaits: map[string]awaited{}, changed: make(chan struct{})}
}

func (m *memory) signal() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// call runs an effect as one call of the worker. It holds the lock meanwhile.
func (m *memory) call(effect func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isDead {
		return errDead
	}
	m.calls++
	if m.calls == m.dieAt && !m.after {
		m.isDead = true
		return errDead
	}
	err := effect()
	if m.calls == m.dieAt {
		m.isDead = true
		return errDead
	}
	return err
}

func (m *memory) load(id string) *jobs.Row {
	if m.tombs[id] {
		return &jobs.Row{Tombstone: true}
	}
	raw, ok := m.rows[id]
	if !ok {
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
		row = m.load(c.ID)
		if row == nil || row.Job == nil {
			return nil
		}
		job := row.Job
		if job.Schema > jobs.SchemaVersion {
			return nil
		}
		if c.Reopen > 0 {
			if !job.Finished() || job.Run != c.Reopen {
				return nil
			}
			job.Run++
			job.StartOver()
			job.State, job.Claims = jobs.Open, 0
		} else if job.Finished() || job.Leased(c.Now) || (c.Run > 0 && c.Run != job.Run) || (c.HasSeq && c.Seq != job.Seq) ||
			(c.Await != "" && !slices.Contains(job.Awaits, c.Await)) {
			return nil
		}
		if c.Incarnation != "" && c.Incarnation != job.Incarnation {
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

func (m *memory) Flag(_ context.Context, id string, run int, incarnation string) (row *jobs.Row, ok bool, err error) {
	err = m.call(func() error {
		row = m.load(id)
		if row == nil || row.Job == nil || row.Job.Finished() || row.Job.Run != run || (incarnation != "" && incarnation != row.Job.Incarnation) {
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
		kept.Cancel, kept.Orders = row.Job.Cancel, row.Job.Orders
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
	if err := m.refused("families"); err != nil {
		return 0, err
	}
	err = m.call(func() error {
		n = len(m.ended[fmt.Sprint(p.Incarnation, p.Run, p.Fan)])
		return nil
	})
	return n, err
}

func (m *memory) Rows(_ context.Context, ids []string) (rows map[string]*jobs.Row, err error) {
	err = m.call(func() error {
		rows = map[string]*jobs.Row{}
		for _, id := range ids {
			if row := m.load(id); row != nil {
				rows[id] = row
			}
		}
		return nil
	})
	return rows, err
}

// awaited is who awaits a thing, with the fence of the claim that said so.
type awaited struct {
	jobs.Waiter
	fence int64
}

func (m *memory) Await(_ context.Context, g jobs.Guard, waiter jobs.Waiter, keys []string, _ time.Time) error {
	return m.call(func() error {
		for _, key := range keys {
			if old, ok := m.awaits[key]; ok && old.Incarnation == g.Incarnation && old.fence > g.Fence {
				return jobs.ErrFenced
			}
			m.awaits[key] = awaited{waiter, g.Fence}
		}
		return nil
	})
}

func (m *memory) Awaiting(_ context.Context, keys []string) (waiters map[string]jobs.Waiter, err error) {
	if err := m.refused("awaiting"); err != nil {
		return nil, err
	}
	err = m.call(func() error {
		waiters = map[string]jobs.Waiter{}
		for _, key := range keys {
			if a, ok := m.awaits[key]; ok {
				waiters[key] = a.Waiter
			}
		}
		return nil
	})
	return waiters, err
}

// make is the AWS call of the test's kinds: idempotent by token.
func (m *memory) make(token string) error {
	return m.call(func() error {
		if m.things[token] == 0 {
			m.effects++
		}
		m.things[token]++
		return nil
	})
}

func (m *memory) unmake(prefix string) error {
	return m.call(func() error {
		for token := range m.things {
			if len(token) >= len(prefix) && token[:len(prefix)] == prefix {
				m.gone[token] = true
			}
		}
		return nil
	})
}

// revive gives the next worker life.
func (m *memory) revive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.isDead, m.dieAt = false, 0
	m.worker++
}
