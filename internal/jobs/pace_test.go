package jobs

import (
	"fmt"
	"testing"
	"time"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestShortWaitsAreWholeSecondsAndLongOnesEndOnCommonTicks(t *testing.T) {
	t.Parallel()
	now := noon.Add(3400 * time.Millisecond)
	for _, c := range []struct {
		wait, phase time.Duration
		looks       bool
		want        time.Duration // since noon
	}{
		{0, 0, false, 4400 * time.Millisecond},
		{time.Second, 0, false, 4400 * time.Millisecond},
		{1100 * time.Millisecond, 0, true, 5400 * time.Millisecond},
		{10 * time.Second, 0, false, 13400 * time.Millisecond},
		{11 * time.Second, 0, false, 15 * time.Second},
		{12 * time.Second, 0, false, 20 * time.Second},
		{time.Minute, 0, false, 65 * time.Second},
		{61 * time.Second, 0, false, 75 * time.Second},
		{61 * time.Second, 7 * time.Second, false, 67 * time.Second},
		{9 * time.Second, 0, true, 12400 * time.Millisecond},
		{10 * time.Second, 0, true, 15 * time.Second},
		{10 * time.Second, 3 * time.Second, true, 13 * time.Second},
		{11 * time.Second, 0, true, 15 * time.Second},
		{15 * time.Second, 0, true, 20 * time.Second},
		{2 * time.Minute, 0, true, 2 * time.Minute},
		{2 * time.Minute, 7 * time.Second, true, 127 * time.Second},
		{5 * time.Minute, 0, true, 5 * time.Minute},
		{6*time.Minute + 20*time.Second, 0, true, 6 * time.Minute},
		{6*time.Minute + 20*time.Second, 7 * time.Second, true, 6*time.Minute + 7*time.Second},
		{6*time.Minute + 20*time.Second, 0, false, 6*time.Minute + 30*time.Second},
	} {
		if got := tick(now, c.wait, c.phase, c.looks).Sub(noon); got != c.want {
			t.Errorf("a wait of %s (looks %v, phase %s) ends at %s, want %s", c.wait, c.looks, c.phase, got, c.want)
		}
	}
}

func TestWhoLooksTogetherOnceGoesOnLookingTogether(t *testing.T) {
	t.Parallel()
	const phase = 7 * time.Second
	at := tick(noon, 3*time.Minute, phase, true)
	for _, late := range []time.Duration{0, 300 * time.Millisecond, time.Second, 2 * time.Second} { // the queue's, and the worker's
		for _, wait := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute} {
			if got := tick(at.Add(late), wait, phase, true); got != at.Add(wait) {
				t.Errorf("who comes %s late and waits %s looks at %s, want %s", late, wait, got, at.Add(wait))
			}
		}
	}
}

// An installation's targets must not all call at one instant; the jobs of one target must.
func TestEachTargetHasAPhaseOfItsOwn(t *testing.T) {
	t.Parallel()
	e := NewEngine(EngineConfig{Installation: "stampmill", Region: "eu-west-1"})
	if e.phase(Target{}) != e.phase(Target{Region: "eu-west-1"}) {
		t.Error("the worker's own region has two phases")
	}
	phases := map[time.Duration]int{}
	for account := range 10 {
		for region := range 20 {
			phase := e.phase(Target{Role: fmt.Sprintf("arn:aws:iam::%012d:role/stampmill", account), Region: fmt.Sprintf("eu-west-%d", region)})
			if phase != phase.Truncate(time.Second) || phase < 0 || phase >= coarseGrid {
				t.Fatalf("a phase of %s", phase)
			}
			phases[phase]++
		}
	}
	if len(phases) != int(coarseGrid/time.Second) {
		t.Errorf("200 targets have the phases %v", phases)
	}
	for phase, n := range phases {
		if n > 30 {
			t.Errorf("%d of 200 targets have the phase %s", n, phase)
		}
	}
}
