package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// yard is an estate in memory, with the reaper's records.
type yard struct {
	things  map[string]jobs.Thing
	named   map[string]bool
	removed map[string]bool
	records map[string]jobs.OrphanRecord
	notes   int
	// refuse fails removals, mute the records, from the note on that it counts.
	refuse bool
	mute   int
}

func newYard() *yard {
	return &yard{things: map[string]jobs.Thing{}, named: map[string]bool{}, removed: map[string]bool{}, records: map[string]jobs.OrphanRecord{}}
}

func (y *yard) Orphans(_ context.Context, open bool, _ int) (list []jobs.OrphanRecord, err error) {
	for _, record := range y.records {
		if record.State.Open() == open {
			list = append(list, record)
		}
	}
	return list, nil
}

func (y *yard) NoteOrphan(_ context.Context, record jobs.OrphanRecord) error {
	y.notes++
	if y.mute > 0 && y.notes >= y.mute {
		return errors.New("the table does not answer")
	}
	y.records[record.ID] = record
	return nil
}

func (y *yard) List(context.Context, jobs.Target) (list []jobs.Thing, err error) {
	for _, thing := range y.things {
		if !y.removed[thing.ID] {
			list = append(list, thing)
		}
	}
	return list, nil
}

func (y *yard) Remove(_ context.Context, _ jobs.Target, thing jobs.Thing) error {
	if y.records[thing.ID].State != jobs.OrphanRemoving {
		return errors.New("removed before it was recorded")
	}
	if y.refuse {
		return errors.New("UnauthorizedOperation")
	}
	y.removed[thing.ID] = true
	return nil
}

func (y *yard) Named(context.Context) (map[string]bool, error) { return y.named, nil }

func (y *yard) put(id string, tags map[string]string) {
	y.things[id] = jobs.Thing{Kind: "instance", ID: id, Tags: tags}
}

func ours(job, incarnation string) map[string]string {
	return map[string]string{jobs.TagInstallation: "mill", jobs.TagJob: job, jobs.TagIncarnation: incarnation, jobs.TagRun: "1"}
}

func newReaper(y *yard, m *memory) *jobs.Reaper {
	return jobs.NewReaper(jobs.ReaperConfig{Estate: y, Rows: m, Records: y, Owner: "w", Installation: "mill", Grace: 30 * time.Minute, Log: quiet,
		Targets: func(context.Context) ([]jobs.Target, error) { return []jobs.Target{{}}, nil }})
}

func TestTheReaperRemovesWhatNobodyNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.put(&jobs.Job{ID: "bake-live", State: jobs.Open, Incarnation: "alive", Run: 1})
		m.put(&jobs.Job{ID: "bake-over", State: jobs.Succeeded, Incarnation: "over", Run: 1})
		y := newYard()
		y.named["i-server"] = true
		y.put("i-orphan", ours("bake-over", "over"))
		y.put("i-expired", ours("bake-gone", "gone"))
		y.put("i-old-incarnation", ours("bake-live", "earlier"))
		y.put("i-live", ours("bake-live", "alive"))
		y.put("i-server", ours("bake-over", "over"))
		y.put("i-users", map[string]string{"Name": "stampmill builder"})
		half := ours("bake-over", "over")
		delete(half, jobs.TagIncarnation)
		y.put("i-half", half)
		other := ours("bake-over", "over")
		other[jobs.TagInstallation] = "other"
		y.put("i-other", other)

		reaper := newReaper(y, m)
		for range 2 {
			if _, err := reaper.Reap(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(y.removed) > 0 {
				t.Fatalf("removed before the grace was over: %v", y.removed)
			}
			time.Sleep(29 * time.Minute)
		}
		if _, err := reaper.Reap(t.Context()); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(y.removed) != "map[i-expired:true i-old-incarnation:true i-orphan:true]" {
			t.Fatalf("removed %v", y.removed)
		}
	})
}

func TestTheReaperHoldsBackWhereTheLedgerSeemsToBeTheWrongOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := newYard()
		for i := range 200 {
			y.put(fmt.Sprint("i-", i), ours("launch-web", "over"))
		}
		reaper := newReaper(y, newMemory())
		for range 3 {
			orphans, err := reaper.Reap(t.Context())
			if err != nil || len(orphans) != 200 || !strings.Contains(orphans[0].Held, "200 of the 200 things") {
				t.Fatal(len(orphans), orphans[0].Held, err)
			}
			time.Sleep(time.Hour)
		}
		if len(y.removed) > 0 || len(y.records) > 0 {
			t.Fatalf("removed %d servers of a fleet whose ledger was not there, and recorded %d", len(y.removed), len(y.records))
		}
	})
}

// reap reaps once and gives the record of the thing.
func (y *yard) reap(t *testing.T, r *jobs.Reaper, id string) (jobs.OrphanRecord, error) {
	t.Helper()
	_, err := r.Reap(t.Context())
	return y.records[id], err
}

