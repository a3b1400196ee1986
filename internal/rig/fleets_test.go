package rig_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// inLine waits until the job stands in line for the fleet, and says so.
func (b *bubble) inLine(id string) {
	b.t.Helper()
	b.until(id, "in line", time.Minute, func(job *jobs.Job) bool {
		return job.Wait != nil && strings.Contains(job.Wait.For, "works on it")
	})
	fleet, _, err := b.User.Ledger.GetFleet(background, "web-prod")
	b.must(err)
	if !slices.Contains(fleet.Line, id) || fleet.Owner == id {
		b.t.Errorf("%s is owned by %s with %q in line; want %s there", fleet.Name, fleet.Owner, fleet.Line, id)
	}
}

func TestTwoLaunchesForOneFleetTakeTurnsVisibly(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.worker(nil)
		first := b.submit("a", smallLaunch(10))
		b.until(first, "at work", time.Minute, func(job *jobs.Job) bool {
			return strings.HasPrefix(job.Step, "launch") || strings.HasPrefix(job.Step, "running")
		})
		second := b.submit("b", smallLaunch(30))
		b.inLine(second)
		b.ends(first, jobs.Succeeded)
		b.ends(second, jobs.Succeeded)
		b.must(thirty(b.Rig))
		fleet, _, err := b.User.Ledger.GetFleet(background, "web-prod")
		b.must(err)
		if fleet.Owner != "" || len(fleet.Line) > 0 || fleet.Count != 30 {
			t.Errorf("the fleet is %+v; want 30 servers, nobody's and no line", fleet)
		}
	})
}

func TestACancelInLineLeavesTheLine(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		first := b.submit("a", smallLaunch(10))
		b.until(first, "at work", time.Minute, func(job *jobs.Job) bool { return job.Step != "" && job.Step != "preflight" && job.Step != "own" })
		second, third := b.submit("b", smallLaunch(20)), b.submit("c", smallLaunch(30))
		b.inLine(second)
		b.inLine(third)
		b.must(b.Cancel(background, second, 1))
		job := b.ends(second, jobs.Cancelled)
		fleet, _, err := b.User.Ledger.GetFleet(background, "web-prod")
		b.must(err)
		if slices.Contains(fleet.Line, second) {
			t.Errorf("%s is still in line: %q; %s", second, fleet.Line, history(job))
		}
		b.ends(first, jobs.Succeeded)
		b.ends(third, jobs.Succeeded)
		b.must(thirty(b.Rig))
	})
}

// At once: the submissions come in one batch to two workers.
func TestLaunchesThatComeTogetherConverge(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		ids := []string{b.submit("a", smallLaunch(30)), b.submit("b", smallLaunch(30)), b.submit("c", smallLaunch(30))}
		b.worker(nil)
		b.worker(nil)
		for _, id := range ids {
			b.ends(id, jobs.Succeeded)
		}
		b.must(thirty(b.Rig))
	})
}

func TestAskingForFewerServersThanThereAreKeepsThemAllWanted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		story := launchStory()
		few := story
		few.Spec = strings.Replace(story.Spec, "count: 30", "count: 10", 1)
		story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
			ids, err := r.Submit(t.Context(), few.Spec, ".", "fewer", nil)
			if err != nil {
				return err
			}
			again, err := r.Wait(t.Context(), time.Hour, ids...)
			if err != nil {
				return err
			}
			fleet, _, err := r.User.Ledger.GetFleet(t.Context(), "web-prod")
			if err != nil || fleet.Count != 30 || len(again[ids[0]].Warnings) != 1 {
				return fmt.Errorf("the fleet wants %d servers (%v), warnings %q", fleet.Count, err, again[ids[0]].Warnings)
			}
			return thirty(r)
		}
		if _, err := story.Run(t.Context(), &rig.Line{}); err != nil {
			t.Fatal(err)
		}
	})
}
