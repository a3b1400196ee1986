package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// The model: one job, two workers, and every order in which their writes, sends and deletes can happen. Time is two bits: a
// lease holds or has run out; a delayed or hidden message may come at any time. What stands at the job's id and what a
// message does about it is Decide's answer; the order of a delivery's calls is stint's.

// explorer finds every state that can be reached, and the steps between them that need no fault and no command.
type explorer struct {
	t       *testing.T
	parent  bool
	states  []protocol
	index   map[protocol]int32
	reverse [][]int32 // by state: from which states a step without a fault leads to it
	before  []int32   // by state: from which it was reached first
	from    int32
	now     time.Time
}

func (e *explorer) reach(s protocol, free bool) {
	if a, b := s.workers[0], s.workers[1]; fmtLess(b, a) { // workers are alike
		s.workers[0], s.workers[1] = b, a
	}
	at, known := e.index[s]
	if !known {
		at = int32(len(e.states))
		e.index[s] = at
		e.states = append(e.states, s)
		e.reverse = append(e.reverse, nil)
		e.before = append(e.before, e.from)
	}
	if free && at != e.from {
		e.reverse[at] = append(e.reverse[at], e.from)
	}
}

func fmtLess(a, b hand) bool {
	key := func(h hand) uint64 {
		k := uint64(h.stage)<<8 | uint64(h.move)
		for _, bit := range []bool{h.stale, h.ghost, h.midway, h.cancelled} {
			k <<= 1
			if bit {
				k |= 1
			}
		}
		return ((((k<<8|uint64(h.seq))<<4|uint64(h.run))<<4|uint64(h.letter.kind))<<4|uint64(h.letter.run))<<8 | uint64(h.letter.seq)
	}
	return key(a) < key(b)
}

func (e *explorer) explore(begin protocol) {
	e.index = map[protocol]int32{}
	e.from = -1
	e.reach(begin, false)
	for e.from = 0; int(e.from) < len(e.states); e.from++ {
		s := e.states[e.from]
		e.commands(s)
		e.timePasses(s)
		for w := range s.workers {
			if s.workers[w].stage == idle {
				if w == 0 || s.workers[0].stage != idle { // idle workers are alike
					e.receives(s, w)
				}
				continue
			}
			e.goesOn(s, w)
			e.fails(s, w)
		}
	}
}

// commands are what people and EC2 send at any time.
func (e *explorer) commands(s protocol) {
	run := max(s.run, 1)
	for _, c := range []struct {
		left *uint8
		l    letter
	}{{&s.cancels, letter{cancelLetter, run, 0}}, {&s.retries, letter{retryLetter, run, 0}}, {&s.nudges, letter{nudgeLetter, 0, 0}},
		{&s.orders, letter{orderLetter, run, 0}}} {
		if *c.left > 0 {
			next := s
			*c.left--
			changed := s
			changed.add(c.l)
			e.reach(changed, false)
			s = next
		}
	}
}

// timePasses: leases of the dead run out, the sweeper sends what is due, the queue doubles a message.
func (e *explorer) timePasses(s protocol) {
	held := false
	for _, h := range s.workers {
		held = held || ((h.stage == working || h.stage == sent) && !h.stale && !h.ghost)
	}
	if s.leased && !held {
		next := s
		next.leased = false
		e.reach(next, true)
	}
	if wake := (letter{wakeLetter, s.run, s.seq}); s.due && !s.finished && !s.has(wake) {
		next := s
		next.add(wake)
		e.reach(next, true)
	}
	for i, l := range s.queue {
		if l.kind != 0 && s.faults > 0 && (i == 0 || s.queue[i-1] != l) {
			next := s
			next.faults--
			next.add(l)
			e.reach(next, false)
		}
	}
}

