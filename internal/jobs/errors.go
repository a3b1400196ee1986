package jobs

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Class says what to do about an error. Adapters classify by code, steps and the engine act by class.
type Class string

// The classes of errors, from aws-facts "Errors by what to do".
const (
	// Unknown is an error that nobody classified: it is retried a few times, then fails the job.
	Unknown Class = ""
	// Retry: the same call with the same token may succeed later (throttles, 5xx, network).
	Retry Class = "retry"
	// Propagating: what was just made is not visible everywhere yet; bounded.
	Propagating Class = "propagating"
	// Busy: others' work must end first (snapshot copies, image creations).
	Busy Class = "busy"
	// NextPool: this pool has no capacity; another one, with a new token, may.
	NextPool Class = "next-pool"
	// NewAttempt: the token is spent; the same pool with a new one.
	NewAttempt Class = "new-attempt"
	// Mismatch: the token was used with other parameters; adopt and compare what it made, or start a new attempt.
	Mismatch Class = "mismatch"
	// Park: a person or a quota must change something first.
	Park Class = "park"
	// Fatal: it fails for good.
	Fatal Class = "fatal"
	// NotFound: the thing is not there (or not there any more).
	NotFound Class = "not-found"
	// Duplicate: a thing with this name is there already.
	Duplicate Class = "duplicate"
	// InLine: the call was not made, since its budget has no token for it before Until.
	InLine Class = "in-line"
)

// Error is an error with what a person needs to act: the operation, the thing and a hint.
type Error struct {
	Class Class
	// Code is the service's own error code.
	Code string
	// Op is the operation: ec2 RunInstances.
	Op string
	// Thing is what it was about: an id or a name.
	Thing string
	// Message is the service's own words.
	Message string
	// Hint says what to do; it may be empty.
	Hint string
	// Ambiguous: the call may have taken effect all the same (time-out, dropped connection, 5xx).
	Ambiguous bool
	// Until is when a call of class InLine may be made.
	Until time.Time
	Err   error
}

func (e *Error) Error() string {
	var b strings.Builder
	for _, part := range []string{e.Op, e.Thing} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	switch {
	case e.Code != "" && e.Message != "":
		b.WriteString(e.Code + ": " + e.Message)
	case e.Message != "":
		b.WriteString(e.Message)
	case e.Code != "":
		b.WriteString(e.Code)
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// ClassOf is the class of the first Error in err's chain, else Unknown.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Unknown
}

// IsClass reports whether err is of one of the classes.
func IsClass(err error, classes ...Class) bool {
	if err == nil {
		return false
	}
	class := ClassOf(err)
	return slices.Contains(classes, class)
}

// IsAmbiguous reports whether the call behind err may have taken effect.
func IsAmbiguous(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Ambiguous
}

// Fatalf is an error that fails the job for good.
func Fatalf(op, thing, message, hint string) error {
	return &Error{Class: Fatal, Op: op, Thing: thing, Message: message, Hint: hint}
}

// What the engine allows before it gives an error up.
const (
	// PropagationLimit bounds eventual consistency: rarely minutes (aws-facts "Eventual consistency").
	PropagationLimit = 5 * time.Minute
	// UnknownErrors is how many unclassified errors in a row a step may return.
	UnknownErrors = 5
	// ParkInterval is how often a parked job looks whether the quota or the person moved.
	ParkInterval = 10 * time.Minute
)

// ErrFenced is what a write answers whose claim has passed to another delivery: the worker drops the delivery at once
// and changes nothing more.
var ErrFenced = errors.New("the claim has passed to another delivery")
