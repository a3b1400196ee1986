package sim_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"github.com/stampmill/stampmill/internal/sim"
)

var (
	seeds = flag.Int("seeds", 12, "how many random schedules are tried")
	trace = flag.Bool("trace", false, "tell every call")
	first = flag.Uint64("seed", 1, "the first schedule's seed; with -seeds 1 it is told in full")
)

// run plays one schedule in a bubble of its own.
func run(t *testing.T, seed uint64, o sim.Options) *sim.Result {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	var result *sim.Result
	synctest.Test(t, func(t *testing.T) {
		var err error
		if result, err = sim.Run(context.Background(), seed, o); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	})
	return result
}

func TestRandomSchedulesKeepEveryPromise(t *testing.T) {
	var mu sync.Mutex
	var calls int64
	var faults, violations int
	t.Cleanup(func() {
		fmt.Printf("schedules=%d calls=%d faults=%d violations=%d\n", *seeds, calls, faults, violations)
	})
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			result := run(t, seed, sim.Options{Trace: *trace})
			if result == nil {
				return
			}
			mu.Lock()
			calls, faults, violations = calls+result.Calls, faults+result.Faults, violations+len(result.Violations)
			mu.Unlock()
			if *seeds == 1 {
				t.Logf("the schedule:\n%s", strings.Join(result.Story, "\n"))
			}
			if result.Broken() {
				t.Errorf("%s\nthe schedule:\n%s\nreplay: make sim SEEDS=1 SEED=%d", strings.Join(result.Violations, "\n"), strings.Join(result.Short(40), "\n"), seed)
			}
		})
	}
}
