package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// yard is an estate in memory.
type yard struct {
	things  map[string]jobs.Thing
	named   map[string]bool
	removed map[string]bool
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
	return jobs.NewReaper(jobs.ReaperConfig{Estate: y, Rows: m, Installation: "mill", Grace: 30 * time.Minute, Log: quiet,
		Targets: func(context.Context) ([]jobs.Target, error) { return []jobs.Target{{}}, nil }})
}

func TestTheReaperRemovesWhatNobodyNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.put(&jobs.Job{ID: "bake-live", State: jobs.Open, Incarnation: "alive", Run: 1})
		m.put(&jobs.Job{ID: "bake-over", State: jobs.Succeeded, Incarnation: "over", Run: 1})
		y := &yard{things: map[string]jobs.Thing{}, named: map[string]bool{"i-server": true}, removed: map[string]bool{}}
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
		y := &yard{things: map[string]jobs.Thing{}, removed: map[string]bool{}}
		for i := range 200 {
			y.put(fmt.Sprint("i-", i), ours("launch-web", "over"))
		}
		reaper := newReaper(y, newMemory())
		for range 3 {
			orphans, err := reaper.Reap(t.Context())
			if err != nil || len(orphans) != 200 {
				t.Fatal(len(orphans), err)
			}
			time.Sleep(time.Hour)
		}
		if len(y.removed) > 0 {
			t.Fatalf("removed %d servers of a fleet whose ledger was not there", len(y.removed))
		}
	})
}
