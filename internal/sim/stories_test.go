package sim_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/sim"
)

// STAMPMILL_SEEDS is how many schedules of each story are tried; make sim ONLY=story SEEDS=n tries more.
func TestEachStoryKeepsItsPromises(t *testing.T) {
	schedules, err := strconv.Atoi(os.Getenv("STAMPMILL_SEEDS"))
	if err != nil {
		schedules = 1
	}
	for _, story := range sim.Stories {
		t.Run(story, func(t *testing.T) {
			for seed := range schedules {
				result := run(t, uint64(seed+1), sim.Options{Only: story})
				if result != nil && result.Broken() {
					t.Fatalf("%s\nthe schedule:\n%s\nreplay: make sim SEEDS=1 SEED=%d ONLY=%s", strings.Join(result.Violations, "\n"), strings.Join(result.Short(40), "\n"), seed+1, story)
				}
			}
		})
	}
}
