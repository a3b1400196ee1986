package rig_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/distribute"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/rig"
)

const third = "us-west-2"

// spread is where web@1 is to be: one copy elsewhere than its bake made one, and open to another account.
const spread = `
kind: Distribute
name: web
spec:
  regions: {` + third + `: {}}
  share: {accounts: ['333333333333']}
`

// where the version's AMIs are by the endpoint's own truth, that of its ledger row: every AMI there is, with its snapshot, is
// named in the row, carries its image's name, is open to these accounts, and is published if its region is one of the version's.
func where(r *rig.Rig, number int, accounts []string, regions ...string) error {
	v, _, err := r.User.Ledger.GetVersion(background, "web", number)
	if err != nil {
		return err
	}
	if have := slices.Sorted(maps.Keys(v.Regions)); !slices.Equal(have, regions) || len(v.Leaving) > 0 || v.Owner != "" {
		return fmt.Errorf("the row names %v, leaving %v, owner %q; want %v", have, v.Leaving, v.Owner, regions)
	}
	found := r.EC2().Inspect()
	if len(found.Images) != len(regions) || len(found.Snapshots) != len(regions) {
		return fmt.Errorf("there are %d AMIs and %d snapshots, want %d: %+v", len(found.Images), len(found.Snapshots), len(regions), found.Images)
	}
	for _, i := range found.Images {
		named := v.Regions[i.Region]
		if named.AMI != i.ID || !slices.Equal(named.Snapshots, i.Snapshots) || i.State != "available" || i.Tags["stampmill:version"] != v.Ref() {
			return fmt.Errorf("%+v is not %+v", i, named)
		}
		if !slices.Equal(i.Accounts, accounts) {
			return fmt.Errorf("%s in %s is open to %v, want %v", i.ID, i.Region, i.Accounts, accounts)
		}
		value, _, err := r.User.SSM.For(jobs.Target{Region: i.Region}).Parameter(background, "/images/web")
		if err != nil || value != i.ID {
			return fmt.Errorf("the parameter in %s is %q, want %s (%v)", i.Region, value, i.ID, err)
		}
	}
	for _, region := range []string{there, third} {
		value, there, err := r.User.SSM.For(jobs.Target{Region: region}).Parameter(background, "/images/web")
		if err != nil || there && !slices.Contains(regions, region) {
			return fmt.Errorf("the parameter in %s still names %s (%v)", region, value, err)
		}
	}
	return nil
}

func TestADistributeMakesAVersionEqualToItsSpecAtEveryDeath(t *testing.T) {
	t.Parallel()
	everyDeath(t, ordered(spread, 1, func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if err := all(jobs.Succeeded, ended); err != nil {
			return err
		}
		return where(r, 1, []string{"333333333333"}, rig.Region, third)
	}))
}

func TestADistributeSurvivesLostAnswersAndLateEffects(t *testing.T) {
	t.Parallel()
	story := ordered(spread, 1, func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if err := all(jobs.Succeeded, ended); err != nil {
			return err
		}
		return where(r, 1, []string{"333333333333"}, rig.Region, third)
	})
	everyCallTo(t, story, lostAnswer, 2, "ec2:CopyImage", "ec2:ModifyImageAttribute", "ec2:DeregisterImage", "ssm:PutParameter", "ssm:DeleteParameter")
	everyCallTo(t, story, lateEffect, 1, "ec2:CopyImage", "ec2:DeregisterImage")
	everyCallTo(t, story, deaths[1], 1, "ec2:CopyImage", "ec2:DeregisterImage", "ssm:DeleteParameter")
}

// A cancel stops between what was made equal and what was not; no AMI is left that the ledger does not name.
func TestACancelledDistributeLeavesNothingUnnamed(t *testing.T) {
	t.Parallel()
	story := ordered(spread, 1, func(r *rig.Rig, _ map[string]*jobs.Job) error {
		v, _, err := r.User.Ledger.GetVersion(background, "web", 1)
		if err != nil || v.Owner != "" {
			return fmt.Errorf("its owner is %q (%v)", v.Owner, err)
		}
		named := map[string]bool{}
		for _, ami := range v.AMIs() {
			named[ami.AMI] = true
		}
		found := r.EC2().Inspect()
		for _, i := range found.Images {
			if !named[i.ID] {
				return fmt.Errorf("%s in %s is %s and not named", i.ID, i.Region, i.State)
			}
			delete(named, i.ID)
		}
		if len(named) > 0 || len(found.Snapshots) != len(found.Images) {
			return fmt.Errorf("named and not there: %v; %d snapshots of %d AMIs", named, len(found.Snapshots), len(found.Images))
		}
		return nil
	})
	everyCall(t, story, 6, cancelledAndDead)
}

