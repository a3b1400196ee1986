package jobs

import "errors"

// UnreadableError names items of a table that cannot be read: a newer version wrote them, or something that is not
// Stampmill. Whoever lists gives the others all the same, with this error.
type UnreadableError struct {
	// Errs says of each what is wrong with it.
	Errs []error
}

func (e *UnreadableError) Error() string { return errors.Join(e.Errs...).Error() }

// Unwrap gives what is wrong with each.
func (e *UnreadableError) Unwrap() []error { return e.Errs }

// Add notes one more.
func (e *UnreadableError) Add(err error) { e.Errs = append(e.Errs, err) }

// OrNil is the error to return: nil if everything could be read.
func (e *UnreadableError) OrNil() error {
	if len(e.Errs) == 0 {
		return nil
	}
	return e
}

// Unread takes unreadable items out of a list's error, for callers that go on with the others; rest is any other error.
func Unread(err error) (unread *UnreadableError, rest error) {
	if e, ok := errors.AsType[*UnreadableError](err); ok {
		return e, nil
	}
	return nil, err
}
