package rig_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/rig"
)

const (
	otherRole  = "arn:aws:iam::333333333333:role/stampmill"
	friendRole = "arn:aws:iam::222222222222:role/images"
)

// owned is web@1 with copies that two other accounts own: one to which it is open anyway, and one to which it is not.
const owned = `
kind: Distribute
name: web
spec:
  accountCopies:
    - {role: ` + otherRole + `, regions: {` + rig.Region + `: {}, ` + third + `: {}}}
    - {role: ` + friendRole + `, regions: {` + third + `: {}}}
`

// owners are whose AMIs there are, as ACCOUNT/REGION, by the endpoint's own truth, that of its ledger row: every AMI there is,
// with its snapshot, is named in the row. The image's own are open to those alone to whom its bake opened them, and nobody may read a snapshot.
func owners(r *rig.Rig, places ...string) error {
	v, _, err := r.User.Ledger.GetVersion(background, "web", 1)
	if err != nil || v.Owner != "" || len(v.Leaving) > 0 {
		return fmt.Errorf("the row has the owner %q, leaving %v (%v)", v.Owner, v.Leaving, err)
	}
	named := map[string]bool{}
	for _, ami := range v.AMIs() {
		named[ami.AMI] = true
	}
	var have []string
	found := r.EC2().Inspect()
	for _, i := range found.Images {
		have = append(have, i.Account+"/"+i.Region)
		var open []string
		if i.Account == api.DefaultAccount {
			open = []string{"222222222222"}
		}
		if !named[i.ID] || i.State != "available" || i.Tags["stampmill:version"] != "web@1" || !slices.Equal(i.Accounts, open) {
			return fmt.Errorf("%+v; want it named, available and open to %v", i, open)
		}
	}
	if slices.Sort(have); !slices.Equal(have, places) || len(found.Snapshots) != len(have) || len(named) != len(have) {
		return fmt.Errorf("AMIs of %v, want %v; %d snapshots; named %v", have, places, len(found.Snapshots), named)
	}
	return lentToNobody(r)
}

func lentToNobody(r *rig.Rig) error {
	for _, snapshot := range r.EC2().Inspect().Snapshots {
		if len(snapshot.Accounts) > 0 {
			return fmt.Errorf("%s in %s may be read by %v", snapshot.ID, snapshot.Region, snapshot.Accounts)
		}
	}
	return nil
}

var ownPlaces = []string{api.DefaultAccount + "/" + rig.Region, api.DefaultAccount + "/" + there}

func withOthers(more ...string) []string {
	return slices.Sorted(slices.Values(append(slices.Clone(ownPlaces), more...)))
}

var ownedPlaces = withOthers("222222222222/"+third, "333333333333/"+rig.Region, "333333333333/"+third)

func ownedStory() rig.Story {
	return ordered(owned, 1, func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if err := all(jobs.Succeeded, ended); err != nil {
			return err
		}
		return owners(r, ownedPlaces...)
	})
}

func TestOtherAccountsOwnTheirCopiesAtEveryDeath(t *testing.T) {
	t.Parallel()
	everyDeath(t, ownedStory())
}

func TestOtherAccountsCopiesSurviveLostAnswersAndLateEffects(t *testing.T) {
	t.Parallel()
	everyCallTo(t, ownedStory(), lostAnswer, 2, "ec2:CopyImage", "ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute")
	everyCallTo(t, ownedStory(), lateEffect, 1, "ec2:CopyImage")
}

// A cancel leaves no copy that the ledger does not name, and nobody with more than they had before.
func TestACancelTakesBackWhatWasLent(t *testing.T) {
	t.Parallel()
	story := ordered(owned, 1, func(r *rig.Rig, ended map[string]*jobs.Job) error {
		if all(jobs.Succeeded, ended) == nil {
			return owners(r, ownedPlaces...)
		}
		v, _, err := r.User.Ledger.GetVersion(background, "web", 1)
		if err != nil {
			return err
		}
		if len(v.Accounts) > 0 {
			return owners(r, ownedPlaces...)
		}
		return owners(r, ownPlaces...)
	})
	everyCall(t, story, 6, cancelledAndDead)
}

func launchAs(role string) string {
	return fmt.Sprintf("kind: Launch\nname: shop\nrole: %s\nregion: %s\nspec: {image: web, count: 1, pools: [{types: [m7g.large]}], server: {}}\n", role, third)
}

