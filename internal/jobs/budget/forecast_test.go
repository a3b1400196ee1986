package budget_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// TestAForecastIsWhenTheLastPlaceIsServed asks the bucket itself: places that are taken are due when the forecast said.
func TestAForecastIsWhenTheLastPlaceIsServed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		dice := rand.New(rand.NewPCG(seed, 2))
		b := budget.New(run, begin)
		now := begin
		for range dice.IntN(30) { // others who came before, some of them refused by EC2
			now = now.Add(time.Duration(dice.IntN(60)) * time.Second)
			b.Take(run, now, ask(budget.Class(dice.IntN(3)), float64(1+dice.IntN(300))))
			if dice.IntN(10) == 0 {
				b.Throttle(run, now, ask(budget.Normal, 100))
			}
		}
		class, batches := budget.Class(dice.IntN(3)), 1+dice.IntN(20)
		requests, resources := b.Forecast(run, now, budget.Ask{Class: class, Requests: float64(batches), Resources: float64(batches) * 100})
		var last budget.Place
		for range batches {
			last, _ = b.Take(run, now, ask(class, 100))
		}
		want := now.Add(max(requests, resources))
		served := func(at time.Time) bool {
			then := b.Clone()
			then.Advance(run, at)
			return !then.Due(run, last).After(then.At)
		}
		if !served(want.Add(2*time.Millisecond)) || want.After(now) && served(want.Add(-5*time.Millisecond)) {
			t.Errorf("seed %d: %d hundreds of class %d are forecast for %s, when they are not due", seed, batches, class, want.Sub(now))
		}
	}
}

func TestAForecastTakesNothingAndCountsWhoStandsAhead(t *testing.T) {
	t.Parallel()
	b := budget.New(run, begin)
	b.Take(run, begin, ask(budget.Normal, 1000))
	b.Take(run, begin, ask(budget.High, 30))
	b.Take(run, begin, ask(budget.Low, 200))
	for class, want := range map[budget.Class]float64{budget.High: 30, budget.Normal: 30, budget.Low: 230} {
		if ahead := b.Resources.Ahead(class); ahead != want {
			t.Errorf("%g servers stand ahead of class %d, want %g", ahead, class, want)
		}
	}
	before := b.Clone()
	for range 3 {
		if _, wait := b.Forecast(run, begin, ask(budget.Low, 100)); wait != 165*time.Second {
			t.Errorf("the last of 100 low ones waits %s, want the 330 servers' time", wait)
		}
	}
	if b.Resources.Lines[budget.Low].Waiting() != before.Resources.Lines[budget.Low].Waiting() || b.Requests.Level != before.Requests.Level {
		t.Error("the forecast has taken tokens")
	}
}

func TestAForecastCountsThatALearnedRateRecovers(t *testing.T) {
	t.Parallel()
	b := budget.New(run, begin)
	b.Throttle(run, begin, ask(budget.Normal, 100))
	_, wait := b.Forecast(run, begin, ask(budget.Normal, 7200))
	// At half of 2 a second it would take 7,200 s, at all of it 3,600; it recovers with the square of the time within 7,000 s.
	if wait < 5500*time.Second || wait > 6000*time.Second {
		t.Errorf("7,200 servers at a rate that recovers wait %s", wait)
	}
}
