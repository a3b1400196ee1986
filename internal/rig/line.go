package rig

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// ErrDead is what a dead worker's calls answer: its transport refuses every further call, at once.
var ErrDead = errors.New("this worker is dead")

// Line is a worker's way to the endpoint. It counts calls and can cut the worker off at one of them.
type Line struct {
	// DieAt is the number of the call at which the worker dies; 0: never. After says after its effect, else before.
	DieAt int
	After bool
	// DropAt is the number of the call whose answer is lost after its effect, and so are those of its repetitions.
	DropAt int
	// FreezeAt is the number of the call at which the whole worker stands still for FreezeFor. Then it goes on as if nothing
	// had been: that call and all that were begun meanwhile go out late, though their callers' time may be up.
	FreezeAt  int
	FreezeFor time.Duration
	// LateAt is the number of the call whose connection breaks at once, and so do those of its repetitions, though they take
	// effect: LateFor later.
	LateAt  int
	LateFor time.Duration
	// Next is the line of the worker that follows in a Story when this one has died; nil: a worker that nothing befalls.
	Next *Line
	// Fate, if not nil, says what befalls each call, whether or not it counts.
	Fate func(call string, request *http.Request) Fate
	// Key is the access key id that the worker signs with, by which the endpoint tells workers apart; empty: all workers' own.
	Key string
	// Clock is the worker's clock; nil: time.Now.
	Clock func() time.Time
	// At, if not nil, is called with each call that counts, before it goes out.
	At func(n int, call string)
	// Counts chooses the calls that count; nil: all but receives and the sweeper's looks, which are idle for the most part.
	Counts func(call string) bool

	inner  http.RoundTripper
	died   func()
	frozen chan struct{} // closed when it freezes
	late   sync.WaitGroup

	mu    sync.Mutex
	calls []string
	dead  bool
	thaw  time.Time
	stood int    // calls that a freeze held up
	lost  string // the invocation whose answers are lost
}

// Fate is what befalls one call. The zero value is nothing.
type Fate struct {
	// Latency passes before the call goes out.
	Latency time.Duration
	// Die is the worker's death before the call takes effect, DieAfter after it.
	Die, DieAfter bool
	// Drop loses the answer after the effect.
	Drop bool
	// Late breaks the connection at once; the call takes effect this much later.
	Late time.Duration
	// Freeze lets the whole worker stand still.
	Freeze time.Duration
}

// Frozen is closed when the worker freezes.
func (l *Line) Frozen() <-chan struct{} { return l.frozen }

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

// Drain tells the worker to end: to finish what it has begun and to hand back the rest.
func (l *Line) Drain() { l.died() }

// RoundTrip implements http.RoundTripper.
func (l *Line) RoundTrip(request *http.Request) (*http.Response, error) {
	name, body, err := callName(request)
	if err != nil {
		return nil, err
	}
	request.Body = body
	number := l.count(name)
	fate := l.fate(name, request)
	if number > 0 && l.At != nil {
		l.At(number, name)
	}
	dies, after := number > 0 && number == l.DieAt || fate.Die || fate.DieAfter, l.After || fate.DieAfter
	if dies && !after {
		l.Kill()
	}
	if l.Dead() {
		return nil, ErrDead
	}
	request = l.stand(number, fate.Freeze, request)
	if fate.Late > 0 {
		return nil, errors.Join(broken(), l.later(request, fate.Late))
	}
	loses := l.loses(number, request)
	if loses && l.LateAt > 0 {
		return nil, errors.Join(broken(), l.later(request, l.LateFor))
	}
	loses = loses || fate.Drop
	response, err := l.inner.RoundTrip(request)
	if dies {
		l.Kill()
	}
	if l.Dead() { // it died while the call was under way
		return nil, errors.Join(ErrDead, discard(response, err))
	}
	if loses {
		return nil, errors.Join(broken(), discard(response, err))
	}
	return response, err
}

// count numbers the call; 0: it does not count.
func (l *Line) count(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead || !l.counts(name) {
		return 0
	}
	l.calls = append(l.calls, name)
	return len(l.calls)
}

// stand waits while the worker is frozen. What goes out late goes out whole, whether or not anybody still waits for it.
func (l *Line) stand(number int, freeze time.Duration, request *http.Request) *http.Request {
	l.mu.Lock()
	if number > 0 && number == l.FreezeAt {
		l.thaw = time.Now().Add(l.FreezeFor)
		close(l.frozen)
	}
	if freeze > 0 && l.thaw.IsZero() {
		l.thaw = time.Now().Add(freeze)
	}
	rest := time.Until(l.thaw)
	if rest <= 0 {
		l.mu.Unlock()
		return request
	}
	l.stood++
	rest += time.Duration(l.stood) * time.Microsecond // what was held up goes out in the order in which it came
	l.mu.Unlock()
	time.Sleep(rest)
	return request.WithContext(context.WithoutCancel(request.Context()))
}

// loses says whether the call's answer is lost. The SDK repeats a call under the same invocation id.
func (l *Line) loses(number int, request *http.Request) bool {
	invocation := request.Header.Get("Amz-Sdk-Invocation-Id")
	l.mu.Lock()
	defer l.mu.Unlock()
	if number > 0 && (number == l.DropAt || number == l.LateAt) {
		l.lost = invocation
	}
	return l.lost != "" && l.lost == invocation
}

// fate asks what befalls the call, and lets its latency pass.
func (l *Line) fate(name string, request *http.Request) Fate {
	if l.Fate == nil || l.Dead() {
		return Fate{}
	}
	fate := l.Fate(name, request)
	if fate.Latency > 0 {
		timer := time.NewTimer(fate.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-request.Context().Done():
		}
	}
	return fate
}

// later lets the call take effect after its caller has given up.
func (l *Line) later(request *http.Request, after time.Duration) error {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return err
	}
	late := request.Clone(context.WithoutCancel(request.Context()))
	late.Body = io.NopCloser(bytes.NewReader(body))
	l.late.Go(func() {
		time.Sleep(after)
		if err := discard(l.inner.RoundTrip(late)); err != nil {
			slog.Debug("a call that was to take effect late", "error", err)
		}
	})
	return nil
}

func broken() error { return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET} }

func discard(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	return response.Body.Close()
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
