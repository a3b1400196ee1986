package launch_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
)

const weighted = `"pools": [{"types": ["m7g.large"], "subnets": ["subnet-a"], "weight": 70}, {"types": ["c7g.large"], "subnets": ["subnet-b"], "weight": 30}]`

func TestWeightsSpreadServersOverPools(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count, room  int // room in the first pool; below 0: no limit
		a, b, called int
	}{
		{1000, -1, 700, 300, 10},
		{10, -1, 7, 3, 2},
		{1, -1, 1, 0, 1},
		{155, -1, 109, 46, 3}, // 108.5 and 46.5: the earlier pool gets what is left over
		{200, 100, 100, 100, -1},
	} {
		t.Run(fmt.Sprint(c.count, c.room), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newCounted(t)
				if c.room >= 0 {
					w.Capacity["subnet-a"] = c.room
				}
				id := w.Submit("Launch", "web", "1", spec(c.count, weighted))
				w.Run()
				w.WantState(id, jobs.Succeeded)
				w.WantFleet("web", upTo(c.count)...)
				in := map[string]int{}
				for _, server := range w.Holders("web") {
					in[server.SubnetID]++
				}
				if in["subnet-a"] != c.a || in["subnet-b"] != c.b {
					t.Errorf("%v: want %d and %d", in, c.a, c.b)
				}
				if called := w.EC2Calls["RunInstances"]; c.called >= 0 && called != c.called {
					t.Errorf("%d launches, want %d", called, c.called)
				}
			})
		})
	}
}

func TestALadderFromAPoolAsksItFirstAndTheOthersInTheirOrder(t *testing.T) {
	t.Parallel()
	ladder := launch.Ladder{{Pool: 0, Subnet: "a"}, {Pool: 1, Subnet: "b"}, {Pool: 1, Subnet: "c"}, {Pool: 2, Subnet: "d"}}
	for pool, want := range map[int]string{-1: "abcd", 0: "abcd", 1: "bcad", 2: "dabc"} {
		got := ""
		for _, rung := range ladder.From(pool) {
			got += rung.Subnet
		}
		if got != want {
			t.Errorf("from pool %d: %s, want %s", pool, got, want)
		}
	}
}
