package rig_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// pausedRestamp rolls a fleet by way of a renewal and one directly, in waves of one with a soak, and is paused by the parent's
// order once both roll. An hour later it goes on.
func pausedRestamp() rig.Story {
	return rig.Story{
		Config: restampConfig(), Key: "k", Folder: ".", Limit: 24 * time.Hour,
		Prepare: func(r *rig.Rig) error {
			return did(r, bakeOf("base", arm64(), "echo base > /opt/base"), bakeOf("web", "base", "echo web > /opt/web"), launchOf("front", "web", 3),
				launchOf("back", "base", 2), bakeOf("base", arm64(), "echo more > /opt/base"))
		},
		Spec: `
kind: Restamp
name: patch-day
spec:
  images: {select: {names: [web]}}
  fleets: {select: {all: true}}
  rollout: {canary: {count: 1, soak: 40m}, waves: [50%, 100%]}
`,
		Meanwhile: func(ctx context.Context, r *rig.Rig, ids []string) {
			if !sleep(ctx, 25*time.Minute) { // the canaries soak
				return
			}
			if err := order(ctx, r, ids[0], jobs.Pause); err != nil {
				panic(err)
			}
			if !sleep(ctx, 10*time.Minute) {
				return
			}
			before := rolledServers(ctx, r)
			if !sleep(ctx, time.Hour) {
				return
			}
			if after := rolledServers(ctx, r); after != before {
				panic(fmt.Sprintf("a restamp that is paused rolled %d servers, %d were rolled before", after, before))
			}
			if err := order(ctx, r, ids[0], jobs.Resume); err != nil {
				panic(err)
			}
		},
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if took := job.Ended.Sub(job.Created); job.State != jobs.Succeeded || took < 80*time.Minute || took > 5*time.Hour {
					return fmt.Errorf("%s is %s after %s: %s", job.ID, job.State, took, job.Failure)
				}
			}
			if rolled := rolledServers(background, r); rolled != 5 {
				return fmt.Errorf("%d of 5 servers were rolled", rolled)
			}
			return nil
		},
	}
}

// sleep reports whether the story is not over.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// rolledServers are those that hold an ordinal and run the second version of their image.
func rolledServers(ctx context.Context, r *rig.Rig) (rolled int) {
	for _, fleet := range []string{"front", "back"} {
		servers, err := r.User.Ledger.Servers(ctx, fleet)
		if err != nil {
			panic(err)
		}
		for _, s := range servers {
			if s.Image == "base@2" || s.Image == "web@2" {
				rolled++
			}
		}
	}
	return rolled
}

func TestAPauseOfARestampReachesItsRolloutsAtEveryDeath(t *testing.T) {
	t.Parallel()
	everyDeath(t, pausedRestamp())
}

// The order comes while the rollouts are not there yet: between the restamp's fan-out and their first delivery.
func TestAPauseReachesRolloutsThatAreNotThereYet(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, 100 * time.Millisecond, time.Second, 3 * time.Second} {
		inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
			story := pausedRestamp()
			if err := story.Prepare(r); err != nil {
				return err
			}
			if _, err := r.Start(nil); err != nil {
				return err
			}
			ids, err := r.Submit(ctx, story.Spec, ".", "k", nil)
			if err != nil {
				return err
			}
			for { // until the restamp is there
				time.Sleep(50 * time.Millisecond)
				if row, err := r.User.Store.Load(ctx, ids[0]); err != nil || row != nil {
					break
				}
			}
			time.Sleep(after)
			if err := order(ctx, r, ids[0], jobs.Pause); err != nil {
				return err
			}
			time.Sleep(2 * time.Hour)
			if rolled := rolledServers(ctx, r); rolled > 2 { // a canary of each may have been under way
				return fmt.Errorf("%s after its begin a restamp was paused, and rolled %d servers", after, rolled)
			}
			if err := r.Cancel(ctx, ids[0], 1); err != nil {
				return err
			}
			ended, err := r.Wait(ctx, 6*time.Hour, ids...)
			if err != nil {
				return err
			}
			if state := ended[ids[0]].State; state != jobs.Cancelled {
				return fmt.Errorf("a paused restamp that is cancelled is %s", state)
			}
			for _, fleet := range []string{"front", "back"} {
				if f, _, err := r.User.Ledger.GetFleet(ctx, fleet); err != nil || f.Owner != "" {
					return fmt.Errorf("the fleet %s still has the owner %q (%v)", fleet, f.Owner, err)
				}
			}
			return nil
		})
	}
}