// distributed submits the text, and gives the job's result once it has ended so.
func (b *bubble) distributed(key, text string, state jobs.State) (distribute.Result, *jobs.Job) {
	b.t.Helper()
	job := b.ends(b.submit(key, text), state)
	var result distribute.Result
	b.must(json.Unmarshal(job.Result, &result))
	return result, job
}

func (b *bubble) ami(region string) (found ec2.Image) {
	b.t.Helper()
	for _, i := range b.EC2().Inspect().Images {
		if i.Region == region && i.State == "available" {
			found = i
		}
	}
	return found
}

func launchIn(region string) string {
	return fmt.Sprintf("kind: Launch\nname: shop\nregion: %s\nspec: {image: web, count: 1, pools: [{types: [m7g.large]}], server: {}}\n", region)
}

// A region that is in use stays: the job fails before it changes anything, and says who uses it. Once nobody does it goes.
func TestACopyThatIsInUseIsNotRemoved(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		b.ends(b.submit("l", launchIn(there)), jobs.Succeeded)
		_, job := b.distributed("d1", spread, jobs.Failed)
		if !strings.Contains(job.Failure, "the fleet shop") || !strings.Contains(job.Failure, "nothing was changed") {
			b.t.Errorf("the failure is %q", job.Failure)
		}
		b.must(where(b.Rig, 1, []string{"222222222222"}, rig.Region, there))
		b.ends(b.submit("t", "kind: Terminate\nname: down\nregion: "+there+"\nspec: {fleet: shop, all: true}\n"), jobs.Succeeded)
		b.distributed("d2", spread, jobs.Succeeded)
		b.must(where(b.Rig, 1, []string{"333333333333"}, rig.Region, third))
	})
}

// What other accounts may launch from is asked of EC2 before it goes.
func TestACopyThatIsSharedIsRemovedOnceNobodyElseUsesIt(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		result, _ := b.distributed("d", "kind: Distribute\nname: web\nspec: {regions: {}}\n", jobs.Succeeded)
		if len(result.Removed) != 1 || len(result.Copied) != 0 {
			b.t.Errorf("the result is %+v", result)
		}
		b.must(where(b.Rig, 1, []string{"222222222222"}, rig.Region))
	})
}

// A copy under another key is made anew; the old one stays as long as servers run from it, and goes with the next job.
func TestACopyIsReplacedWhereItsKeyIsAnother(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		b.ends(b.submit("l", launchIn(there)), jobs.Succeeded)
		before := b.ami(there).ID
		text := "kind: Distribute\nname: web\nspec: {regions: {" + there + ": {kmsKey: alias/images}}}\n"
		result, job := b.distributed("d", text, jobs.Succeeded)
		v, _, err := b.User.Ledger.GetVersion(background, "web", 1)
		b.must(err)
		if made := v.Regions[there]; made.AMI == before || made.AMI != result.Copied[there] || len(v.Leaving) != 1 || v.Leaving[0].AMI != before {
			b.t.Errorf("the row names %+v, leaving %+v; the result is %+v", made, v.Leaving, result)
		}
		if len(result.Stay) != 1 || !strings.Contains(result.Stay[0].Because, "the fleet shop") || len(job.Warnings) != 1 {
			b.t.Errorf("what stays: %+v, warnings %q", result.Stay, job.Warnings)
		}
		if value, _, err := b.User.SSM.For(jobs.Target{Region: there}).Parameter(background, "/images/web"); err != nil || value != result.Copied[there] {
			b.t.Errorf("the parameter is %s (%v)", value, err)
		}
		b.ends(b.submit("t", "kind: Terminate\nname: down\nregion: "+there+"\nspec: {fleet: shop, all: true}\n"), jobs.Succeeded)
		if result, _ = b.distributed("d2", text, jobs.Succeeded); len(result.Copied) != 0 || len(result.Removed) != 1 {
			b.t.Errorf("the second time: %+v", result)
		}
		b.must(where(b.Rig, 1, []string{"222222222222"}, rig.Region, there))
	})
}

