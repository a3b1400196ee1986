package budget_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/budget"
)

var (
	begin = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	run   = budget.Default("RunInstances")
)

func at(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }

func near(t *testing.T, what string, got, want time.Time, slack time.Duration) {
	t.Helper()
	if d := got.Sub(want); d < -slack || d > slack {
		t.Errorf("%s at %s, want %s", what, got.Sub(begin), want.Sub(begin))
	}
}

func ask(class budget.Class, resources float64) budget.Ask {
	return budget.Ask{Class: class, Requests: 1, Resources: resources}
}

func TestWhatIsInTheBucketIsGrantedAtOnceAndTheRestComesAtTheRate(t *testing.T) {
	t.Parallel()
	b := budget.New(run, begin)
	var last time.Time
	for i := range 20 {
		_, due := b.Take(run, begin, ask(budget.Normal, 100))
		if i < 5 && due.After(begin) {
			t.Errorf("launch %d waits until %s though five requests and a thousand servers are there", i, due.Sub(begin))
		}
		last = due
	}
	near(t, "the 20th hundred", last, at(500), time.Second) // 1,000 more than the bucket, at two a second
}

func TestAPlaceIsServedWhenItSaidAndNoSooner(t *testing.T) {
	t.Parallel()
	b := budget.New(run, begin)
	b.Take(run, begin, ask(budget.Low, 1000))
	place, due := b.Take(run, begin, ask(budget.Low, 100))
	near(t, "it is served", due, at(50), time.Millisecond)
	for _, s := range []float64{0, 10, 49.9} {
		b.Advance(run, at(s))
		if !b.Due(run, place).After(at(s)) {
			t.Errorf("it is served after %g s", s)
		}
	}
	b.Advance(run, at(50.001))
	if b.Due(run, place).After(b.At) {
		t.Error("it is not served when its time has come")
	}
}

func TestAnUrgentCallPassesALongLineAndTheLineNeverStops(t *testing.T) {
	t.Parallel()
	b := budget.New(run, begin)
	b.Take(run, begin, ask(budget.Low, 1000))
	var places []budget.Place
	for range 100 {
		place, _ := b.Take(run, begin, ask(budget.Low, 100))
		places = append(places, place)
	}
	_, due := b.Take(run, at(10), ask(budget.High, 20))
	near(t, "the urgent one is served", due, at(10+20/2./(15./16)), 100*time.Millisecond)
	// Urgent calls without end: the low ones keep their share.
	for s := 10.; s < 3000; s += 5 {
		b.Take(run, at(s), ask(budget.High, 10))
	}
	b.Advance(run, at(3000))
	served := 0
	for _, place := range places {
		if !b.Due(run, place).After(b.At) {
			served++
		}
	}
	if served < 3 {
		t.Errorf("%d low places were served in 3,000 s; their share is a sixteenth of 6,000 tokens", served)
	}
}

func TestWhatIsGivenBackMovesTheLineOn(t *testing.T) {
	t.Parallel()
	b := budget.New(run, begin)
	b.Take(run, begin, ask(budget.Normal, 1000))
	first, _ := b.Take(run, begin, ask(budget.Normal, 100))
	var middle []budget.Place
	for range 40 {
		place, _ := b.Take(run, begin, ask(budget.Normal, 100))
		middle = append(middle, place)
	}
	last, due := b.Take(run, begin, ask(budget.Normal, 100))
	near(t, "the last is served", due, at(50*42), time.Second)
	for _, i := range rand.Perm(len(middle)) {
		b.GiveBack(run, begin, middle[i])
	}
	near(t, "the first stays where it was", b.Due(run, first), at(50), time.Millisecond)
	near(t, "the last comes next", b.Due(run, last), at(100), time.Millisecond)
	b.GiveBack(run, at(60), first) // served, and not used
	near(t, "the last takes what the first left", b.Due(run, last), at(60), time.Millisecond)
}

func TestAThrottleSlowsAllOnceAndIsForgotten(t *testing.T) {
	t.Parallel()
	b := budget.New(run, begin)
	for i := range 8 { // eight workers meet the same empty bucket
		if moved := b.Throttle(run, at(float64(i)/10), ask(budget.Normal, 100)); moved != (i == 0) {
			t.Errorf("refusal %d moved the bucket: %t", i, moved)
		}
	}
	if b.Throttles != 1 {
		t.Errorf("%d throttles count, want 1", b.Throttles)
	}
	_, due := b.Take(run, at(1), ask(budget.Normal, 50))
	near(t, "50 servers come", due, at(50), time.Second) // half of 2 a second
	if _, rate := b.Rates(run); math.Abs(rate-1) > 0.01 {
		t.Errorf("the rate is %g a second, want 1", rate)
	}
	b.Advance(run, at(7300))
	if _, rate := b.Rates(run); rate != 2 {
		t.Errorf("after two hours the rate is %g a second, want 2", rate)
	}
	requests := budget.Default("DescribeInstances")
	d := budget.New(requests, begin)
	d.Throttle(requests, begin, budget.Ask{Class: budget.Normal, Requests: 1})
	d.Advance(requests, at(71))
	if rate, _ := d.Rates(requests); rate != 20 {
		t.Errorf("a bucket that fills in seconds has %g a second a minute later, want 20", rate)
	}
}

// real is EC2's own bucket.
type real struct {
	rate  budget.Rate
	level float64
	at    time.Time
}

func (r *real) take(now time.Time, tokens float64) bool {
	r.level = min(r.rate.Size, r.level+now.Sub(r.at).Seconds()*r.rate.Refill)
	r.at = now
	if r.level < tokens-1e-6 {
		return false
	}
	r.level -= tokens
	return true
}

