package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// floorSeeds is how many schedules are played.
const floorSeeds = 60

var rolloutFloor = measure{
	name: "rollout-floor",
	what: fmt.Sprintf("the least share of a fleet's servers that were healthy at any time of a rollout, less the share that was promised; schedules 1 to %d of "+
		"the simulation, with deaths, faults and orders", floorSeeds),
	bound: "none",
	bars:  []bar{{name: "all", value: 0, least: true}},
	take: func(k *taking) error {
		// A schedule repeats itself in a test binary only.
		play := exec.CommandContext(context.Background(), "go", "test", "-count=1", "-vet=off", "-v", "github.com/stampmill/stampmill/internal/sim",
			"-run", "^TestRandomSchedulesKeepEveryPromise$", "-seeds", strconv.Itoa(floorSeeds))
		told, err := play.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, told[max(len(told)-4000, 0):])
		}
		found := floorTold.FindSubmatch(told)
		if found == nil || bytes.Equal(found[1], []byte("0")) {
			return fmt.Errorf("%d schedules told of no rollout: %s", floorSeeds, told[max(len(told)-400, 0):])
		}
		fmt.Fprintf(os.Stderr, "# %s\n", found[0])
		floor, err := strconv.ParseFloat(string(found[2]), 64)
		if err != nil {
			return err
		}
		return k.report("all", floor, "of the fleet", 0)
	},
}

var floorTold = regexp.MustCompile(`rollouts=(\d+) rollout-floor=(-?[\d.]+)`)
