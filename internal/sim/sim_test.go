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
	var failed []*sim.Result
	for seed := uint64(1); len(failed) < 2 && seed < 20; seed++ {
		if result := run(t, seed, sim.Options{Sabotage: sabotage}); result.Broken() {
			failed = append(failed, result)
		}
	}
	if len(failed) < 2 {
		t.Fatal("no schedule noticed that a server of a fleet had died")
	}
	for _, result := range failed {
		again := run(t, result.Seed, sim.Options{Sabotage: sabotage})
		if !slices.Equal(again.Violations, result.Violations) {
			t.Errorf("seed %d broke\n%q\nand then\n%q", result.Seed, result.Violations, again.Violations)
		}
		if !strings.Contains(strings.Join(result.Short(40), "\n"), "VIOLATION") {
			t.Errorf("the story does not tell what was broken:\n%s", strings.Join(result.Story, "\n"))
		}
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
			result := run(t, seed, sim.Options{Trace: *trace})
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
		once, again := run(t, seed, sim.Options{}), run(t, seed, sim.Options{})
		slices.Sort(once.Story)
		slices.Sort(again.Story)
		if !slices.Equal(once.Story, again.Story) || once.Faults == 0 {
			t.Errorf("seed %d: %d faults, once\n%s\nand then\n%s", seed, once.Faults, strings.Join(once.Story, "\n"), strings.Join(again.Story, "\n"))
		}
	}
}
