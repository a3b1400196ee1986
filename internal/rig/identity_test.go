package rig_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/rig"
)

// forgotten is longer than a finished job is kept.
const forgotten = 31 * 24 * time.Hour

func smallLaunch(count int) string {
	return fmt.Sprintf("kind: Launch\nname: web-prod\nspec:\n  image: %s\n  count: %d\n  pools: [{types: [c7g.large]}]\n  hostname: web-{ordinal:04}\n", arm64(), count)
}

func TestAnOldKeyAfterItsJobsExpiryBakesANewAMI(t *testing.T) {
	t.Parallel()
	var w wire
	config := rig.Config{}
	config.Endpoint.Intercept = w.intercept
	installed(t, config, func(b *bubble) {
		spec := plainBake().Spec
		first := b.worker(nil)
		old := b.ends(b.submit("monthly", spec), jobs.Succeeded)
		first.Drain()
		tokens, names := keys(w.tokens()), imageNames(&w)
		time.Sleep(forgotten)

		b.worker(nil)
		again := b.until(b.submit("monthly", spec), "a new job that is over", 8*time.Hour, func(job *jobs.Job) bool {
			return job.Incarnation != old.Incarnation && job.Finished()
		})
		if again.ID != old.ID || again.State != jobs.Succeeded || again.Run != 1 {
			t.Fatalf("%s is %s in run %d: %s", again.ID, again.State, again.Run, again.Failure)
		}
		if all := keys(w.tokens()); len(all) != 2*len(tokens) {
			t.Errorf("tokens %q after the first job's %q: want as many again", all, tokens)
		}
		if all := imageNames(&w); len(all) != 2 || len(names) != 1 {
			t.Errorf("AMI names %q after %q: want another one", all, names)
		}
		images := b.EC2().Inspect().Images
		if len(images) != 2 || images[0].Tags[jobs.TagIncarnation] != old.Incarnation || images[1].Tags[jobs.TagIncarnation] != again.Incarnation {
			t.Errorf("images %+v: want one of each incarnation", images)
		}
		image, _, err := b.User.Ledger.GetImage(background, "web")
		b.must(err)
		version, _, err := b.User.Ledger.GetVersion(background, "web", 2)
		b.must(err)
		if image.Current != 2 || version.Regions[rig.Region].AMI != images[1].ID {
			t.Errorf("current is %d and version 2 is %+v, want %s", image.Current, version.Regions, images[1].ID)
		}
		b.must(nobodyRuns(b.Rig))
	})
}

func imageNames(w *wire) (names []string) {
	for _, s := range w.all("ec2:CreateImage") {
		if !slices.Contains(names, s.name) {
			names = append(names, s.name)
		}
	}
	return names
}

// A launch converges, so the old key makes what is missing by then: with new tokens, and without taking what is there for
// its own work.
func TestAnOldKeyAfterItsJobsExpiryLaunchesNewServers(t *testing.T) {
	t.Parallel()
	var w wire
	config := rig.Config{}
	config.Endpoint.Intercept = w.intercept
	installed(t, config, func(b *bubble) {
		first := b.worker(nil)
		old := b.ends(b.submit("monthly", smallLaunch(3)), jobs.Succeeded)
		servers, err := b.User.Ledger.Servers(background, "web-prod")
		b.must(err)
		tokens, before := w.tokens(), b.running()
		b.must(b.User.EC2.For(jobs.Target{}).Terminate(background, servers[1].InstanceID))
		first.Drain()
		time.Sleep(forgotten)

		b.worker(nil)
		again := b.until(b.submit("monthly", smallLaunch(3)), "a new job that is over", time.Hour, func(job *jobs.Job) bool {
			return job.Incarnation != old.Incarnation && job.Finished()
		})
		if again.State != jobs.Succeeded {
			t.Fatalf("it is %s: %s", again.State, again.Failure)
		}
		now, err := b.User.Ledger.Servers(background, "web-prod")
		b.must(err)
		if len(now) != 3 || now[0].InstanceID != servers[0].InstanceID || now[1].InstanceID == servers[1].InstanceID {
			t.Errorf("servers %+v after %+v: want another one with ordinal 1", now, servers)
		}
		after := b.running()
		if len(after) != 3 || after[now[1].InstanceID].Tags[jobs.TagIncarnation] != again.Incarnation {
			t.Errorf("%d instances run, the new one with %v", len(after), after[now[1].InstanceID].Tags)
		}
		for id, i := range after {
			if old, known := before[id]; known && old.Tags[jobs.TagIncarnation] != i.Tags[jobs.TagIncarnation] {
				t.Errorf("%s became another job's: %v", id, i.Tags)
			}
		}
		if all := w.tokens(); len(all) != len(tokens)+1 {
			t.Errorf("tokens %q after %q: want one more", keys(all), keys(tokens))
		}
	})
}

func TestARetryOfAFailedBakeHasOtherTokensAndNames(t *testing.T) {
	t.Parallel()
	refuse := true
	w := wire{fault: func(r *api.Request) localaws.Fault {
		if r.Action == "CreateImage" && refuse {
			return localaws.Fault{Code: "InvalidParameterValue", Message: "not today", Status: http.StatusBadRequest}
		}
		return localaws.Fault{}
	}}
	config := rig.Config{}
	config.Endpoint.Intercept = w.intercept
	installed(t, config, func(b *bubble) {
		b.worker(nil)
		id := b.submit("k", plainBake().Spec)
		b.ends(id, jobs.Failed)
		b.must(nothing(b.Rig))
		refuse = false
		b.must(b.Retry(background, id, 1))
		b.until(id, "in its second run", time.Minute, func(job *jobs.Job) bool { return job.Run == 2 })
		job := b.ends(id, jobs.Succeeded)
		if len(w.tokens()) != 2 || len(imageNames(&w)) != 2 {
			t.Errorf("tokens %v and AMI names %q: want two of each", keys(w.tokens()), imageNames(&w))
		}
		images := b.EC2().Inspect().Images
		if len(images) != 1 || images[0].Tags[jobs.TagRun] != "2" {
			t.Errorf("images %+v, want one of run 2; %s", images, history(job))
		}
		b.must(nobodyRuns(b.Rig))

		b.must(b.Retry(background, id, 1)) // it names a run that is not the last: nothing happens
		b.must(b.Retry(background, id, 2)) // a succeeded one may be run again, too
		b.until(id, "in its third run", time.Minute, func(job *jobs.Job) bool { return job.Run == 3 })
		b.ends(id, jobs.Succeeded)
	})
}
