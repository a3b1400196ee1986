package jobs

import "testing"

func TestNoLaneStarvesHoweverFullTheOthersAre(t *testing.T) {
	t.Parallel()
	w := NewWorker(WorkerConfig{Slots: 1})
	served := map[Lane]int{}
	const turns = 2400
	for range turns {
		for _, lane := range Lanes {
			w.ready[lane] = []*inHand{{Delivery: Delivery{Received: Received{Lane: lane}}}}
		}
		served[w.nextLocked().Lane]++
	}
	for _, lane := range Lanes {
		if least := turns / 50; served[lane] < least {
			t.Errorf("%s was served %d times of %d, want at least %d: %v", lane, served[lane], turns, least, served)
		}
	}
	if served[LaneHigh] < turns*3/4 {
		t.Errorf("high was served %d times of %d only", served[LaneHigh], turns)
	}
}