// What a Distribute revoked stays revoked when the version is recalled and restored, whatever its Bake says.
func TestARestoreGivesBackWhatWasDistributed(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		b.ends(b.submit("b2", strings.Replace(publishedBake(), "copyTo: {"+there+": {}}\n  ", "", 1)), jobs.Succeeded)
		b.distributed("d", "kind: Distribute\nname: web\nspec: {version: 1, share: {}}\n", jobs.Succeeded)
		b.ends(b.submit("r", "kind: Recall\nname: web\nspec: {version: 1}\n"), jobs.Succeeded)
		b.distributed("d2", "kind: Distribute\nname: web\nspec: {version: 1, share: {}}\n", jobs.Failed)
		b.ends(b.submit("s", "kind: Restore\nname: web\nspec: {version: 1}\n"), jobs.Succeeded)
		for _, i := range b.EC2().Inspect().Images {
			if i.Tags["stampmill:version"] == "web@1" && (len(i.Accounts) > 0 || i.State != "available") {
				b.t.Errorf("%s in %s is %s and open to %v", i.ID, i.Region, i.State, i.Accounts)
			}
		}
	})
}

// Two documents for one version follow one another: the version is as one of them says, not a mixture.
func TestDistributesOfOneVersionWaitForOneAnother(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		first := b.submit("d1", spread)
		time.Sleep(20 * time.Second)
		second := b.submit("d2", "kind: Distribute\nname: web\nspec: {regions: {"+there+": {}}, share: {accounts: ['444444444444']}}\n")
		b.until(second, "waits for the first", time.Minute, func(j *jobs.Job) bool { return j.Wait != nil && strings.Contains(j.Wait.For, "distributes") })
		b.ends(first, jobs.Succeeded)
		b.ends(second, jobs.Succeeded)
		b.must(where(b.Rig, 1, []string{"444444444444"}, rig.Region, there))
	})
}

func TestADistributeThatCannotBeIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		for i, tc := range []struct{ spec, want string }{
			{"{version: 7, share: {}}", "there is no such version"},
			{"{regions: {" + rig.Region + ": {kmsKey: alias/x}}}", "was baked in"},
			{"{share: {public: true, publicConfirmed: true}}", "blocks public AMIs"},
			{"{regions: {me-south-1: {}}}", "there is no region"},
		} {
			_, job := b.distributed(fmt.Sprint("d", i), "kind: Distribute\nname: web\nspec: "+tc.spec+"\n", jobs.Failed)
			if !strings.Contains(job.Failure, tc.want) {
				b.t.Errorf("%s: the failure is %q", tc.spec, job.Failure)
			}
			b.must(where(b.Rig, 1, []string{"222222222222"}, rig.Region, there))
		}
		b.ends(b.submit("n", "kind: Distribute\nname: nobody\nspec: {share: {}}\n"), jobs.Failed)
	})
}

// distributePlan is what a plan of the spec for web tells, in lines.
func (b *bubble) distributePlan(spec string) (distribute.Planned, []jobs.Finding, string) {
	b.t.Helper()
	program, err := b.User.Kinds[distribute.KindName].Program(&jobs.Job{Kind: distribute.KindName, Name: "web", Run: 1, State: jobs.Open, Spec: json.RawMessage(spec)})
	b.must(err)
	plan, err := program.(jobs.Planner).Plan(background, jobs.Foreseen{})
	b.must(err)
	text := ""
	for _, line := range plan.Lines {
		text += line.About + ": " + line.Text + "\n"
	}
	details, _ := plan.Details.(distribute.Planned)
	return details, plan.Findings, text
}

func TestAPlanOfADistributeTellsWhatIsCopiedOpenedRevokedAndRemoved(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		d, findings, text := b.distributePlan(`{"regions": {"` + third + `": {"kmsKey": "alias/k"}}, "share": {"accounts": ["333333333333"]}}`)
		if !slices.Equal(d.Copies, []string{third}) || d.Removes[there] != b.ami(there).ID || len(d.Closes) != 2 || len(d.Opens) != 1 || len(findings) > 0 {
			b.t.Errorf("planned %+v, findings %v", d, findings)
		}
		for _, want := range []string{"copied to: " + third + " under alias/k", "333333333333 in " + rig.Region, "revoked: 222222222222 in " + rig.Region,
			"removed: " + b.ami(there).ID + " in " + there, "/images/web"} {
			if !strings.Contains(text, want) {
				b.t.Errorf("the plan does not say %q:\n%s", want, text)
			}
		}
		b.ends(b.submit("l", launchIn(there)), jobs.Succeeded)
		if _, findings, _ = b.distributePlan(`{"regions": {}}`); len(findings) != 1 || !strings.Contains(findings[0].Message, "the fleet shop") {
			b.t.Errorf("findings %v", findings)
		}
		if _, findings, _ = b.distributePlan(`{"version": 9, "regions": {}}`); len(findings) != 1 || !strings.Contains(findings[0].Message, "no such version") {
			b.t.Errorf("findings %v", findings)
		}
		b.must(where(b.Rig, 1, []string{"222222222222"}, rig.Region, there))
	})
}