func (e *explorer) row(s *protocol) *jobs.Row {
	if !s.there {
		if s.tombstone {
			return &jobs.Row{Tombstone: true}
		}
		return nil
	}
	job := &jobs.Job{Digest: "d", Incarnation: "i", State: jobs.Open, Run: int(s.run), Seq: int64(s.seq), Cancel: int(s.cancel)}
	if s.finished {
		job.State = jobs.Failed
	}
	if s.ordered == s.run {
		job.Orders = map[jobs.Verb]jobs.Order{jobs.Pause: {At: e.now}}
	}
	if s.leased {
		job.Lease = e.now.Add(time.Minute)
	}
	if e.parent {
		job.Parent = &jobs.Parent{ID: "p"}
	}
	return &jobs.Row{Job: job}
}

// receives lets a worker take each of the queue's messages and do what Decide says, in one conditional write.
func (e *explorer) receives(s protocol, w int) {
	for i, l := range s.queue {
		if l.kind == 0 || (i > 0 && s.queue[i-1] == l) {
			continue
		}
		next := s
		m := &jobs.Message{Type: letterTypes[l.kind], Run: int(l.run), Seq: int64(l.seq), Verb: jobs.Pause, At: e.now}
		verdict := jobs.Decide(e.row(&next), m, "d", e.now)
		if verdict == jobs.VerdictFlag {
			next.cancel = next.run
			e.reach(next, true) // it may die here
			verdict = jobs.Decide(e.row(&next), m, "d", e.now)
		}
		if verdict == jobs.VerdictOrder {
			next.ordered = next.run
			e.reach(next, true) // here, too
			verdict = jobs.Decide(e.row(&next), m, "d", e.now)
		}
		switch verdict {
		case jobs.VerdictHide:
			e.reach(next, true)
			continue
		case jobs.VerdictDelete, jobs.VerdictWakeParent, jobs.VerdictTombstone:
			next.tombstone = next.tombstone || verdict == jobs.VerdictTombstone
			next.woken = next.woken || verdict == jobs.VerdictWakeParent
			e.reach(next, true) // before the delete
			next.remove(l)
			e.reach(next, true)
			continue
		case jobs.VerdictCreate, jobs.VerdictCreateCancelled:
			next.there, next.run = true, 1
			if verdict == jobs.VerdictCreateCancelled {
				next.cancel, next.tombstone = 1, false
			}
		case jobs.VerdictReopen:
			next.run, next.finished, next.cancel = next.run+1, false, 0
		case jobs.VerdictClaim:
		default:
			e.t.Fatalf("verdict %d for %v in %+v", verdict, l, s)
		}
		next.remove(l)
		for i := range next.workers {
			h := &next.workers[i]
			if (h.stage == working || h.stage == sent) && !h.stale {
				if !h.ghost {
					e.t.Fatalf("%v is claimed though another delivery works on the job: %+v", l, s)
				}
				h.stale = true
			}
		}
		next.leased = true
		next.workers[w] = hand{stage: working, letter: l, seq: next.seq, run: next.run, cancelled: next.cancel == next.run}
		e.reach(next, true)
	}
}

// goesOn carries a delivery's next call out.
func (e *explorer) goesOn(s protocol, w int) {
	h := s.workers[w]
	switch h.stage {
	case working:
		if !h.midway {
			e.savesMidway(s, w)
		}
		for _, move := range []byte{short, long, end} {
			if move != end && (s.waits == 0 || h.cancelled) {
				continue
			}
			next := s
			if move != end {
				next.waits--
			}
			if move == short || (move == end && e.parent && h.letter.seqless()) {
				next.add(letter{wakeLetter, h.run, h.seq + 1})
			}
			next.workers[w].stage, next.workers[w].move = sent, move
			e.reach(next, true)
		}
	case sent:
		next := s
		if h.stale {
			e.gives(next, w)
			return
		}
		next.seq, next.leased, next.due, next.finished = h.seq+1, false, h.move == long, h.move == end
		next.workers[w].stage = saved
		e.reach(next, true)
	case saved:
		next := s
		next.woken = next.woken || (e.parent && h.move == end)
		next.workers[w] = hand{}
		e.reach(next, true)
		if h.ghost && next.remove(h.letter) { // an old receipt handle may still delete
			e.reach(next, true)
		}
	}
}

