package rig_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/rig"
)

const home = "eu-west-1"

func imageOf(step string) string { return bakeOf("web", arm64(), step) }

const rootFleet = `
kind: Launch
name: web-prod
spec:
  image: web@1
  count: 3
  pools: [{types: [m7g.large]}]
  server: {instanceProfile: builder}
`

// rootStory rolls a fleet of three in place from web@1 to web@2, two at a time; each server wrote something on its root.
func rootStory(options string, fault string, check func(r *rig.Rig, job *jobs.Job) error) rig.Story {
	return rig.Story{
		Config: restampConfig(), Key: "k", Folder: ".", Limit: 6 * time.Hour,
		Spec:    "kind: Rollout\nname: web-prod\nspec: {fleet: web-prod, image: web, strategy: inPlace, maxUnavailable: 2, waves: [100%]" + options + "}\n",
		Prepare: func(r *rig.Rig) error { return preparedRoots(r, rootFleet, fault) },
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if err := check(r, job); err != nil {
					return fmt.Errorf("%w; the job is %s: %s", err, job.State, job.Failure)
				}
			}
			return tidyRoots(r)
		},
	}
}

// preparedRoots bakes both images and launches the fleet of the first; each server writes something of its own.
func preparedRoots(r *rig.Rig, fleet, fault string) error {
	if err := did(r, imageOf("echo one > /opt/web"), imageOf("echo two > /opt/web"), fleet); err != nil {
		return err
	}
	for _, server := range rootServers(r) {
		m, ok := r.EC2().Machine(api.DefaultAccount, home, server.InstanceID)
		if !ok {
			return fmt.Errorf("%s does not run", server.InstanceID)
		}
		written := make(chan machine.Result, 1)
		m.Run(machine.Command{Shell: "sh", Script: "echo " + server.InstanceID + " > /opt/state", Timeout: time.Minute}, func(result machine.Result) { written <- result })
		if result := <-written; result.ExitCode != 0 {
			return fmt.Errorf("%s wrote nothing: %+v", server.InstanceID, result)
		}
	}
	if fault != "" {
		if _, err := r.EC2().Controls()["root-volume-failures"](json.RawMessage(fault)); err != nil {
			return err
		}
	}
	return nil
}

func rootServers(r *rig.Rig) []ledger.Server {
	servers, err := r.User.Ledger.Servers(background, "web-prod")
	if err != nil {
		panic(err)
	}
	return servers
}

// tidyRoots: three servers that serve, each with one root volume, and no other volume; the ledger keeps none.
func tidyRoots(r *rig.Rig) error {
	servers := rootServers(r)
	if len(servers) != 3 {
		return fmt.Errorf("the ledger has %d servers, want 3", len(servers))
	}
	for _, server := range servers {
		if server.State != ledger.Healthy && server.State != ledger.Launched || server.Kept != nil {
			return fmt.Errorf("ordinal %d is %s and keeps %+v", server.Ordinal, server.State, server.Kept)
		}
		if instance, _ := r.EC2().Instance(api.DefaultAccount, home, server.InstanceID); instance.State != "running" || len(instance.Volumes) != 1 {
			return fmt.Errorf("ordinal %d: its instance is %s with the volumes %q", server.Ordinal, instance.State, instance.Volumes)
		}
	}
	for _, volume := range r.EC2().Inspect().Volumes {
		if volume.InstanceID == "" {
			return fmt.Errorf("volume %s is left over, %s, with the tags %v", volume.ID, volume.State, volume.Tags)
		}
	}
	return nil
}

// runs: the ledger says which image the ordinal runs, and its root says the same; state is what the server wrote itself.
func runs(r *rig.Rig, server ledger.Server, image, content string, state bool) error {
	instance, _ := r.EC2().Instance(api.DefaultAccount, home, server.InstanceID)
	disk := r.EC2().Disk(api.DefaultAccount, home, instance.Volumes[0])
	got, err := disk.Read("/opt/web")
	if err != nil || strings.TrimSpace(string(got)) != content || server.Image != image {
		return fmt.Errorf("ordinal %d reads %q, %v, and is said to run %s; want %q of %s", server.Ordinal, got, err, server.Image, content, image)
	}
	if own, err := disk.Read("/opt/state"); (err == nil && strings.TrimSpace(string(own)) == server.InstanceID) != state {
		return fmt.Errorf("ordinal %d reads %q, %v of what it wrote itself; want it there: %t", server.Ordinal, own, err, state)
	}
	return nil
}

func allRun(image, content string, state bool, ends jobs.State) func(*rig.Rig, *jobs.Job) error {
	return func(r *rig.Rig, job *jobs.Job) error {
		if job.State != ends {
			return fmt.Errorf("want it %s", ends)
		}
		for _, server := range rootServers(r) {
			if err := runs(r, server, image, content, state); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestAFleetIsRolledInPlaceThroughADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, rootStory("", "", allRun("web@2", "two", false, jobs.Succeeded)))
}

func TestAFailedGateGivesEveryServerItsRootBackThroughADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, rootStory(", gate: [{run: test -e /opt/never, within: 30s}]", "", allRun("web@1", "one", true, jobs.Failed)))
}

func TestAServerWithoutARootGetsItsFormerOneThroughADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, rootStory(", failures: 1", `{"count":1,"state":"failed-detached"}`, func(r *rig.Rig, job *jobs.Job) error {
		if job.State != jobs.Succeeded {
			return fmt.Errorf("want it %s", jobs.Succeeded)
		}
		former := 0
		for _, server := range rootServers(r) {
			image, content := "web@2", "two"
			if server.Image == "web@1" {
				image, content = "web@1", "one"
				former++
			}
			if err := runs(r, server, image, content, image == "web@1"); err != nil {
				return err
			}
		}
		if former != 1 {
			return fmt.Errorf("%d servers run web@1, want the one whose replacement failed", former)
		}
		return nil
	}))
}

