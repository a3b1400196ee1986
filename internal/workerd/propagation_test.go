package workerd

import (
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestAFastEndpointIsAwaitedLessButNeverTooLittle(t *testing.T) {
	t.Parallel()
	for pace, want := range map[float64]time.Duration{0: jobs.PropagationLimit, 1: jobs.PropagationLimit, 5: time.Minute, 60: leastPropagation} {
		if got := propagation(pace); got != want {
			t.Errorf("at pace %g it is %s, want %s", pace, got, want)
		}
	}
}