// savesMidway is the save between two steps: seq stays, and with it the due entry, which may be all that stands for the job
// when the message in hand carries no seq and an old receipt handle deletes it.
func (e *explorer) savesMidway(s protocol, w int) {
	if s.workers[w].stale {
		e.gives(s, w)
		return
	}
	s.workers[w].midway, s.workers[w].cancelled = true, s.cancel == s.run
	e.reach(s, true)
}

// gives ends a delivery that changes nothing more: its message comes back.
func (e *explorer) gives(s protocol, w int) {
	h := s.workers[w]
	s.workers[w] = hand{}
	if !h.ghost {
		s.add(h.letter)
	}
	e.reach(s, true)
}

// fails are the faults of a worker at its next call: it dies, it cannot send, it stalls past its lease.
func (e *explorer) fails(s protocol, w int) {
	if s.faults == 0 {
		return
	}
	s.faults--
	h := s.workers[w]
	dead := s
	dead.workers[w] = hand{}
	if !h.ghost {
		dead.add(h.letter)
	}
	e.reach(dead, false)
	if h.stage == working && !h.stale { // the send fails: it hands the job back
		back := dead
		back.leased = false
		e.reach(back, false)
	}
	if !h.ghost {
		stalled := s
		stalled.workers[w].ghost = true
		stalled.add(h.letter)
		if h.stage != saved && !h.stale {
			stalled.leased = false
		}
		e.reach(stalled, false)
	}
}

// story is the shortest way to a state, a line a state.
func (e *explorer) story(at int32) (text string) {
	for ; at >= 0; at = e.before[at] {
		s := e.states[at]
		var queue []letter
		for _, l := range s.queue {
			if l.kind != 0 {
				queue = append(queue, l)
			}
		}
		text = fmt.Sprintf("there %v seq %d run %d finished %v leased %v cancel %d due %v woken %v queue %v workers %+v\n",
			s.there, s.seq, s.run, s.finished, s.leased, s.cancel, s.due, s.woken, queue, s.workers) + text
	}
	return text
}

// lost lists the states from which no faultless path leads to a finished job with no message left.
func (e *explorer) lost() (lost []int32) {
	good := make([]bool, len(e.states))
	var next []int32
	for i, s := range e.states {
		if s.there && s.finished && s.queue[0].kind == 0 && s.workers == [2]hand{} && (s.woken || !e.parent) {
			good[i] = true
			next = append(next, int32(i))
		}
	}
	for len(next) > 0 {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		for _, from := range e.reverse[at] {
			if !good[from] {
				good[from] = true
				next = append(next, from)
			}
		}
	}
	for i := range e.states {
		if !good[i] {
			lost = append(lost, int32(i))
		}
	}
	return lost
}

func TestNoOrderOfFaultsLosesAJobOrLetsTwoDeliveriesWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parent bool
		begin  protocol
	}{
		"cancel and event": {false, protocol{faults: 2, cancels: 1, nudges: 1, waits: 2}},
		"retry and event":  {false, protocol{faults: 2, retries: 1, nudges: 1, waits: 2}},
		"retries":          {false, protocol{faults: 1, cancels: 1, retries: 2, waits: 1}},
		"cancel and order": {false, protocol{faults: 1, cancels: 1, orders: 1, waits: 2}},
		"child":            {true, protocol{faults: 3, nudges: 1, waits: 2}},
		"child, order":     {true, protocol{faults: 2, orders: 1, waits: 2}},
		"child, commands":  {true, protocol{faults: 1, cancels: 1, retries: 1, nudges: 1, waits: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.begin.add(letter{kind: submitLetter})
			e := &explorer{t: t, parent: c.parent, now: time.Unix(1_000_000, 0)}
			e.explore(c.begin)
			t.Logf("%d states", len(e.states))
			if lost := e.lost(); len(lost) > 0 {
				t.Fatalf("%d of %d states lose the job, the first so:\n%s", len(lost), len(e.states), e.story(lost[0]))
			}
		})
	}
}
