package bake_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

const plain = `{"from":{"ami":"ami-00000001"},"builder":{"types":["m7g.large"]},"steps":[{"run":"true"}],"verify":[{"run":"true"}],"bootTest":false}`

const everything = `{"from":{"ami":"ami-00000001"},"builder":{"types":["full.large","m7g.large"]},"steps":[{"copy":{"from":{"content":"eA=="},"to":"/x"}},"reboot",{"run":"true"}],
	"verify":[{"run":"true"}],"copyTo":{"us-east-1":{"kmsKey":"alias/images"}},"share":{"accounts":["111122223333"]},
	"publish":{"parameter":"/images/web","launchTemplate":{"name":"web","setDefault":true}},"keep":{"versions":1},"notify":{"url":"https://example.com"}}`

// inTime runs a test in virtual time.
func inTime(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

// left lists what stands in EC2 beside the source: alive instances, images, snapshots.
func (w *world) left() (left []string) {
	for _, name := range slices.Sorted(maps.Keys(w.regions)) {
		r := w.regions[name]
		for _, id := range slices.Sorted(maps.Keys(r.instances)) {
			if r.instances[id].see().State != "terminated" {
				left = append(left, name+" instance")
			}
		}
		for id := range r.images {
			if id != "ami-00000001" {
				left = append(left, name+" image")
			}
		}
		for range r.snapshots {
			left = append(left, name+" snapshot")
		}
	}
	return left
}

func (w *world) wantLeft(want ...string) {
	w.t.Helper()
	if left := w.left(); !slices.Equal(left, want) {
		w.t.Errorf("EC2 holds %q, want %q", left, want)
	}
}

func (w *world) wantState(job *jobs.Job, want jobs.State) {
	w.t.Helper()
	if job.State != want {
		var lines []string
		for _, line := range job.History {
			lines = append(lines, line.Step+": "+line.Text)
		}
		w.t.Fatalf("the bake is %s (%s), want %s\n%s", job.State, job.Failure, want, strings.Join(lines, "\n"))
	}
}

func TestAPlainBakeTakesElevenEC2CallsBesideThePollsForItsAMI(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		job := w.bake(plain)
		w.wantState(job, jobs.Succeeded)
		w.wantLeft("eu-west-1 image", "eu-west-1 snapshot")
		calls := w.count("RunInstances", "DescribeInstances", "StopInstances", "TerminateInstances", "CreateImage", "DescribeImages")
		if polls := w.count("DescribeImages") - 1; calls-polls > 7 || polls > 10 {
			t.Errorf("%d EC2 calls with %d polls for the AMI: %v", calls, polls, w.calls)
		}
		if w.current != 1 || w.versions[1].State != l.Available || w.versions[1].Regions[home].AMI == "" {
			t.Errorf("current %d, %+v", w.current, w.versions[1])
		}
		var result bake.Result
		if err := json.Unmarshal(job.Result, &result); err != nil || result.Image != "web@1" || result.AMIs[home] == "" || !result.Current {
			t.Errorf("%v %s", err, job.Result)
		}
	})
}

func TestEverythingThatASpecAsksForIsDone(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.full["full.large"] = true
		w.versions[1] = l.Version{Image: "web", Number: 1, State: l.Available, Regions: map[string]l.RegionalCopy{}}
		w.numbers, w.current = 1, 1
		job := w.bake(everything)
		w.wantState(job, jobs.Succeeded)
		w.wantLeft("eu-west-1 image", "eu-west-1 snapshot", "us-east-1 image", "us-east-1 snapshot")
		w.wantWhole(2)
		if w.versions[1].State != l.Retired {
			t.Errorf("the old version is %s", w.versions[1].State)
		}
		if len(w.posts) != 1 || !strings.Contains(w.posts[0], `"state":"succeeded"`) {
			t.Errorf("posts %q", w.posts)
		}
	})
}

