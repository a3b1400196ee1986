package rig_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/rig"
)

// crowd is how many workers share the memory of empty pools, batches how many launches they carry out, of one batch each.
const crowd, batches = 5, 40

// empty is an installation of several workers, and of an account without m7g.large.
func empty(t *testing.T, w *wire, c rig.Config, test func(b *bubble)) {
	t.Helper()
	w.fault = func(r *api.Request) localaws.Fault {
		if r.Action == "RunInstances" {
			return localaws.Fault{DelayAnswer: time.Second} // so that others ask while a call is under way
		}
		return localaws.Fault{}
	}
	c.Endpoint.Intercept = w.intercept
	c.Endpoint.EC2.Capacity = []ec2.CapacityRule{{Type: "m7g.large", Capacity: 0}}
	installed(t, c, func(b *bubble) {
		for range crowd {
			b.worker(nil)
		}
		test(b)
	})
}

// rich is an account in which no budget holds jobs back: what keeps them from asking together is the memory alone.
func rich() rig.Config {
	c := rig.Config{Worker: func(w *config.Worker) { w.Limits = []string{"RunInstances=1000/1000"} }}
	c.Endpoint.EC2.Limits = map[string]ec2.Limit{"RunInstances": {Size: 1000, Refill: 1000}}
	return c
}

// launches submits a launch for each batch, together.
func (b *bubble) launches(types string) (ids []string) {
	b.t.Helper()
	for i := range batches {
		ids = append(ids, b.submit(fmt.Sprint(i), fmt.Sprintf(`
kind: Launch
name: fleet-%02d
spec: {image: %s, count: 2, accept: 50%%, pools: [{types: [%s]}]}
`, i, arm64(), types)))
	}
	return ids
}

// asked counts the RunInstances calls for the type since the instant, by pool.
func (w *wire) asked(kind string, since time.Time) map[string]int {
	pools := map[string]int{}
	for _, call := range w.all("ec2:RunInstances") {
		if strings.HasPrefix(call.pool, kind) && !call.time.Before(since) {
			pools[call.pool]++
		}
	}
	return pools
}

func total(pools map[string]int) (n int) {
	for _, asked := range pools {
		n += asked
	}
	return n
}

func TestManyWorkersTogetherAskAnEmptyPoolAFewTimes(t *testing.T) {
	t.Parallel()
	var w wire
	empty(t, &w, rig.Config{}, func(b *bubble) {
		begun := time.Now()
		for _, id := range b.launches("m7g.large, m6g.large") {
			b.ends(id, jobs.Succeeded)
		}
		asked := w.asked("m7g.large", begun)
		for pool, n := range asked { // what the budget lets begin in the second before the first refusal is known, about one a worker
			if n > 2*crowd {
				t.Errorf("%d batches of %d workers asked the empty pool %s %d times, want %d at most", batches, crowd, pool, n, 2*crowd)
			}
		}
		if len(asked) == 0 || total(asked) > 3*crowd {
			t.Errorf("the empty pools were asked %v times, want %d calls at most in all", asked, 3*crowd)
		}
		if n := total(w.asked("m6g.large", begun)); n != batches {
			t.Errorf("the other pools were asked %d times, want once by each of %d batches", n, batches)
		}
	})
}

func TestOneOfManyWorkersTriesARefusedPoolAgain(t *testing.T) {
	t.Parallel()
	var w wire
	empty(t, &w, rich(), func(b *bubble) {
		begun := time.Now()
		ids := b.launches("m7g.large")
		time.Sleep(45 * time.Second)
		refused := w.asked("m7g.large", begun)
		if len(refused) == 0 || total(refused) < crowd {
			t.Errorf("only %v were asked at first: the test shows nothing", refused)
		}
		lapse := time.Now() // after a minute; the next one is two minutes after that
		time.Sleep(2 * time.Minute)
		tried := w.asked("m7g.large", lapse)
		for pool := range refused {
			if tried[pool] != 1 {
				t.Errorf("when its minute was over the pool %s was tried %d times, want once", pool, tried[pool])
			}
		}
		room := time.Now()
		if _, err := b.Endpoint.Control("capacity", json.RawMessage(`{"type": "m7g.large", "capacity": 1000}`)); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			b.ends(id, jobs.Succeeded)
		}
		if n := total(w.asked("m7g.large", room)); n != batches {
			t.Errorf("with room again it was asked %d times, want once by each of %d batches", n, batches)
		}
	})
}