func TestTheGraceGoesOnWhenAnotherWorkerTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y, m := newYard(), newMemory()
		y.put("i-orphan", ours("bake-gone", "gone"))
		record, err := y.reap(t, newReaper(y, m), "i-orphan")
		if err != nil || record.State != jobs.OrphanFound || record.Job != "bake-gone" || record.By != "w" {
			t.Fatalf("recorded %+v, %v", record, err)
		}
		time.Sleep(29 * time.Minute)
		if record, _ = y.reap(t, newReaper(y, m), "i-orphan"); record.State != jobs.OrphanFound {
			t.Fatalf("after 29 minutes it is %s", record.State)
		}
		time.Sleep(time.Minute)
		if record, _ = y.reap(t, newReaper(y, m), "i-orphan"); record.State != jobs.OrphanRemoved || !y.removed["i-orphan"] {
			t.Fatalf("after 30 minutes it is %s", record.State)
		}
	})
}

// A run that owned the thing in between begins its grace anew: what its last call left may still come.
func TestTheGraceBeginsAfterTheLastRunsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y, m := newYard(), newMemory()
		y.put("i-orphan", ours("bake-web", "inc"))
		m.put(&jobs.Job{ID: "bake-web", State: jobs.Failed, Incarnation: "inc", Run: 1, Ended: time.Now()})
		if _, err := y.reap(t, newReaper(y, m), "i-orphan"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Minute)
		m.put(&jobs.Job{ID: "bake-web", State: jobs.Failed, Incarnation: "inc", Run: 2, Ended: time.Now()})
		time.Sleep(10 * time.Minute)
		orphans, err := newReaper(y, m).Look(t.Context())
		if err != nil || len(orphans) != 1 || orphans[0].Left != 20*time.Minute {
			t.Fatalf("%+v, %v; expected 20 minutes to be left", orphans, err)
		}
	})
}

func TestNothingIsRemovedWithoutARecordOfIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y, m := newYard(), newMemory()
		y.put("i-orphan", ours("bake-gone", "gone"))
		for range 2 { // the note that it was found fails, and then the one that it is about to be removed
			y.mute, y.notes = 1, 0
			if _, err := y.reap(t, newReaper(y, m), "i-orphan"); err == nil || len(y.removed) > 0 {
				t.Fatalf("removed without a record: %v, %v", y.removed, err)
			}
			y.mute = 0
			y.records["i-orphan"] = jobs.OrphanRecord{ID: "i-orphan", State: jobs.OrphanFound, Since: time.Now().Add(-time.Hour)}
		}
		if record, err := y.reap(t, newReaper(y, m), "i-orphan"); err != nil || record.State != jobs.OrphanRemoved {
			t.Fatalf("recorded %+v, %v", record, err)
		}
	})
}

func TestWhatCannotBeRemovedSaysWhyAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y, m := newYard(), newMemory()
		y.put("i-orphan", ours("bake-gone", "gone"))
		y.refuse = true
		reaper := newReaper(y, m)
		for range 3 {
			if _, err := y.reap(t, reaper, "i-orphan"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Minute)
		}
		if record := y.records["i-orphan"]; record.State != jobs.OrphanRemoving || record.Error != "UnauthorizedOperation" {
			t.Fatalf("recorded %+v", record)
		}
		y.refuse = false
		if record, err := y.reap(t, reaper, "i-orphan"); err != nil || record.State != jobs.OrphanRemoved || record.Error != "" {
			t.Fatalf("recorded %+v, %v", record, err)
		}
	})
}

func TestARecordIsClosedWhenItsThingIsNoOrphanAnyMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y, m := newYard(), newMemory()
		for _, id := range []string{"i-named", "i-gone", "i-died"} {
			y.put(id, ours("bake-gone", "gone"))
		}
		reaper := newReaper(y, m)
		if _, err := reaper.Reap(t.Context()); err != nil {
			t.Fatal(err)
		}
		y.named["i-named"] = true
		delete(y.things, "i-gone")
		died := y.records["i-died"] // its worker died between the call and the record
		died.State = jobs.OrphanRemoving
		y.records["i-died"] = died
		delete(y.things, "i-died")
		time.Sleep(time.Hour)
		if _, err := reaper.Reap(t.Context()); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]jobs.OrphanState{"i-named": jobs.OrphanSettled, "i-gone": jobs.OrphanSettled, "i-died": jobs.OrphanRemoved} {
			if got := y.records[id].State; got != want {
				t.Errorf("%s is %s, expected %s", id, got, want)
			}
		}
	})
}

func TestOnlyWhatAPersonHasSeenIsRemovedByHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y, m := newYard(), newMemory()
		y.put("i-seen", ours("bake-gone", "gone"))
		y.put("i-unseen", ours("bake-gone", "gone"))
		reaper := newReaper(y, m)
		reaper.Only = map[string]bool{"i-seen": true}
		for range 2 {
			if _, err := reaper.Reap(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		if fmt.Sprint(y.removed) != "map[i-seen:true]" {
			t.Fatalf("removed %v", y.removed)
		}
	})
}
