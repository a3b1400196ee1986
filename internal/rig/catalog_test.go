package rig_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/catalog"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/rig"
)

const there = "us-east-1"

// bakes bakes the document so many times, by a worker of its own that leaves.
func bakes(text string, times int) func(*rig.Rig) error {
	return func(r *rig.Rig) error {
		w, err := r.Start(nil)
		if err != nil {
			return err
		}
		defer w.Drain()
		for i := range times {
			ids, err := r.Submit(background, text, ".", fmt.Sprint("before-", i), nil)
			if err != nil {
				return err
			}
			ended, err := r.Wait(background, 6*time.Hour, ids...)
			if err != nil {
				return err
			}
			if job := ended[ids[0]]; job.State != jobs.Succeeded {
				return fmt.Errorf("the bake before is %s: %s", job.State, job.Failure)
			}
		}
		return nil
	}
}

// publishedBake is shared, copied and published.
func publishedBake() string {
	return fmt.Sprintf(`
kind: Bake
name: web
spec:
  from: {ami: %s}
  builder: {types: [m7g.large], instanceProfile: builder}
  steps: [{run: dnf install -y nginx}]
  verify: [{run: nginx -t}]
  bootTest: false
  copyTo: {%s: {}}
  share: {accounts: ['222222222222']}
  publish: {parameter: /images/web}
`, arm64(), there)
}

func ordered(spec string, versions int, check func(r *rig.Rig, ended map[string]*jobs.Job) error) rig.Story {
	config := rig.Config{}
	config.Endpoint.EC2.ImageMin, config.Endpoint.EC2.ImageMax = 5*time.Minute, 5*time.Minute
	config.Endpoint.EC2.CopyMin, config.Endpoint.EC2.CopyMax = 5*time.Minute, 5*time.Minute
	return rig.Story{Config: config, Key: "k", Folder: ".", Limit: 6 * time.Hour, Spec: spec, Prepare: bakes(publishedBake(), versions), Check: check}
}

// standing: current, the state of each version's AMIs in both regions, and what the parameters name.
func standing(r *rig.Rig, current int, states map[int]string) error {
	image, _, err := r.User.Ledger.GetImage(background, "web")
	if err != nil || image.Current != current {
		return fmt.Errorf("current is %d, want %d (%v)", image.Current, current, err)
	}
	for number, state := range states {
		v, _, err := r.User.Ledger.GetVersion(background, "web", number)
		if err != nil {
			return err
		}
		for region, copied := range v.Regions {
			found := ""
			for _, i := range r.EC2().Inspect().Images {
				if i.ID == copied.AMI {
					found = i.State
					if shared := slices.Equal(i.Accounts, []string{"222222222222"}); shared != (state == "available") {
						return fmt.Errorf("web@%d in %s is %s and shared with %v", number, region, i.State, i.Accounts)
					}
				}
			}
			if found != state {
				return fmt.Errorf("web@%d in %s is %q, want %q", number, region, found, state)
			}
			if number != current {
				continue
			}
			value, _, err := r.User.SSM.For(jobs.Target{Region: region}).Parameter(background, "/images/web")
			if err != nil || value != copied.AMI {
				return fmt.Errorf("the parameter in %s is %q, want %s (%v)", region, value, copied.AMI, err)
			}
		}
	}
	return nil
}

func all(state jobs.State, ended map[string]*jobs.Job) error {
	for _, job := range ended {
		if job.State != state {
			return fmt.Errorf("%s is %s: %s", job.ID, job.State, job.Failure)
		}
	}
	return nil
}

func TestARollbackMovesCurrentAndItsParametersOnceAtEveryDeath(t *testing.T) {
	t.Parallel()
	everyDeath(t, ordered("kind: Rollback\nname: web\nspec: {reason: it is slow}\n", 3, func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if err := all(jobs.Succeeded, ended); err != nil {
			return err
		}
		moves, err := r.User.Ledger.Moves(background, "web")
		if err != nil || len(moves) != 1 || moves[0].From != 3 || moves[0].To != 2 || moves[0].Reason != "it is slow" {
			return fmt.Errorf("moves %+v (%v)", moves, err)
		}
		return standing(r, 2, map[int]string{1: "available", 2: "available", 3: "available"})
	}))
}

func TestARecallLeavesNothingToLaunchFromAtEveryDeath(t *testing.T) {
	t.Parallel()
	everyDeath(t, ordered("kind: Recall\nname: web\nspec: {version: 2, reason: CVE-1}\n", 2, func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if err := all(jobs.Succeeded, ended); err != nil {
			return err
		}
		v, _, err := r.User.Ledger.GetVersion(background, "web", 2)
		if err != nil || v.State != l.Recalled || len(v.Recall.Shares) != 2 {
			return fmt.Errorf("web@2 is %s, with %+v (%v)", v.State, v.Recall, err)
		}
		return standing(r, 1, map[int]string{1: "available", 2: "disabled"})
	}))
}

func TestACancelOfARecallIsAllOrNothing(t *testing.T) {
	t.Parallel()
	everyCall(t, ordered("kind: Recall\nname: web\nspec: {version: 2}\n", 2, func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if all(jobs.Cancelled, ended) == nil {
			return standing(r, 2, map[int]string{1: "available", 2: "available"})
		}
		return standing(r, 1, map[int]string{1: "available", 2: "disabled"})
	}), 4, cancelledAndDead)
}

// The catalog's whole life: a recalled version is refused to launches and to promotes, and comes back by restore.
func TestARecalledVersionIsRefusedUntilItIsRestored(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		bake := func(key, text string) { b.ends(b.submit(key, text), jobs.Succeeded) }
		bake("1", publishedBake())
		bake("2", publishedBake())
		launch := func(image string) string {
			return fmt.Sprintf("kind: Launch\nname: shop\nspec: {image: %s, count: 2, pools: [{types: [m7g.large]}], server: {instanceProfile: builder}}\n", image)
		}
		b.ends(b.submit("l", launch("web@2")), jobs.Succeeded)
		job := b.ends(b.submit("r", "kind: Recall\nname: web\nspec: {version: 2, reason: CVE-1}\n"), jobs.Succeeded)
		var result catalog.Result
		b.must(json.Unmarshal(job.Result, &result))
		if len(result.Fleets) != 1 || result.Fleets[0] != (catalog.FleetUse{Fleet: "shop", Servers: 2}) || result.Current != "web@1" || len(job.Warnings) != 1 {
			t.Errorf("the result is %+v, the warnings %q", result, job.Warnings)
		}
		b.ends(b.submit("l2", launch("web@2")), jobs.Failed)
		b.ends(b.submit("p", "kind: Promote\nname: web\nspec: {version: 2}\n"), jobs.Failed)
		b.ends(b.submit("only", "kind: Recall\nname: web\nspec: {version: 1}\n"), jobs.Failed)
		b.ends(b.submit("s", "kind: Restore\nname: web\nspec: {version: 2}\n"), jobs.Succeeded)
		b.must(standing(b.Rig, 1, map[int]string{1: "available", 2: "available"}))
		b.ends(b.submit("p2", "kind: Promote\nname: web\nspec: {version: 2}\n"), jobs.Succeeded)
		b.must(standing(b.Rig, 2, map[int]string{1: "available", 2: "available"}))
		v, _, err := b.User.Ledger.GetVersion(background, "web", 2)
		b.must(err)
		if v.Content == nil || v.Content.Manager != "rpm" || v.Content.Packages < 5 {
			t.Errorf("its content is %+v", v.Content)
		}
	})
}
