package rig_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/rig"
)

// privateBake is of one region, shared with nobody.
func privateBake() string {
	return fmt.Sprintf("kind: Bake\nname: web\nspec:\n  from: {ami: %s}\n  builder: {types: [m7g.large], instanceProfile: builder}\n  steps: [{run: 'true'}]\n", arm64())
}

func TestVersionsGoInStagesAndNoneThatIsUsed(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		for i := range 4 {
			b.ends(b.submit(fmt.Sprint(i), privateBake()), jobs.Succeeded)
		}
		b.ends(b.submit("l", "kind: Launch\nname: shop\nspec: {image: web@1, count: 1, pools: [{types: [m7g.large]}], server: {instanceProfile: builder}}\n"), jobs.Succeeded)
		state := func(number int) l.Version {
			v, _, err := b.User.Ledger.GetVersion(background, "web", number)
			b.must(err)
			return v
		}
		prune := func(key string) string {
			job := b.ends(b.submit(key, "kind: Retire\nname: web\nspec: {versions: 1, deprecated: 2h, disabled: 3h}\n"), jobs.Succeeded)
			return string(job.Result)
		}
		images := func() (states string) {
			for _, i := range b.EC2().Inspect().Images {
				states += i.State + " "
			}
			return strings.TrimSpace(states)
		}
		if got := prune("1"); !strings.Contains(got, `"deprecated":[2,3]`) || !strings.Contains(got, "the fleet shop uses it") {
			t.Errorf("the first look: %s", got)
		}
		prune("2")
		if images() != "available available available available" || state(2).State != l.Available {
			t.Errorf("a stage did not stand: %s", images())
		}
		time.Sleep(2*time.Hour + 10*time.Minute)
		if got := prune("3"); !strings.Contains(got, `"disabled":[2,3]`) || images() != "available disabled disabled available" || state(2).State != l.Retiring {
			t.Errorf("after the first stage: %s, %s", got, images())
		}
		b.ends(b.submit("s", "kind: Restore\nname: web\nspec: {version: 3}\n"), jobs.Succeeded)
		time.Sleep(3*time.Hour + 10*time.Minute)
		if got := prune("4"); !strings.Contains(got, `"retired":[2]`) || state(2).State != l.Retired || state(3).State != l.Available || state(1).State != l.Available {
			t.Errorf("after the second: %s, %s", got, images())
		}
		if snapshots := len(b.EC2().Inspect().Snapshots); snapshots != 3 {
			t.Errorf("%d snapshots are left, want those of three images", snapshots)
		}
	})
}

func TestWhatAnotherAccountUsesIsNotRetired(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		bake := strings.Replace(privateBake(), "  steps:", "  share: {accounts: ['222222222222']}\n  steps:", 1)
		b.ends(b.submit("1", bake), jobs.Succeeded)
		b.ends(b.submit("2", bake), jobs.Succeeded)
		prune := func(key string) string {
			return string(b.ends(b.submit(key, "kind: Retire\nname: web\nspec: {versions: 1}\n"), jobs.Succeeded).Result)
		}
		if got := prune("a"); !strings.Contains(got, "was asked what other accounts do") {
			t.Errorf("before the report: %s", got)
		}
		time.Sleep(10 * time.Minute)
		if got := prune("b"); !strings.Contains(got, `"retired":[1]`) {
			t.Errorf("a report that names nobody: %s", got)
		}
	})
}

func TestARetireSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	story := ordered("kind: Retire\nname: web\nspec: {versions: 1}\n", 3, func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if err := all(jobs.Succeeded, ended); err != nil {
			return err
		}
		found := r.EC2().Inspect()
		if len(found.Images) != 1 || len(found.Snapshots) != len(found.Images[0].Snapshots) {
			return fmt.Errorf("left: %d images, %d snapshots", len(found.Images), len(found.Snapshots))
		}
		for number, state := range map[int]l.VersionState{1: l.Retired, 2: l.Retired, 3: l.Available} {
			if v, _, err := r.User.Ledger.GetVersion(background, "web", number); err != nil || v.State != state {
				return fmt.Errorf("web@%d is %s, want %s (%v)", number, v.State, state, err)
			}
		}
		return nil
	})
	story.Prepare = bakes(privateBake(), 3)
	everyDeath(t, story)
}
