package jobs

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs/budget"
)

type lineKey struct{}

// Lend gives the context of a call that jobs share the line of the most urgent of its callers, and nothing else of them:
// neither a claim nor its grants outlive the delivery.
func Lend(shared, caller context.Context) context.Context {
	class := LineOf(caller)
	if lent, ok := shared.Value(lineKey{}).(budget.Class); ok && lent <= class {
		return shared
	}
	return context.WithValue(shared, lineKey{}, class)
}

// LineOf is the line in which a call stands for its budget: the job's, or that of the most urgent of the jobs that share it.
func LineOf(ctx context.Context) budget.Class {
	if booking, ok := BookingOf(ctx); ok {
		return booking.Class()
	}
	if class, ok := ctx.Value(lineKey{}).(budget.Class); ok {
		return class
	}
	return budget.Normal
}
