package rig_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// take claims the job for another delivery, minutes later.
func take(t *testing.T, r *rig.Rig, id, delivery string) *jobs.Job {
	t.Helper()
	time.Sleep(2 * time.Minute)
	now := time.Now()
	row, ok, err := r.User.Store.Claim(t.Context(), jobs.Claim{ID: id, Delivery: delivery, Now: now, Until: now.Add(time.Minute)})
	if err != nil || !ok {
		t.Fatal(row, ok, err)
	}
	return row.Job
}

func load(t *testing.T, r *rig.Rig, id string) *jobs.Job {
	t.Helper()
	row, err := r.User.Store.Load(t.Context(), id)
	if err != nil || row == nil {
		t.Fatal(row, err)
	}
	return row.Job
}

func TestASaveIsDoneOnceThoughItsAnswerIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-e")
		job.Seq = 4
		create(t, r, job)
		job.Seq, job.Lease, job.Claims = 5, time.Time{}, 0
		for range 2 { // the second is the repetition of the first, whose answer was lost
			same := *job
			if _, err := r.User.Store.Save(t.Context(), &same, jobs.Saving{Seq: 4}); err != nil {
				t.Fatal(err)
			}
			if now := load(t, r, job.ID); now.Seq != 5 {
				t.Fatalf("seq is %d, want 5", now.Seq)
			}
		}
	})
}

// The client gave the request up and sent it again, and the first one arrives after all.
func TestASaveThatComesLatePutsNothingBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-j")
		create(t, r, job)
		for number, step := range []string{"one", "two", "three"} {
			late := *job
			for _, step := range []string{step, step + ", recorded"} {
				job.Step = step
				if _, err := r.User.Store.Save(t.Context(), job, jobs.Saving{}); err != nil {
					t.Fatal(err)
				}
			}
			late.Step = step
			if _, err := r.User.Store.Save(t.Context(), &late, jobs.Saving{}); !errors.Is(err, jobs.ErrFenced) {
				t.Errorf("the late save %d answers %v", number, err)
			}
			if now := load(t, r, job.ID); now.Step != step+", recorded" {
				t.Errorf("the job is at %q, want %q", now.Step, step+", recorded")
			}
		}
	})
}

func TestAStaleWorkersSaveChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		stale := claimed("ping-web-f")
		create(t, r, stale)
		take(t, r, stale.ID, "second")
		stale.Failure = "changed"
		_, err := r.User.Store.Save(t.Context(), stale, jobs.Saving{Seq: 0})
		if now := load(t, r, stale.ID); !errors.Is(err, jobs.ErrFenced) || now.Failure != "" || now.Fence != 2 {
			t.Errorf("the save answers %v, and the job is %+v", err, now)
		}
	})
}

func TestALeaseThatHasPassedOnIsNotRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-g")
		create(t, r, job)
		second := take(t, r, job.ID, "second")
		later := time.Now().Add(time.Hour)
		if err := r.User.Store.Renew(t.Context(), job.ID, job.Fence, later); !errors.Is(err, jobs.ErrFenced) {
			t.Errorf("the stale delivery's heartbeat answers %v", err)
		}
		finish(t, r, second)
		if err := r.User.Store.Renew(t.Context(), job.ID, second.Fence, later); !errors.Is(err, jobs.ErrFenced) {
			t.Errorf("a heartbeat after the save answers %v", err)
		}
		if now := load(t, r, job.ID); !now.Lease.IsZero() {
			t.Errorf("the job is leased until %s", now.Lease)
		}
	})
}

func TestAHeartbeatThatComesLateShortensNoLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-k")
		create(t, r, job)
		first, second := job.Lease.Add(20*time.Second), job.Lease.Add(40*time.Second)
		for range 2 { // the second is the repetition of the first, whose answer was lost
			if err := r.User.Store.Renew(t.Context(), job.ID, job.Fence, second); err != nil {
				t.Fatal(err)
			}
		}
		err := r.User.Store.Renew(t.Context(), job.ID, job.Fence, first)
		if now := load(t, r, job.ID); now.Lease.UnixMilli() != second.UnixMilli() {
			t.Errorf("the late heartbeat answers %v, and the lease goes until %s, want %s", err, now.Lease, second)
		}
	})
}

func TestASaveTellsOfACancelThatCameMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-h")
		create(t, r, job)
		if _, ok, err := r.User.Store.Flag(t.Context(), job.ID, 1, ""); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if cancel, err := r.User.Store.Save(t.Context(), job, jobs.Saving{Seq: 0}); err != nil || cancel != 1 {
			t.Errorf("the save tells of cancel %d, %v; want 1", cancel, err)
		}
	})
}

func TestClaimsWithoutASaveAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-i")
		create(t, r, job)
		for want := 2; want <= 4; want++ {
			if got := take(t, r, job.ID, "next").Claims; got != want {
				t.Fatalf("%d claims, want %d", got, want)
			}
		}
	})
}

func TestARetryOfAnOlderRunOpensNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-j")
		create(t, r, job)
		finish(t, r, job)
		now := time.Now()
		again := func() bool {
			row, ok, err := r.User.Store.Claim(t.Context(), jobs.Claim{ID: job.ID, Reopen: 1, Delivery: "retry", Now: now, Until: now.Add(time.Minute)})
			if err != nil {
				t.Fatal(row, err)
			}
			if ok {
				finish(t, r, row.Job)
			}
			return ok
		}
		if !again() || again() {
			t.Errorf("a retry of run 1 that came twice opened runs up to %d, want 2", load(t, r, job.ID).Run)
		}
	})
}

func TestAJobOfANewerSchemaIsNotClaimed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-k")
		job.Schema = jobs.SchemaVersion + 1
		create(t, r, job)
		time.Sleep(2 * time.Minute)
		now := time.Now()
		row, ok, err := r.User.Store.Claim(t.Context(), jobs.Claim{ID: job.ID, Delivery: "old", Now: now, Until: now.Add(time.Minute)})
		if err != nil || ok || row == nil {
			t.Errorf("claimed: %v, %v, %v", ok, row, err)
		}
	})
}

func TestAChildThatEndsAgainCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := table(t)
		job := claimed("ping-web-l")
		job.Parent = &jobs.Parent{ID: "ping-web-p", Incarnation: "pppppppppppppppp", Run: 1, Fan: 1, Of: 2}
		create(t, r, job)
		finish(t, r, job)
		now := time.Now()
		row, ok, err := r.User.Store.Claim(t.Context(), jobs.Claim{ID: job.ID, Reopen: 1, Delivery: "retry", Now: now, Until: now.Add(time.Minute)})
		if err != nil || !ok {
			t.Fatal(row, ok, err)
		}
		finish(t, r, row.Job)
		if n, err := r.User.Store.Ended(t.Context(), *job.Parent); err != nil || n != 1 {
			t.Errorf("one child that ended twice counts %d, %v", n, err)
		}
	})
}