// wantWhole checks that the version is published with all that follows.
func (w *world) wantWhole(number int) {
	w.t.Helper()
	v := w.versions[number]
	if w.current != number || v.State != l.Available || len(v.Regions) != 2 {
		w.t.Errorf("current %d, version %+v", w.current, v)
	}
	for _, region := range []string{home, "us-east-1"} {
		r, id := w.region(region), v.Regions[region].AMI
		if r.images[id] == nil || r.params["/images/web"] != id || len(r.shares[id].Accounts) != 1 {
			w.t.Errorf("%s: AMI %s, parameter %s, shares %v", region, id, r.params["/images/web"], r.shares)
		}
	}
	if r := w.region(home); len(r.templates) != 1 || r.defaults != "1" {
		w.t.Errorf("launch template versions %v, default %q", r.templates, r.defaults)
	}
}

func TestACapacityErrorMovesToTheNextPoolAndTheTokenChanges(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.full["c7g.large"] = true
		w.wantState(w.bake(strings.Replace(plain, `"m7g.large"`, `"c7g.large","m7g.large"`, 1)), jobs.Succeeded)
		for _, i := range w.region(home).instances {
			if i.Type != "m7g.large" || !strings.HasSuffix(i.ClientToken, "-builder-a2") {
				t.Errorf("%s with token %s", i.Type, i.ClientToken)
			}
		}
	})
}

func TestABakeWithoutCapacityAnywhereFailsInTheEnd(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.full["m7g.large"] = true
		job := w.bake(plain)
		w.wantState(job, jobs.Failed)
		w.wantLeft()
		if !strings.Contains(job.Failure, "no pool had capacity") {
			t.Error(job.Failure)
		}
	})
}

func TestABakeWhoseVerifyFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"step-1-run", "verify-1", "boot-test-verify-1"} {
		inTime(t, func(t *testing.T, w *world) {
			w.answer[step] = 7
			job := w.bake(strings.Replace(plain, `,"bootTest":false`, "", 1))
			w.wantState(job, jobs.Failed)
			w.wantLeft()
			if w.current != 0 {
				t.Errorf("current is %d", w.current)
			}
			for _, v := range w.versions {
				if v.State != l.Abandoned {
					t.Errorf("version %d is %s", v.Number, v.State)
				}
			}
			if !strings.Contains(job.Failure, step) || !strings.Contains(job.Failure, "exit code 7") {
				t.Errorf("%s: failure %q", step, job.Failure)
			}
			if !slices.ContainsFunc(job.History, func(line jobs.Line) bool { return strings.Contains(line.Text, "said "+step) }) {
				t.Errorf("%s: no output in the history", step)
			}
		})
	}
}

func TestTheBuilderOfAFailedBakeIsKeptWhereTheSpecAsksForIt(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.answer["verify-1"] = 1
		job := w.bake(strings.Replace(plain, `"bootTest"`, `"onFailure":{"keepBuilder":"2h"},"bootTest"`, 1))
		w.wantState(job, jobs.Failed)
		w.wantLeft("eu-west-1 instance")
		var result bake.Result
		if err := json.Unmarshal(job.Result, &result); err != nil {
			t.Fatal(err)
		}
		until, ok := w.kept[result.KeptBuilder]
		if left := time.Until(until); !ok || !until.Equal(result.KeptUntil) || left > 2*time.Hour || left < 110*time.Minute {
			t.Errorf("kept %v, result %+v", w.kept, result)
		}
	})
}

func TestACancelBeforePublishUndoesEverythingAndOneAfterItNothing(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]jobs.State{
		"RunInstances eu-west-1": jobs.Cancelled, "CreateImage eu-west-1": jobs.Cancelled, "CopyImage us-east-1": jobs.Cancelled,
		"PutParameter eu-west-1": jobs.Succeeded, "CreateLaunchTemplateVersion eu-west-1": jobs.Succeeded,
	} {
		inTime(t, func(t *testing.T, w *world) {
			w.on[call] = w.cancel
			w.wantState(w.bake(everything), want)
			if want == jobs.Cancelled {
				w.wantLeft()
				return
			}
			w.wantLeft("eu-west-1 image", "eu-west-1 snapshot", "us-east-1 image", "us-east-1 snapshot")
			w.wantWhole(1)
		})
	}
}

