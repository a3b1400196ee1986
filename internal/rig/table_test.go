package rig_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// table gives a rig without workers: the table and the queues alone.
func table(t *testing.T) *rig.Rig {
	t.Helper()
	r, err := rig.New(rig.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func claimed(id string) *jobs.Job {
	now := time.Now()
	return &jobs.Job{ID: id, Schema: jobs.SchemaVersion, Kind: "Ping", Name: "web", Key: "k", Incarnation: "aaaaaaaaaaaaaaaa", Run: 1,
		Spec: json.RawMessage(`{}`), Digest: "d", State: jobs.Open, Fence: 1, Claims: 1, Delivery: "first", Lease: now.Add(time.Minute),
		Created: now, Updated: now, StepSince: now}
}

func create(t *testing.T, r *rig.Rig, job *jobs.Job) {
	t.Helper()
	if row, err := r.User.Store.Create(t.Context(), job, false); err != nil || row != nil {
		t.Fatal(row, err)
	}
}

func finish(t *testing.T, r *rig.Rig, job *jobs.Job) {
	t.Helper()
	old := job.Seq
	job.State, job.Seq, job.Lease, job.Claims = jobs.Failed, old+1, time.Time{}, 0
	job.Ended, job.Expires = time.Now(), time.Now().Add(time.Hour)
	if _, err := r.User.Store.Save(t.Context(), job, jobs.Saving{Seq: old, Ends: true}); err != nil {
		t.Fatal(err)
	}
}

func TestACancelOfARunThatHasJustBeenOpenedIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-a")
		create(t, r, job)
		finish(t, r, job)
		now := time.Now()
		row, ok, err := r.User.Store.Claim(t.Context(), jobs.Claim{ID: job.ID, Reopen: 1, Delivery: "second", Now: now, Until: now.Add(time.Minute)})
		if err != nil || !ok || row.Job.Run != 2 || row.Job.Cancel != 0 {
			t.Fatal(row, ok, err)
		}
		if row, ok, err = r.User.Store.Flag(t.Context(), job.ID, 2, ""); err != nil || !ok || row.Job.Cancel != 2 {
			t.Fatalf("flagged: %v %v, cancel %d, want 2", ok, err, row.Job.Cancel)
		}
	})
}

func TestACreationThatMeetsAnItemAsItExpiresIsNotTakenForDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-b")
		create(t, r, job)
		finish(t, r, job)
		again := claimed(job.ID)
		again.Incarnation, again.Delivery = "bbbbbbbbbbbbbbbb", "second"
		time.Sleep(time.Hour + 2*time.Second) // it has expired; the creation's instant lies before that
		row, err := r.User.Store.Create(t.Context(), again, false)
		if err != nil || row == nil {
			t.Fatalf("the creation failed on its condition, and answered %v, %v: as if it were done", row, err)
		}
	})
}

func TestWhatHasExpiredIsNotReopened(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-d")
		create(t, r, job)
		finish(t, r, job)
		time.Sleep(time.Hour + 2*time.Second)
		now := time.Now()
		row, ok, err := r.User.Store.Claim(t.Context(), jobs.Claim{ID: job.ID, Reopen: 1, Delivery: "second", Now: now, Until: now.Add(time.Minute)})
		if err != nil || ok || row != nil {
			t.Fatalf("reopened: %v, row %v, %v; what has expired counts as absent", ok, row, err)
		}
	})
}

func TestTheDueEntryStaysUntilSeqMovesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		ctx, job := t.Context(), claimed("ping-web-c")
		create(t, r, job)
		job.Wait = &jobs.Waiting{For: "long", Until: time.Now().Add(time.Hour), Due: true}
		job.Seq, job.Lease, job.Claims = 1, time.Time{}, 0
		if _, err := r.User.Store.Save(ctx, job, jobs.Saving{Seq: 0}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		now := time.Now()
		row, ok, err := r.User.Store.Claim(ctx, jobs.Claim{ID: job.ID, Delivery: "second", Now: now, Until: now.Add(time.Minute)})
		if err != nil || !ok {
			t.Fatal(row, ok, err)
		}
		row.Job.Wait = nil
		if _, err := r.User.Store.Save(ctx, row.Job, jobs.Saving{Seq: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		due := func() int {
			list, err := r.User.Store.Due(ctx, time.Now().Add(2*time.Hour), 100)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if n := due(); n != 1 {
			t.Fatalf("%d due entries after a save between steps, want 1", n)
		}
		finish(t, r, row.Job)
		time.Sleep(time.Minute)
		if n := due(); n != 0 {
			t.Fatalf("%d due entries of a finished job", n)
		}
	})
}

func TestChildrenThatEndTogetherAreAllCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		const children = 60
		parent := jobs.Parent{ID: "ping-web-p", Incarnation: "pppppppppppppppp", Run: 1, Fan: 1, Of: children}
		var work sync.WaitGroup
		for i := range children {
			work.Go(func() {
				job := claimed(fmt.Sprint("ping-web-child-", i))
				own := parent
				own.Index = i
				job.Parent = &own
				if row, err := r.User.Store.Create(t.Context(), job, false); err != nil || row != nil {
					t.Error(row, err)
					return
				}
				job.State, job.Seq, job.Lease, job.Expires = jobs.Succeeded, 1, time.Time{}, time.Now().Add(time.Hour)
				if _, err := r.User.Store.Save(t.Context(), job, jobs.Saving{Ends: true}); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		if n, err := r.User.Store.Ended(t.Context(), parent); err != nil || n != children {
			t.Fatal(n, err)
		}
	})
}
