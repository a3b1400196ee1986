package jobs

import (
	"encoding/json"
	"fmt"
	"time"
)

// Move is what a step returns: what the job does next.
type Move struct {
	what     moveKind
	delay    time.Duration
	reason   string
	children []Child
	looks    bool // the end goes to the nearest tick, not to the next one
	awaits   []Await
	company  time.Duration // how long an event may wait for others
	exact    bool          // not rounded up to a common tick
	onward   bool          // the step is done: the next one waits
	beside   bool          // the step is carried out while its children work
}

type moveKind int

const (
	moveDone moveKind = iota
	moveWait
	moveFanOut
	moveFail
)

// Child is a job that a step fans out. Its id comes from the parent's incarnation and run and from its index.
type Child struct {
	Kind string          `json:"kind"`
	Name string          `json:"name"`
	Spec json.RawMessage `json:"spec"`
	// Target is where the child works; nil: where its parent does.
	Target *Target `json:"target,omitempty"`
	// Labels are the child's; nil: its parent's.
	Labels map[string]string `json:"labels,omitempty"`
}

// Done moves on to the next step.
func Done() Move { return Move{} }

// Wait looks again after d, with the same step. The text says what is awaited, for people. It gives the slot back: no
// goroutine, no memory and no message in flight stays behind. The engine rounds the instant up to a common tick.
func Wait(d time.Duration, format string, args ...any) Move {
	return Move{what: moveWait, delay: max(d, 0), reason: fmt.Sprintf(format, args...)}
}

// Yield gives the slot back and carries the same step out again at once, in a delivery of its own: for long work that has
// nothing to wait for, so that others get their turn in between.
func Yield() Move { return Move{what: moveWait, reason: "its next turn", exact: true} }

// Onward makes a wait that of the next step: this one is done, and one save holds what it made and the wait.
func (m Move) Onward() Move {
	m.onward = m.what == moveWait
	return m
}

// FanOut sends the children and carries the same step out again once all of them have finished; Turn.Children then
// tells how. A step that wants no children returns Done.
func FanOut(children ...Child) Move { return Move{what: moveFanOut, children: children} }

// Beside has the step carried out again at each wake while its children work, so that it can act meanwhile: Turn.OpenChildren
// tells how many have not ended, and Turn.Children is nil until all have. Waits of the step are up to it; the last child's end
// wakes it in any case. Once it has taken their results in, it says so by Turn.TookIn, and may fan out again.
func (m Move) Beside() Move {
	m.beside = m.what == moveFanOut
	return m
}

// Fail ends the job for good: what it made is undone, then it is failed with the reason.
func Fail(format string, args ...any) Move {
	return Move{what: moveFail, reason: fmt.Sprintf(format, args...)}
}

// IsDone, IsWait, IsFail tell moves apart for tests and for steps that wrap others.
func (m Move) IsDone() bool { return m.what == moveDone }

// IsWait reports whether the move is a wait.
func (m Move) IsWait() bool { return m.what == moveWait }

// IsFail reports whether the move fails the job.
func (m Move) IsFail() bool { return m.what == moveFail }

// Reason is a failure's reason or what a wait is for.
func (m Move) Reason() string { return m.reason }
