package jobs

import (
	"context"
	"fmt"
	"time"
)

// Making is one thing that a step makes: look, act, record. Every step that makes something goes through Make.
type Making[T any] struct {
	// Thing names what is made within the job: builder, image, parameter. It is part of the token and of the tags.
	Thing string
	// Recorded returns the thing if the program's Data has it already.
	Recorded func() (T, bool)
	// Look finds what an earlier delivery made and did not record: by token, deterministic name or our tags with the
	// incarnation. Found is false where nothing was found; nothing is adopted without our incarnation. It is called before Act
	// unless SkipFirstLook says that a token makes the call itself safe to repeat.
	Look          func(ctx context.Context) (found T, ok bool, err error)
	SkipFirstLook bool
	// Act makes it, with Token and tags on create.
	Act func(ctx context.Context, token string) (T, error)
	// Check compares what came back with what was asked; its error fails the job.
	Check func(T) error
	// Record puts it into the program's Data.
	Record func(T)
	// SharesSave leaves the save to the next one, which comes before the next act or with the delivery's end. It is for what
	// Act, repeated after a crash, cannot make twice: by its token or its name.
	SharesSave bool
}

// Make carries a Making out once. Ready is true when the thing is recorded and saved; otherwise the step returns the move
// or the error. Errors of class NextPool and NewAttempt are the step's to handle: it changes its parameters, calls
// Turn.NewAttempt and calls Make again or waits.
func Make[T any](ctx context.Context, turn *Turn, m Making[T]) (thing T, ready bool, err error) {
	if thing, ok := m.Recorded(); ok {
		return thing, true, nil
	}
	var none T
	if m.Look != nil && !(m.SkipFirstLook && turn.Job.Lost.IsZero()) {
		found, ok, err := m.Look(ctx)
		if err != nil {
			return none, false, err
		}
		if ok {
			return record(ctx, turn, m, found, "found")
		}
	}
	if turn.dirty { // what this step made or learned before
		if err := turn.Save(ctx); err != nil {
			return none, false, err
		}
	}
	made, err := m.Act(ctx, turn.Token(m.Thing))
	if err != nil {
		if m.Look != nil && IsClass(err, Mismatch, Duplicate) {
			return adopt(ctx, turn, m, err)
		}
		return none, false, err
	}
	return record(ctx, turn, m, made, "made")
}

// adopt looks after a token or a name proved to be in use: what carries our incarnation is ours. A duplicate that is
// not to be seen yet is still propagating; a token that made nothing starts a new attempt.
func adopt[T any](ctx context.Context, turn *Turn, m Making[T], cause error) (T, bool, error) {
	var none T
	found, ok, err := m.Look(ctx)
	if err != nil {
		return none, false, err
	}
	if ok {
		return record(ctx, turn, m, found, "adopted")
	}
	if IsClass(cause, Duplicate) {
		return none, false, &Error{Class: Propagating, Op: "make " + m.Thing, Err: cause}
	}
	return none, false, &Error{Class: NewAttempt, Op: "make " + m.Thing, Err: cause}
}

func record[T any](ctx context.Context, turn *Turn, m Making[T], thing T, how string) (T, bool, error) {
	m.Record(thing)
	turn.Note("%s %s: %v", how, m.Thing, thing)
	if m.SharesSave {
		turn.dirty = true
	} else if err := turn.Save(ctx); err != nil {
		return thing, false, err
	}
	if m.Check != nil {
		if err := m.Check(thing); err != nil {
			return thing, false, &Error{Class: Fatal, Op: "make " + m.Thing, Thing: fmt.Sprint(thing), Message: err.Error(),
				Hint: "what came back is not what was asked for"}
		}
	}
	return thing, true, nil
}

// Unmake undoes one thing. Forget finds every one that carries this job's tags (or the recorded one), removes it, and
// reports whether any was there. It is asked again until the propagation limit after an act that was not recorded.
func Unmake(ctx context.Context, turn *Turn, thing string, remove func(ctx context.Context) (gone bool, err error)) (Move, error) {
	gone, err := remove(ctx)
	if err != nil {
		return Move{}, err
	}
	if !gone {
		return Wait(5*time.Second, "%s to be gone", thing), nil
	}
	if until := turn.LookUntil(); turn.Now().Before(until) {
		return Wait(min(30*time.Second, until.Sub(turn.Now())), "anything of %s that a lost call may still make", thing), nil
	}
	return Done(), nil
}
