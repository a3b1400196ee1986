package bake_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

func TestNothingIsSharedBeforeItIsVerifiedAndTagged(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		shared := 0
		for _, region := range []string{home, "us-east-1"} {
			w.on["ModifyImageAttribute "+region] = func() {
				shared++
				for id, i := range w.region(region).images {
					if id != "ami-00000001" && (i.Tags[jobs.TagIncarnation] != w.only().Incarnation || i.Tags[bake.TagVersion] != "web@1") {
						t.Errorf("%s in %s is shared with the tags %v", id, region, i.Tags)
					}
				}
				for _, token := range []string{"-verify-1", "-boot-test-verify-1"} {
					if !slices.ContainsFunc(keys(w.ran), func(ran string) bool { return strings.Contains(ran, "r1"+token) }) {
						t.Errorf("an AMI is shared in %s before %s ran; %v did", region, token, keys(w.ran))
					}
				}
			}
		}
		w.wantState(w.bake(everything), jobs.Succeeded)
		if shared != 2 {
			t.Errorf("%d AMIs were shared, want 2", shared)
		}
	})
}

func keys[V any](m map[string]V) (list []string) {
	for key := range m {
		list = append(list, key)
	}
	return list
}

func TestTheParameterFollowsThePublish(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		seen := 0
		for _, call := range []string{"PutParameter eu-west-1", "PutParameter us-east-1", "CreateLaunchTemplateVersion eu-west-1"} {
			w.on[call] = func() {
				seen++
				if w.current != 1 || w.versions[1].State != l.Available {
					t.Fatalf("%s while current is %d and version 1 is %s", call, w.current, w.versions[1].State)
				}
			}
		}
		w.wantState(w.bake(everything), jobs.Succeeded)
		if seen != 3 {
			t.Errorf("%d calls follow the publish, want 3", seen)
		}
	})
}

func TestABakeThatDiesOfItsCommitStaysWholeThoughItIsCancelled(t *testing.T) {
	t.Parallel()
	commit := 0
	inTime(t, func(t *testing.T, w *world) {
		w.on["ledger.Publish"] = w.cancel
		w.wantState(w.bake(everything), jobs.Succeeded)
		commit = slices.Index(w.calls, "ledger.Publish") + 1
	})
	inTime(t, func(t *testing.T, w *world) {
		w.on["ledger.Publish"] = w.cancel
		w.dieAt, w.after = commit, true
		w.wantState(w.bake(everything), jobs.Succeeded)
		w.wantLeft("eu-west-1 image", "eu-west-1 snapshot", "us-east-1 image", "us-east-1 snapshot")
		w.wantWhole(1)
	})
}

func TestTheParameterNamesWhatIsCurrent(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.once("ledger.Publish", func() { // a bake that began later is faster
			w.versions[2] = l.Version{Image: "web", Number: 2, State: l.Available, Regions: map[string]l.RegionalCopy{home: {AMI: "ami-later"}}}
			w.numbers, w.current = 2, 2
		})
		reads := 0
		w.on["GetParameter eu-west-1"] = func() {
			if reads++; reads > 20 {
				t.Fatal("the bake reads the parameter again and again")
			}
		}
		w.wantState(w.bake(strings.Replace(plain, `"bootTest"`, `"publish":{"parameter":"/images/web"},"bootTest"`, 1)), jobs.Succeeded)
		if got := w.region(home).params["/images/web"]; got != "ami-later" {
			t.Errorf("the parameter names %s while version 2 is current", got)
		}
	})
}

func TestACallbackIsTheLastCallBeforeTheEnd(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.wantState(w.bake(everything), jobs.Succeeded)
		after := w.calls[slices.Index(w.calls, "http.Post")+1:]
		if slices.ContainsFunc(after, func(call string) bool { return call != "jobs.Save" && call != "sqs.Send" }) {
			t.Errorf("after the callback come %v", after)
		}
	})
}

// retiring bakes while three versions are there and one is to be kept; it gives the job.
func (w *world) retiring(first l.Version) *jobs.Job {
	for n := 1; n <= 3; n++ {
		w.versions[n] = l.Version{Image: "web", Number: n, State: l.Available, Regions: map[string]l.RegionalCopy{}}
	}
	w.versions[1] = first
	w.numbers, w.current = 3, 3
	job := w.bake(strings.Replace(plain, `"bootTest"`, `"keep":{"versions":1},"bootTest"`, 1))
	w.wantState(job, jobs.Succeeded)
	return job
}

func inRegions(regions map[string]string) l.Version {
	v := l.Version{Image: "web", Number: 1, State: l.Available, Regions: map[string]l.RegionalCopy{}}
	for region, id := range regions {
		v.Regions[region] = l.RegionalCopy{AMI: id}
	}
	return v
}

var oursTagged = map[string]string{jobs.TagInstallation: "test"}

func TestAVersionWithUsersInEC2IsNotRetired(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.hosts(home, "ami-old", oursTagged)
		w.plant("i-user", "", "m7g.large", "ami-old", nil)
		w.retiring(inRegions(map[string]string{home: "ami-old"}))
		if w.region(home).images["ami-old"] == nil || w.versions[1].State != l.Available || w.versions[2].State != l.Retired {
			t.Errorf("version 1, whose AMI a server was launched from, is %s; version 2 %s", w.versions[1].State, w.versions[2].State)
		}
	})
}

func TestAVersionRetiresInEveryRegionWithItsSnapshots(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.hosts(home, "ami-old", oursTagged)
		w.hosts("us-east-1", "ami-copy", oursTagged)
		w.retiring(inRegions(map[string]string{home: "ami-old", "us-east-1": "ami-copy"}))
		w.wantLeft("eu-west-1 image", "eu-west-1 snapshot") // the new version's
		if w.versions[1].State != l.Retired {
			t.Errorf("version 1 is %s", w.versions[1].State)
		}
	})
}

func TestAnAMIThatIsNotOursIsNotRetired(t *testing.T) {
	t.Parallel()
	for name, tags := range map[string]map[string]string{"no tags": nil, "another installation": {jobs.TagInstallation: "another"}} {
		inTime(t, func(t *testing.T, w *world) {
			w.hosts(home, "ami-theirs", tags)
			job := w.retiring(inRegions(map[string]string{home: "ami-theirs"}))
			if w.region(home).images["ami-theirs"] == nil || len(job.Warnings) != 1 || !strings.Contains(job.Warnings[0], "ami-theirs") {
				t.Errorf("%s: warnings %q, images %v", name, job.Warnings, keys(w.region(home).images))
			}
		})
	}
}

func TestARollbacksVersionIsNotRetired(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.hosts(home, "ami-old", oursTagged)
		w.on["jobs.Save"] = func() {
			if v := w.versions[4]; v.State == l.Available { // somebody rolls back between the publish and the retire
				w.current = 1
			}
		}
		w.retiring(inRegions(map[string]string{home: "ami-old"}))
		if w.region(home).images["ami-old"] == nil || w.versions[1].State != l.Available || w.versions[4].State != l.Available {
			t.Errorf("version 1, which is current, is %s; the bake's own %s", w.versions[1].State, w.versions[4].State)
		}
	})
}
