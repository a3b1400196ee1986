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

func TestNewWorkHoldsBackWhileMoreWakesStandInTheirQueueThanAWorkerTakes(t *testing.T) {
	t.Parallel()
	w := NewWorker(WorkerConfig{Slots: 64})
	holds := func(lane Lane) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.holdsBackLocked(lane)
	}
	w.free--
	w.note(LaneWake, true)
	for _, lane := range Lanes {
		if holds(lane) {
			t.Errorf("%s was never asked, and holds back", lane)
		}
		w.asked[lane] = 0
	}
	for lane, want := range map[Lane]bool{LaneHigh: false, LaneWake: false, LaneNormal: true, LaneLow: true} {
		if holds(lane) != want {
			t.Errorf("with wakes behind, %s holds back: %v, want %v", lane, !want, want)
		}
	}
	w.turns += share * (len(Lanes) - 1) * bufferSize
	if holds(LaneNormal) {
		t.Error("a lane that holds back gets no share")
	}
	w.asked[LaneNormal] = w.turns
	if !holds(LaneNormal) {
		t.Error("a share is more than one receive")
	}
	w.note(LaneWake, false)
	if holds(LaneNormal) {
		t.Error("new work waits though the wakes have been caught up with")
	}
}

// A last receive that was full by chance would keep the other lanes waiting for as long as the next one waits for messages.
func TestAnIdleWorkerHoldsNoLaneBack(t *testing.T) {
	t.Parallel()
	w := NewWorker(WorkerConfig{Slots: 2})
	w.note(LaneNormal, true)
	w.asked[LaneLow] = 0
	for _, one := range []struct {
		carried, ready int
		want           bool
	}{{1, 0, true}, {0, 1, true}, {0, 0, false}} {
		w.free = w.Slots - one.carried
		w.ready[LaneNormal] = make([]*inHand, one.ready)
		if w.holdsBackLocked(LaneLow) != one.want {
			t.Errorf("with %d carried and %d ready the low lane holds back: %t, want %t", one.carried, one.ready, !one.want, one.want)
		}
	}
}
