package jobs

import (
	"context"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/budget"
)

func TestASharedCallStandsInTheLineOfItsMostUrgentCaller(t *testing.T) {
	t.Parallel()
	caller := func(p Priority) context.Context { return Book(t.Context(), &Job{Priority: p}) }
	for _, tc := range []struct {
		callers []Priority
		want    budget.Class
	}{
		{nil, budget.Normal},
		{[]Priority{Low}, budget.Low},
		{[]Priority{Low, High}, budget.High},
		{[]Priority{High, Low, Normal}, budget.High},
		{[]Priority{Low, "", Low}, budget.Normal},
	} {
		shared := t.Context()
		for _, p := range tc.callers {
			shared = Lend(shared, caller(p)) //nolint:fatcontext // as deep as there are priorities
		}
		if got := LineOf(shared); got != tc.want {
			t.Errorf("callers %v: line %v, want %v", tc.callers, got, tc.want)
		}
		if _, booked := BookingOf(shared); booked {
			t.Errorf("callers %v: the shared call has somebody's grants", tc.callers)
		}
	}
}
