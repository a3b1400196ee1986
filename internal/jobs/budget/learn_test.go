package budget_test

import (
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// launched is how many seconds a launch of 10,000 takes, and how often it is refused, while somebody else takes of EC2's bucket
// what disturb says, each second.
func launched(t *testing.T, disturb func(second int) float64) (seconds float64, refused int) {
	t.Helper()
	b := budget.New(run, begin)
	ec2 := &real{rate: run.Resources, level: run.Resources.Size, at: begin}
	now, second, owed := begin, 0, 0.
	for servers := 0; servers < 10_000; {
		_, due := b.Take(run, now, ask(budget.Normal, 100))
		for now.Before(due) {
			now = now.Add(time.Second)
			owed += disturb(second)
			second++
			ec2.take(now, 0)
			taken := min(owed, ec2.level)
			ec2.level -= taken
			owed -= taken
		}
		b = reread(t, b)
		if ec2.take(now, 100) {
			servers += 100
			continue
		}
		refused++
		b.Throttle(run, now, ask(budget.Normal, 100))
		if refused > 100 {
			t.Fatal("refused for ever")
		}
	}
	return now.Sub(begin).Seconds(), refused
}

// Somebody who takes many servers once costs a long launch those servers' time and minutes, and not the hours for which one
// who takes of the bucket all the time is made room for.
func TestALaunchThatRanAtTheWholeRateIsSlowedForMinutesByAStrayRefusal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at      int
		servers float64
	}{{300, 100}, {300, 300}, {1500, 300}, {3000, 300}} {
		took, refused := launched(t, func(second int) float64 {
			if second == c.at {
				return c.servers
			}
			return 0
		})
		if best := (9000 + c.servers) / run.Resources.Refill; took > best+10*60 || refused == 0 || refused > 2 {
			t.Errorf("%g servers after %d s: %.0f s and %d refusals, want at most 10 min over %.0f s", c.servers, c.at, took, refused, best)
		}
	}
}

func TestWhoTakesOfTheBucketAllTheTimeIsNoStray(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0.3, 0.4, 0.5} {
		for _, from := range []int{0, 1500} { // from the beginning, and after a while at the whole rate
			took, refused := launched(t, func(second int) float64 {
				if second < from {
					return 0
				}
				return share * run.Resources.Refill
			})
			most := 3 // the first of them may be taken for a stray one
			if from == 0 && share <= 0.3 {
				most = 1
			}
			if best := 9000 / (1 - share) / run.Resources.Refill; refused > most || took > 1.3*best {
				t.Errorf("%g of the rate from %d s on: %.0f s and %d refusals, want at most %d in 1.3 × %.0f s", share, from, took, refused, most, best)
			}
		}
	}
}
