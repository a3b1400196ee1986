package sim_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/rig"
	"github.com/stampmill/stampmill/internal/sim"
)

var (
	seeds = flag.Int("seeds", 12, "how many random schedules are tried")
	trace = flag.Bool("trace", false, "tell every call")
	only  = flag.String("only", "", "one of the stories: no other jobs, in each schedule")
	first = flag.Uint64("seed", 1, "the first schedule's seed; with -seeds 1 it is told in full")
)

// TestMain takes one processor: goroutines that are ready at the same instant then run in one order, and a seed's schedule
// repeats itself. Nobody reads a profile of the memory, which costs at each allocation.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	runtime.MemProfileRate = 0
	os.Exit(m.Run())
}

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

// sabotage lets a server of a fleet die behind the ledger's back, once all is quiet.
func sabotage(r *rig.Rig) {
	time.AfterFunc(31*time.Minute, func() {
		for _, i := range r.EC2().Inspect().Instances {
			if i.State == "running" && i.Tags[launch.TagFleet] != "" {
				if _, err := r.Endpoint.Control("kill-instance", json.RawMessage(fmt.Sprintf(`{"instance":%q}`, i.ID))); err != nil {
					panic(err)
				}
				return
			}
		}
	})
}

func needsOrder(t *testing.T) {
	t.Helper()
	if raced {
		t.Skip("the race detector's scheduler takes turns at random; without it this test runs")
	}
}

func TestAFailingSeedFailsAgainTheSameWay(t *testing.T) {
	needsOrder(t)
	failures := 0
	for seed := uint64(1); failures < 2 && seed < 20; seed++ {
		result := run(t, seed, sim.Options{Sabotage: sabotage})
		if !result.Broken() {
			continue
		}
		failures++
		if !strings.Contains(strings.Join(result.Short(40), "\n"), "VIOLATION") {
			t.Errorf("the story does not tell what was broken:\n%s", strings.Join(result.Story, "\n"))
		}
		repeats(t, seed, sim.Options{Sabotage: sabotage}, func(r *sim.Result) []string { return r.Violations })
	}
	if failures < 2 {
		t.Fatal("no schedule noticed that a server of a fleet had died")
	}
}

func TestWithoutFaultsEveryJobEndsAsItMust(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		if result := run(t, seed, sim.Options{Calm: true}); result.Broken() || result.Faults > 0 {
			t.Errorf("seed %d, %d faults: %q\n%s", seed, result.Faults, result.Violations, strings.Join(result.Story, "\n"))
		}
	}
}

func TestRandomSchedulesKeepEveryPromise(t *testing.T) {
	if testing.Short() {
		*seeds = min(*seeds, 3)
	}
	var mu sync.Mutex
	var calls int64
	var faults, violations, rollouts int
	floor := 1.0
	t.Cleanup(func() {
		fmt.Printf("schedules=%d calls=%d faults=%d violations=%d rollouts=%d rollout-floor=%.3f\n", *seeds, calls, faults, violations, rollouts, floor)
	})
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			result := run(t, seed, sim.Options{Trace: *trace, Only: *only})
			if result == nil {
				return
			}
			mu.Lock()
			calls, faults, violations = calls+result.Calls, faults+result.Faults, violations+len(result.Violations)
			if rollouts += result.Rollouts; result.Rollouts > 0 {
				floor = min(floor, result.Floor)
			}
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

// What happens at the same instant to different calls may be told in either order.
func TestASeedsScheduleRepeatsItself(t *testing.T) {
	needsOrder(t)
	for _, seed := range []uint64{1, 2, 5} {
		repeats(t, seed, sim.Options{}, func(r *sim.Result) []string {
			if r.Faults == 0 {
				t.Errorf("nothing befell seed %d's schedule", seed)
			}
			return slices.Sorted(slices.Values(r.Story))
		})
	}
}

// repeats holds a seed to go twice the same way, of a few tries: Go's scheduler takes a goroutine's turn away after 10 ms of
// the machine's time, so that a busy machine now and then orders what is ready at the same instant otherwise. A schedule that
// hangs on anything else than its seed (the order of a map, the wall clock) never goes the same way.
func repeats(t *testing.T, seed uint64, o sim.Options, of func(*sim.Result) []string) {
	t.Helper()
	var ways [][]string
	for range 6 {
		way := of(run(t, seed, o))
		if slices.ContainsFunc(ways, func(w []string) bool { return slices.Equal(w, way) }) {
			return
		}
		ways = append(ways, way)
	}
	t.Errorf("seed %d went %d ways, one of them\n%s\nand another\n%s", seed, len(ways), strings.Join(ways[0], "\n"), strings.Join(ways[1], "\n"))
}
