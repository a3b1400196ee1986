package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/stampmill/stampmill/internal/stage"
)

const (
	workers    = 4
	lease      = "6s"
	visibility = "9s"
	// What the reaper needs: it looks this often, and a thing must be nobody's for so long.
	reapInterval = "2s"
	reapGrace    = "10s"
)

// pool keeps several workers working: for one that dies, freezes or drains another one is started at once.
type pool struct {
	storm *storm

	mu       sync.Mutex
	endpoint *stage.Process
	members  []*member
	started  int
	closed   bool // nothing is started any more
}

// member is one worker's process.
type member struct {
	*stage.Process
	number  int
	frozen  bool
	leaving bool // it was killed, or drains
	last    string
}

// fill starts workers until enough of them work.
func (p *pool) fill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fillUp()
}

func (p *pool) fillUp() error {
	working := 0
	p.members = slices.DeleteFunc(p.members, func(m *member) bool { return !m.Running() })
	for _, m := range p.members {
		if !m.frozen && !m.leaving {
			working++
		}
	}
	for ; working < workers && !p.closed; working++ {
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

func (p *pool) start() error {
	s := p.storm
	p.started++
	m := &member{number: p.started}
	environment := append(slices.Clip(s.Environment),
		"STAMPMILL_LEASE="+lease, "STAMPMILL_VISIBILITY="+visibility, "STAMPMILL_POLL=2s", "STAMPMILL_SWEEP_INTERVAL=2s", "STAMPMILL_PACE="+speed,
		"STAMPMILL_REAP_INTERVAL="+reapInterval, "STAMPMILL_REAP_GRACE="+reapGrace, "STAMPMILL_TARGETS="+copyRegion, "STAMPMILL_DRAIN_GRACE=20s",
		"STAMPMILL_HEALTH=", "STAMPMILL_LOG_LEVEL=debug", "STAMPMILL_LOG_FORMAT=json")
	var err error
	m.Process, err = s.Processes.Start(fmt.Sprintf("worker-%04d", m.number), s.Folder, environment, nil, m.read(s), s.Binary("stampmill-worker"))
	if err != nil {
		return fmt.Errorf("start worker %d: %w", m.number, err)
	}
	p.members = append(p.members, m)
	go p.await(m)
	return nil
}

// read keeps the last line of the worker's log, and counts what its reaper removes.
func (m *member) read(s *storm) func(line string) {
	return func(line string) {
		m.last = line
		if strings.Contains(line, `"removed an orphan"`) {
			s.mu.Lock()
			s.reaped++
			s.mu.Unlock()
		}
	}
}

// await replaces a worker that ended by itself. While the endpoint is down it may end with an error, as under any
// supervisor; ending by a panic or a signal that nobody sent is a finding.
func (p *pool) await(m *member) {
	<-m.Gone()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !m.leaving && !p.closed && !strings.HasPrefix(m.last, "stampmill-worker: ") {
		p.storm.find(finding{class: lost, what: fmt.Sprintf("worker %d ended by itself: %s", m.number, m.last)})
	}
	if err := p.fillUp(); err != nil {
		p.storm.say("cannot start a worker: %v", err)
	}
}

// pick is a worker that runs, drawn by the dice; nil if there is none.
func (p *pool) pick(dice *rand.Rand, suits func(*member) bool) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	candidates := slices.DeleteFunc(slices.Clone(p.members), func(m *member) bool { return !m.Running() || !suits(m) })
	if len(candidates) == 0 {
		return nil
	}
	return candidates[dice.IntN(len(candidates))]
}

// strike sends the signal; what the worker is from now on is said by mark.
func (p *pool) strike(m *member, signal syscall.Signal, mark func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	mark()
	m.Signal(signal)
	return p.fillUp()
}

// close lets no more workers be started.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// working is how many workers run and are not frozen.
func (p *pool) working() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, m := range p.members {
		if m.Running() && !m.frozen {
			n++
		}
	}
	return n
}
