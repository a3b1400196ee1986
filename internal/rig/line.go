package rig

import (
	"errors"
	"net/http"
	"sync"
)

// ErrDead is what a dead worker's calls answer: its transport refuses every further call, at once.
var ErrDead = errors.New("this worker is dead")

// Line is a worker's way to the endpoint. It counts calls and can cut the worker off at one of them.
type Line struct {
	// DieAt is the number of the call at which the worker dies; 0: never. After says after its effect, else before.
	DieAt int
	After bool
	// Counts chooses the calls that count; nil: all but receives and the sweeper's looks, which are idle for the most part.
	Counts func(call string) bool

	inner http.RoundTripper
	died  func()

	mu    sync.Mutex
	calls []string
	dead  bool
}

// Calls lists the calls that counted.
func (l *Line) Calls() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.calls...)
}

// Dead reports whether the worker has died.
func (l *Line) Dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// Kill cuts the worker off now.
func (l *Line) Kill() {
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	l.died()
}

// RoundTrip implements http.RoundTripper.
func (l *Line) RoundTrip(request *http.Request) (*http.Response, error) {
	name, body, err := callName(request)
	if err != nil {
		return nil, err
	}
	request.Body = body
	l.mu.Lock()
	if l.dead {
		l.mu.Unlock()
		return nil, ErrDead
	}
	dies := false
	if l.counts(name) {
		l.calls = append(l.calls, name)
		dies = len(l.calls) == l.DieAt
	}
	if dies && !l.After {
		l.dead = true
	}
	dead := l.dead
	l.mu.Unlock()
	if dead {
		l.died()
		return nil, ErrDead
	}
	response, err := l.inner.RoundTrip(request)
	if dies {
		l.Kill()
	}
	if l.Dead() { // it died while the call was under way
		if err == nil {
			err = response.Body.Close()
		}
		return nil, errors.Join(ErrDead, err)
	}
	return response, err
}

func (l *Line) counts(name string) bool {
	if l.Counts != nil {
		return l.Counts(name)
	}
	switch name {
	case "sqs:ReceiveMessage", "sqs:GetQueueAttributes", "dynamodb:Query", "dynamodb:Scan":
		return false
	}
	return true
}