func TestAFailedReplacementLeavesItsServerAsItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		story := rootStory("", `{"count":1,"state":"failed"}`, allRun("web@1", "one", true, jobs.Failed))
		if _, err := story.Run(background, &rig.Line{}); err != nil {
			t.Error(err)
		}
	})
}

// The fleet's own check refuses what web@2 has on its root.
func TestAServerThatIsUnhealthyInPlaceGetsItsRootBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		story := rootStory("", "", allRun("web@1", "one", true, jobs.Failed))
		story.Prepare = func(r *rig.Rig) error {
			return preparedRoots(r, rootFleet+"  healthy: {run: grep one /opt/web, within: 2m}\n", "")
		}
		if _, err := story.Run(background, &rig.Line{}); err != nil {
			t.Error(err)
		}
	})
}

// The former root cannot be attached again: it is all that the server has, and a person is told how.
func TestAFormerRootThatCannotBeAttachedIsKeptForAPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		story := rootStory(", failures: 1", `{"count":1,"state":"failed-detached"}`, nil)
		prepare := story.Prepare
		story.Prepare = func(r *rig.Rig) error {
			if err := prepare(r); err != nil {
				return err
			}
			_, err := r.Endpoint.AddFault(localaws.Rule{Service: "ec2", Action: "AttachVolume", Code: "UnauthorizedOperation", Status: 403})
			return err
		}
		story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
			var kept []ledger.Server
			for _, server := range rootServers(r) {
				if server.Kept != nil {
					kept = append(kept, server)
				}
			}
			if len(kept) != 1 {
				return fmt.Errorf("the ledger keeps %d former roots, want 1", len(kept))
			}
			for _, volume := range r.EC2().Inspect().Volumes {
				if volume.ID == kept[0].Kept.Volume {
					return warned(ended, "aws ec2 attach-volume --volume-id "+volume.ID)
				}
			}
			return fmt.Errorf("%s, the only root of ordinal %d, is deleted", kept[0].Kept.Volume, kept[0].Ordinal)
		}
		if _, err := story.Run(background, &rig.Line{}); err != nil {
			t.Error(err)
		}
	})
}

func warned(ended map[string]*jobs.Job, what string) error {
	for _, job := range ended {
		if strings.Contains(strings.Join(job.Warnings, "\n"), what) {
			return nil
		}
	}
	return fmt.Errorf("no job warns of %q", what)
}

// Replacements that EC2 has begun cannot be stopped: a cancel sees them through, and every server serves at its end.
func TestARolloutInPlaceThatIsCancelledAtAnyInstantEndsAndLeavesServersThatServe(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{5 * time.Second, 45 * time.Second, 75 * time.Second, 100 * time.Second, 2 * time.Minute} {
		inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
			if err := preparedRoots(r, rootFleet+"  healthy: {run: test -e /opt/web, within: 5m}\n", ""); err != nil {
				return err
			}
			if _, err := r.Start(nil); err != nil {
				return err
			}
			ids, err := r.Submit(ctx, "kind: Rollout\nname: web-prod\nspec: {fleet: web-prod, image: web, strategy: inPlace, maxUnavailable: 2, waves: [100%]}\n", ".", "k", nil)
			if err != nil {
				return err
			}
			time.Sleep(after)
			if err := r.Cancel(ctx, ids[0], 1); err != nil {
				return err
			}
			ended, err := r.Wait(ctx, time.Hour, ids...)
			if err != nil {
				return fmt.Errorf("cancelled after %s: %w", after, err)
			}
			if job := ended[ids[0]]; job.State != jobs.Cancelled {
				return fmt.Errorf("cancelled after %s it is %s: %s", after, job.State, job.Failure)
			}
			for _, server := range rootServers(r) {
				content := map[string]string{"web@1": "one", "web@2": "two"}[server.Image]
				if err := runs(r, server, server.Image, content, server.Image == "web@1"); err != nil {
					return fmt.Errorf("cancelled after %s: %w", after, err)
				}
			}
			return tidyRoots(r)
		})
	}
}

// A replacement back that fails leaves the root that it was to delete.
func TestARootThatIsLeftOnTheWayBackGoesWithTheRollout(t *testing.T) {
	t.Parallel()
	inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
		if err := preparedRoots(r, rootFleet, ""); err != nil {
			return err
		}
		if _, err := r.Start(nil); err != nil {
			return err
		}
		ids, err := r.Submit(ctx, "kind: Rollout\nname: web-prod\nspec: {fleet: web-prod, image: web, strategy: inPlace, maxUnavailable: 2, waves: [100%], gate: [{approve: true}]}\n", ".", "k", nil)
		if err != nil {
			return err
		}
		time.Sleep(30 * time.Minute)
		if _, err := r.EC2().Controls()["root-volume-failures"](json.RawMessage(`{"count":2,"state":"failed-detached"}`)); err != nil {
			return err
		}
		if err := order(ctx, r, ids[0], jobs.Revert); err != nil {
			return err
		}
		ended, err := r.Wait(ctx, 3*time.Hour, ids...)
		if err != nil {
			return err
		}
		if err := allRun("web@1", "one", true, jobs.Failed)(r, ended[ids[0]]); err != nil {
			return err
		}
		return tidyRoots(r)
	})
}
