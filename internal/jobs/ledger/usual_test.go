package ledger

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestWhatIsUsualIsLearntFromAFewAndFollowsWhatChanges(t *testing.T) {
	t.Parallel()
	var u Usual
	if _, known := u.Early(); known {
		t.Error("something is known of nothing")
	}
	expect := func(what string, least, most time.Duration) {
		t.Helper()
		if early, known := u.Early(); !known || early < least || early > most {
			t.Errorf("%s: early is %s, want %s to %s", what, early, least, most)
		}
	}
	u = u.With(480)
	expect("one of 8 min", 6*time.Minute, 6*time.Minute)
	random := rand.New(rand.NewPCG(1, 2))
	around := func(mean float64) float64 { return mean - 15 + 30*random.Float64() }
	for range 20 {
		u = u.With(around(480))
	}
	expect("twenty of 8 min ± 15 s", 6*time.Minute+30*time.Second, 7*time.Minute+45*time.Second)
	u = u.With(5400)
	expect("one that took very long", 0, 9*time.Minute)
	for range 20 {
		u = u.With(around(180))
	}
	expect("twenty of 3 min after those of 8", 2*time.Minute, 3*time.Minute)
}

func TestLearningLeavesWhatItReadAlone(t *testing.T) {
	t.Parallel()
	usual := map[string]Usual{"a": {Mean: 100}, "b": {Mean: 50}}
	after := Learnt(usual, map[string]float64{"a": 200, "c": 1})
	if usual["a"].Mean != 100 || len(usual) != 2 {
		t.Errorf("what was read became %v", usual)
	}
	if after["a"].Mean != 125 || after["b"].Mean != 50 || after["c"].Mean != 1 {
		t.Errorf("learnt %v", after)
	}
}