// A fleet of the account launches from the account's own copy, which stays as long as it does; then it goes, and nothing else.
func TestTheCopyOfAnotherAccountIsLaunchedFromThereAndGoesOnceNothingUsesIt(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		result, _ := b.distributed("d1", owned, jobs.Succeeded)
		if len(result.Copied) != 3 {
			b.t.Errorf("copied %v", result.Copied)
		}
		b.must(owners(b.Rig, ownedPlaces...))
		if again, _ := b.distributed("d2", owned, jobs.Succeeded); len(again.Copied)+len(again.Removed) > 0 {
			b.t.Errorf("the second time: %+v", again)
		}
		b.ends(b.submit("l", launchAs(otherRole)), jobs.Succeeded)
		servers, err := b.User.Ledger.Servers(background, "shop")
		b.must(err)
		if ami := result.Copied["333333333333/"+third]; len(servers) != 1 || servers[0].AMI != ami {
			b.t.Errorf("the servers are %+v, want one from %s", servers, ami)
		}
		fewer := "kind: Distribute\nname: web\nspec: {accountCopies: [{role: '" + otherRole + "', regions: {" + rig.Region + ": {}}}]}\n"
		_, job := b.distributed("d3", fewer, jobs.Failed)
		if !strings.Contains(job.Failure, "the fleet shop") || !strings.Contains(job.Failure, "333333333333/"+third) {
			b.t.Errorf("the failure is %q", job.Failure)
		}
		b.must(owners(b.Rig, ownedPlaces...))
		b.ends(b.submit("t", "kind: Terminate\nname: down\nrole: "+otherRole+"\nregion: "+third+"\nspec: {fleet: shop, all: true}\n"), jobs.Succeeded)
		b.distributed("d4", fewer, jobs.Succeeded)
		b.must(owners(b.Rig, withOthers("333333333333/"+rig.Region)...))
		b.distributed("d5", "kind: Distribute\nname: web\nspec: {regions: {"+there+": {}}}\n", jobs.Succeeded) // says nothing of other accounts
		b.must(owners(b.Rig, withOthers("333333333333/"+rig.Region)...))
		b.distributed("d6", "kind: Distribute\nname: web\nspec: {accountCopies: []}\n", jobs.Succeeded)
		b.must(owners(b.Rig, ownPlaces...))
	})
}

// What becomes of a version becomes of the copies that other accounts own.
func TestTheCopiesOfOtherAccountsAreRecalledRestoredAndRetired(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		b.ends(b.submit("b2", publishedBake()), jobs.Succeeded)
		b.distributed("d", strings.Replace(owned, "spec:", "spec:\n  version: 1", 1), jobs.Succeeded)
		states := func(want string) {
			b.t.Helper()
			for _, i := range b.EC2().Inspect().Images {
				if i.Tags["stampmill:version"] == "web@1" && i.State != want {
					b.t.Errorf("%s of %s in %s is %s, want %s", i.ID, i.Account, i.Region, i.State, want)
				}
			}
		}
		b.ends(b.submit("r", "kind: Recall\nname: web\nspec: {version: 1}\n"), jobs.Succeeded)
		states("disabled")
		b.ends(b.submit("s", "kind: Restore\nname: web\nspec: {version: 1}\n"), jobs.Succeeded)
		states("available")
		b.distributed("d2", "kind: Distribute\nname: web\nspec: {version: 1, share: {}}\n", jobs.Succeeded)
		b.ends(b.submit("p", "kind: Retire\nname: web\nspec: {versions: 1}\n"), jobs.Succeeded)
		states("gone: none is left")
	})
}

func TestCopiesOfOtherAccountsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("b", publishedBake()), jobs.Succeeded)
		for i, tc := range []struct{ spec, want string }{
			{"{accountCopies: [{role: 'arn:aws:iam::" + api.DefaultAccount + ":role/x', regions: {" + third + ": {}}}]}", "the image's own account"},
			{"{accountCopies: [{role: '" + otherRole + "', regions: {me-south-1: {}}}]}", "there is no region"},
		} {
			_, job := b.distributed(fmt.Sprint("d", i), "kind: Distribute\nname: web\nspec: "+tc.spec+"\n", jobs.Failed)
			if !strings.Contains(job.Failure, tc.want) {
				b.t.Errorf("%s: the failure is %q", tc.spec, job.Failure)
			}
			b.must(owners(b.Rig, ownPlaces...))
		}
		_, _, text := b.distributePlan(`{"accountCopies": [{"role": "` + otherRole + `", "regions": {"` + third + `": {"kmsKey": "alias/k"}}}]}`)
		for _, want := range []string{"copied to: 333333333333/" + third + " under alias/k; through " + otherRole, "lent: ", "to 333333333333, while"} {
			if !strings.Contains(text, want) {
				b.t.Errorf("the plan does not say %q:\n%s", want, text)
			}
		}
	})
}
