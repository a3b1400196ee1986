package jobs_test

import (
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
)

// letter is a message on the queue.
type letter struct {
	kind     byte // as in kinds; 0: none
	run, seq uint8
}

const (
	submitLetter byte = iota + 1
	cancelLetter
	retryLetter
	wakeLetter
	nudgeLetter
	orderLetter
)

var letterTypes = map[byte]jobs.MessageType{submitLetter: jobs.Submit, cancelLetter: jobs.Cancel, retryLetter: jobs.Reopen,
	wakeLetter: jobs.Wake, nudgeLetter: jobs.Nudge, orderLetter: jobs.Ordering}

func (l letter) seqless() bool { return l.kind != submitLetter && l.kind != wakeLetter }

// The stages of a worker.
const (
	idle    byte = iota
	working      // claimed; nothing sent yet
	sent         // the next message is sent, if there is one; not saved
	saved        // saved; the parent not woken, the message not deleted
)

// The ways in which a delivery can end.
const (
	short byte = iota + 1
	long
	end
)

type hand struct {
	stage     byte
	letter    letter
	stale     bool // the claim has passed on
	ghost     bool // its lease ran out while it worked: its message is on the queue again
	midway    bool // it saved between two steps
	cancelled bool // it has seen the cancel
	seq       uint8
	run       uint8
	move      byte
}

const queueLength = 8

type protocol struct {
	there, tombstone bool
	seq, run         uint8
	finished         bool
	leased           bool
	cancel           uint8
	ordered          uint8 // the run that an order is kept for
	due              bool
	woken            bool // the parent
	queue            [queueLength]letter
	workers          [2]hand
	// What may still happen.
	faults, cancels, retries, nudges, orders, waits uint8
}

func (s *protocol) add(l letter) {
	if s.queue[queueLength-1].kind != 0 {
		panic("the model's queue is too short")
	}
	s.queue[queueLength-1] = l
	s.sort()
}

func (s *protocol) remove(l letter) bool {
	for i := range s.queue {
		if s.queue[i] == l {
			s.queue[i] = letter{}
			s.sort()
			return true
		}
	}
	return false
}

func (s *protocol) has(l letter) bool { return slices.Contains(s.queue[:], l) }

func (s *protocol) sort() {
	rank := func(l letter) int {
		if l.kind == 0 {
			return 1 << 24
		}
		return int(l.kind)<<16 | int(l.run)<<8 | int(l.seq)
	}
	slices.SortFunc(s.queue[:], func(a, b letter) int { return rank(a) - rank(b) })
}