// TestNobodyWhoWaitsForHisTurnIsRefusedByEC2 lets random calls of all priorities come, give back, and go when their place is
// served: EC2's own bucket then has their tokens.
func TestNobodyWhoWaitsForHisTurnIsRefusedByEC2(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		dice := rand.New(rand.NewPCG(seed, 1))
		b := budget.New(run, begin)
		ec2 := &real{rate: run.Resources, level: run.Resources.Size, at: begin}
		var waiting []budget.Place
		granted, asked := 0., 0.
		now := begin
		for range 400 {
			now = now.Add(time.Duration(dice.IntN(20_000)) * time.Millisecond)
			b = reread(t, b)
			switch dice.IntN(5) {
			case 0, 1:
				n := float64(1 + dice.IntN(100))
				place, _ := b.Take(run, now, ask(budget.Class(dice.IntN(3)), n))
				waiting = append(waiting, place)
				asked += n
			case 2:
				if len(waiting) > 0 {
					i := dice.IntN(len(waiting))
					b.GiveBack(run, now, waiting[i])
					asked -= waiting[i].Resources
					waiting = append(waiting[:i], waiting[i+1:]...)
				}
			}
			b.Advance(run, now)
			kept := waiting[:0]
			for _, place := range waiting {
				if b.Due(run, place).After(b.At) {
					kept = append(kept, place)
					continue
				}
				granted += place.Resources
				if !ec2.take(now, place.Resources) {
					t.Fatalf("seed %d: EC2 refuses %g servers at %s", seed, place.Resources, now.Sub(begin))
				}
			}
			waiting = kept
			if err := b.Check(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		left := 0.
		for _, line := range b.Resources.Lines {
			left += line.Waiting()
		}
		if left > asked-granted+1e-3 {
			t.Fatalf("seed %d: %g tokens are waited for; %g were asked for and not granted", seed, left, asked-granted)
		}
		// Nobody is forgotten.
		b.Advance(run, now.Add(24*time.Hour))
		for _, place := range waiting {
			if b.Due(run, place).After(b.At) {
				t.Fatalf("seed %d: a place is never served: %+v", seed, place)
			}
		}
	}
}

// reread is the bucket as the table gives it back.
func reread(t *testing.T, b budget.Bucket) budget.Bucket {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 4096 {
		t.Fatalf("the bucket has %d bytes", len(text))
	}
	var again budget.Bucket
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	return again
}

func TestTheStateIsSmallHoweverManyWait(t *testing.T) {
	t.Parallel()
	b := budget.New(run, begin)
	for i := range 10_000 {
		place, _ := b.Take(run, begin, ask(budget.Class(i%3), 100))
		if i%7 == 0 {
			b.GiveBack(run, begin, place)
		}
	}
	reread(t, b)
}

func TestASlowClockChangesNothing(t *testing.T) {
	t.Parallel()
	b := budget.New(run, at(100))
	b.Take(run, at(100), ask(budget.Normal, 1000))
	before := fmt.Sprint(b.Clone().Resources.Level, b.At)
	b.Advance(run, at(90))
	if after := fmt.Sprint(b.Resources.Level, b.At); after != before {
		t.Errorf("a clock ten seconds behind turns %s into %s", before, after)
	}
}

// TestWhoSharesTheBucketIsRefusedOnceInALargeLaunch lets somebody else take 10 to 40 % of what EC2's own bucket gets back while
// 9,000 servers wait for the rest, a hundred a call.
func TestWhoSharesTheBucketIsRefusedOnceInALargeLaunch(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0.1, 0.2, 0.3} {
		b := budget.New(run, begin)
		left := run.Resources
		left.Refill *= 1 - share
		ec2 := &real{rate: left, level: 0, at: begin}
		b.Take(run, begin, ask(budget.Normal, 1000))
		now, refused := begin, 0
		for granted := 0; granted < 9000; {
			place, due := b.Take(run, now, ask(budget.Normal, 100))
			for due.After(now) {
				now = due.Add(time.Millisecond)
				b.Advance(run, now)
				due = b.Due(run, place)
			}
			if ec2.take(now, 100) {
				granted += 100
				continue
			}
			refused++
			b.Throttle(run, now, ask(budget.Normal, 100))
		}
		if best := 9000 / left.Refill; refused > 1 || now.Sub(begin).Seconds() > 1.4*best {
			t.Errorf("somebody takes %g: %d refusals, and %s; the bucket needs %.0f s", share, refused, now.Sub(begin), best)
		}
	}
}

func TestARefusalSlowsWhatIsShort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		taken     budget.Ask // beforehand, by ourselves
		refused   float64
		requests  float64 // the rates afterwards
		resources float64
	}{
		{"requests, in a launch's first second", budget.Ask{Class: budget.Normal, Requests: 5, Resources: 300}, 100, 1, 2},
		{"servers, while requests are there", budget.Ask{Class: budget.Normal, Requests: 1, Resources: 900}, 100, 2, 1},
		{"requests first, if both are short", budget.Ask{Class: budget.Normal, Requests: 5, Resources: 900}, 100, 1, 2},
		{"servers, if nothing is short", budget.Ask{Class: budget.Normal, Requests: 1, Resources: 1}, 100, 2, 1},
		{"both, for a single server", budget.Ask{Class: budget.Normal, Requests: 1, Resources: 1}, 1, 1, 1},
	} {
		b := budget.New(run, begin)
		b.Take(run, begin, c.taken)
		b.Throttle(run, begin, ask(budget.Normal, c.refused))
		if requests, resources := b.Rates(run); requests != c.requests || resources != c.resources {
			t.Errorf("%s: %g requests and %g servers a second come now, want %g and %g", c.name, requests, resources, c.requests, c.resources)
		}
	}
}