func TestAnAMIOrACopyThatEC2GaveUpIsBegunAnewAlone(t *testing.T) {
	t.Parallel()
	for _, region := range []string{home, "us-east-1"} {
		inTime(t, func(t *testing.T, w *world) {
			w.region(region).bad = 1
			w.wantState(w.bake(everything), jobs.Succeeded)
			w.wantWhole(1)
			if n := w.count("CreateImage"); region != home && n != 1 {
				t.Errorf("%d images were taken for a copy that failed", n)
			}
		})
		inTime(t, func(t *testing.T, w *world) {
			w.region(region).bad = 100
			w.wantState(w.bake(everything), jobs.Failed)
			w.wantLeft()
		})
	}
}

func TestVersionsInUseAreNotRetired(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		for n := range 3 {
			w.versions[n+1] = l.Version{Image: "web", Number: n + 1, State: l.Available, Regions: map[string]l.RegionalCopy{}}
		}
		w.numbers, w.current = 3, 3
		w.fleets = []l.Fleet{{Name: "prod", Image: "web@1"}}
		w.wantState(w.bake(strings.Replace(plain, `"bootTest"`, `"keep":{"versions":1},"bootTest"`, 1)), jobs.Succeeded)
		want := map[int]l.VersionState{1: l.Available, 2: l.Retired, 3: l.Retired, 4: l.Available}
		for n, state := range want {
			if w.versions[n].State != state {
				t.Errorf("version %d is %s, want %s", n, w.versions[n].State, state)
			}
		}
	})
}

func TestPublicSharingIsRefusedBeforeAnythingIsMadeWhereTheAccountBlocksIt(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		job := w.bake(`{"from":{"ami":"ami-00000001"},"share":{"public":true,"publicConfirmed":true}}`)
		w.wantState(job, jobs.Failed)
		if !strings.Contains(job.Failure, "block-new-sharing") || w.count("RunInstances") > 0 {
			t.Errorf("%s after %v", job.Failure, w.calls)
		}
	})
}

// TestAWorkerMayDieAtAnyCall kills the worker before and after each call of a bake that does everything; of one that fails
// and of one that is cancelled before one call and after the next. Where STAMPMILL_DEATHS is not all (make deaths), it tries
// every seventh call.
func TestAWorkerMayDieAtAnyCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*world)
		want    jobs.State
	}{
		"succeeds":  {func(*world) {}, jobs.Succeeded},
		"fails":     {func(w *world) { w.answer["boot-test-verify-1"] = 1 }, jobs.Failed},
		"cancelled": {func(w *world) { w.on["CopyImage us-east-1"] = w.cancel }, jobs.Cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls int
			inTime(t, func(t *testing.T, w *world) {
				w.full["full.large"] = true
				c.prepare(w)
				w.wantState(w.bake(everything), c.want)
				calls = len(w.calls)
			})
			stride := 7
			if os.Getenv("STAMPMILL_DEATHS") == "all" {
				stride = 1
			}
			for at := 1; at <= calls; at += stride {
				for _, after := range []bool{false, true} {
					if c.want != jobs.Succeeded && after == (at%2 == 0) {
						continue
					}
					inTime(t, func(t *testing.T, w *world) {
						w.dieAt, w.after, w.full["full.large"] = at, after, true
						c.prepare(w)
						w.wantState(w.bake(everything), c.want)
						if c.want == jobs.Succeeded {
							w.wantLeft("eu-west-1 image", "eu-west-1 snapshot", "us-east-1 image", "us-east-1 snapshot")
							w.wantWhole(1)
						} else {
							w.wantLeft()
						}
						if t.Failed() {
							t.Fatalf("death at call %d of %d (%s), after its effect: %v", at, calls, w.calls[at-1], after)
						}
					})
				}
			}
		})
	}
}
