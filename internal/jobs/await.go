package jobs

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// Await is a thing whose event ends a wait early. Account and region are the job's where they are empty.
type Await struct {
	Account, Region string
	// ID is an instance's, an AMI's, a snapshot's or an SSM command's.
	ID string
}

// Awaiting says which things' events end the wait early: an instance that stops or ends or is about to be interrupted, an
// AMI or a snapshot that is there or failed, a command that ended. Each thing that the wait before it did not await costs a
// write, so that it is for long waits. Events may get lost: the wait's own end stands behind them, and is put off while
// events prove to arrive (see trust).
func (m Move) Awaiting(things ...Await) Move {
	m.awaits = append(slices.Clone(m.awaits), things...)
	return m
}

// InCompany lets an event of what is awaited wait up to so long for the events that others await, so that their jobs' looks
// share a call; an urgent job's never does. It is for things that one call shows many of.
func (m Move) InCompany(most time.Duration) Move {
	m.company = most
	return m
}

// Waiter is the job that awaits a thing.
type Waiter struct {
	Job, Incarnation string
	Run              int
	// Urgent: the job's priority is high.
	Urgent bool
	// Company is how long the event may wait for others.
	Company time.Duration
}

// Awaits remembers who awaits what, one small item a thing, beside the jobs.
type Awaits interface {
	// Await stores under each key that the waiter awaits it; the guard is of the waiter's job. A claim that has passed on
	// changes nothing that a later one wrote.
	Await(ctx context.Context, g Guard, waiter Waiter, keys []string, expires time.Time) error
	// Awaiting gives by key who awaits; keys that nobody awaits are missing. Keys are distinct.
	Awaiting(ctx context.Context, keys []string) (map[string]Waiter, error)
}

// awaitLife is how long it is remembered who awaits a thing: nothing that is awaited takes longer, and what does is polled.
const awaitLife = 3 * 24 * time.Hour

func awaitKey(account, region, id string) string { return account + "/" + region + "/" + id }

// awaitKeys names the things among all accounts and regions. None where the worker does not know its own account.
func (e *Engine) awaitKeys(target Target, things []Await) []string {
	if e.Awaits == nil {
		return nil
	}
	var keys []string
	for _, thing := range things {
		account := cmp.Or(thing.Account, target.Account(), e.Account)
		region := cmp.Or(thing.Region, target.Region, e.Region)
		if account == "" || region == "" || thing.ID == "" {
			continue
		}
		if key := awaitKey(account, region, thing.ID); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// shortWait is how long a wait may be for which no event is awaited: to remember who awaits it costs a write, and the next
// look is about as near as the event.
const shortWait = 5 * time.Second

// await remembers who awaits the move's things, before the save that makes the job wait: an event that comes between is
// hidden until then. What cannot be remembered is only polled.
func (s *stint) await(ctx context.Context, move Move) {
	job := s.turn.Job
	var keys []string
	if move.delay > shortWait {
		keys = s.engine.awaitKeys(job.Target, move.awaits)
	}
	fresh := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return slices.Contains(job.Awaits, key) })
	if len(fresh) > 0 {
		waiter := Waiter{Job: job.ID, Incarnation: job.Incarnation, Run: job.Run, Urgent: job.Priority == High, Company: s.company(move, keys)}
		if err := s.engine.Awaits.Await(ctx, s.turn.Guard(), waiter, fresh, s.turn.Now().Add(awaitLife)); err != nil {
			s.turn.Log.Warn("cannot await events; the job looks by itself", "things", fresh, "error", err)
			keys = slices.DeleteFunc(keys, func(key string) bool { return slices.Contains(fresh, key) })
		}
	}
	job.Awaits = keys
}

// company is how long the events of the wait may wait for others: a part of the wait only, so that its own look seldom comes
// first and takes the event for lost.
func (s *stint) company(move Move, keys []string) time.Duration {
	if s.turn.Job.Priority == High {
		return 0
	}
	return min(move.company, mostCompany, s.engine.stretch(s.turn.Job, move, keys)/3)
}

// learn judges what ended the wait before this delivery, at the first step that is done: an event, or a poll though an event
// should have. What the job awaited is over with that.
func (s *stint) learn() {
	if s.event != "" {
		s.engine.trust.heard(s.event)
	} else {
		s.engine.trust.missed(s.awaited)
	}
	s.event, s.awaited, s.turn.Job.Awaits = "", nil, nil
}

// Woken is the id of the thing whose event woke this delivery; empty: none did. It is a hint only: look.
func (t *Turn) Woken() string { return t.woken }

func thingOf(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }
