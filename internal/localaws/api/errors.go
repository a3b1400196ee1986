package api

import (
	"context"
	"errors"
	"net/http"
)

// ErrorNoter is a ResponseWriter that wants to know the code of the error that it carries. The endpoint's is one: it
// counts throttled answers.
type ErrorNoter interface{ NoteError(code string) }

// EmptyNoter is a ResponseWriter that wants to know that a receive brought no message. The endpoint's is one.
type EmptyNoter interface{ NoteEmpty() }

// AsError finds the *Error in err; anything else becomes an InternalFailure with status 500.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Status == 0 {
			filled := *e
			filled.Status = http.StatusBadRequest
			return &filled
		}
		return e
	}
	return &Error{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
}

// Throttles says whether the code is one by which AWS refuses a caller who is too fast.
func Throttles(code string) bool {
	switch code {
	case "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
		"RequestThrottledException", "TooManyRequestsException", "ProvisionedThroughputExceededException", "SlowDown":
		return true
	}
	return false
}

func note(w http.ResponseWriter, code string) {
	if noter, ok := w.(ErrorNoter); ok {
		noter.NoteError(code)
	}
}

type serverKey struct{}

// WithServer marks a request's context as coming from the instance, for calls over Env.Roundtrip.
func WithServer(ctx context.Context, instanceID string) context.Context {
	return context.WithValue(ctx, serverKey{}, instanceID)
}

// ServerOf is the instance that WithServer named, or empty.
func ServerOf(ctx context.Context) string {
	id, _ := ctx.Value(serverKey{}).(string)
	return id
}
