package rig_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/rig"
)

// outlivingFleet is three servers whose volumes stay when they go, the root too.
const outlivingFleet = `
kind: Launch
name: web-prod
spec:
  image: web@1
  count: 3
  pools: [{types: [m7g.large]}]
  server: {instanceProfile: builder, volumes: {/dev/xvda: {deleteOnTermination: false}}}
`

// free are the volumes that are attached to nothing, by id.
func free(r *rig.Rig) map[string]string {
	found := map[string]string{}
	for _, v := range r.EC2().Inspect().Volumes {
		if v.InstanceID == "" && v.State == "available" {
			found[v.ID] = fmt.Sprint(v.Tags)
		}
	}
	return found
}

// roots are the root volumes of the fleet's servers, by ordinal.
func roots(r *rig.Rig) map[int]string {
	found := map[int]string{}
	for _, server := range rootServers(r) {
		if i, _ := r.EC2().Instance(api.DefaultAccount, home, server.InstanceID); len(i.Volumes) > 0 {
			found[server.Ordinal] = i.Volumes[0]
		}
	}
	return found
}

// wantFree holds the free volumes to those, after the reaper's grace.
func wantFree(r *rig.Rig, when string, want ...string) error {
	time.Sleep(grace)
	found := free(r)
	for _, id := range want {
		if _, there := found[id]; !there {
			return fmt.Errorf("%s: %s is deleted, though its server held an ordinal and was to leave it", when, id)
		}
		delete(found, id)
	}
	for id, tags := range found {
		return fmt.Errorf("%s: %s is left behind, though its server never held an ordinal: %s", when, id, tags)
	}
	return nil
}

// A volume that outlives its server stays where that held an ordinal: it may hold somebody's data. That of a server which
// never did is nobody's.
func TestVolumesThatOutliveAServerStayIfItHeldAnOrdinalAndGoIfItNeverDid(t *testing.T) {
	t.Parallel()
	inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
		if err := did(r, imageOf("echo one > /opt/web"), imageOf("echo two > /opt/web"), outlivingFleet); err != nil {
			return err
		}
		if _, err := r.Start(nil); err != nil {
			return err
		}
		bad := strings.Replace(outlivingFleet, "count: 3", "count: 5\n  healthy: {run: test -e /opt/never, within: 1m}", 1)
		if job, err := runTo(ctx, r, bad, "bad"); err != nil || job.State != jobs.Failed {
			return fmt.Errorf("a launch of servers that are not healthy: %+v, %w", job, err)
		}
		if err := wantFree(r, "after a launch that was undone"); err != nil {
			return err
		}
		checked := strings.Replace(outlivingFleet, "count: 3", "count: 3\n  healthy: {run: grep one /opt/web, within: 1m}", 1)
		if _, err := runTo(ctx, r, checked, "checked"); err != nil {
			return err
		}
		const rollOut = "kind: Rollout\nname: web-prod\nspec: {fleet: web-prod, image: web@%d, waves: [100%%]}\n"
		if job, err := runTo(ctx, r, fmt.Sprintf(rollOut, 2), "two"); err != nil || job.State != jobs.Failed {
			return fmt.Errorf("a rollout to an image whose servers are not healthy: %+v, %w", job, err)
		}
		if err := wantFree(r, "after successors that failed"); err != nil {
			return err
		}
		was := roots(r)
		if _, err := runTo(ctx, r, "kind: Terminate\nname: down\nspec: {fleet: web-prod, ordinals: [2]}\n", "down"); err != nil {
			return err
		}
		if err := wantFree(r, "after a server was taken out", was[2]); err != nil {
			return err
		}
		if job, err := runTo(ctx, r, imageOf("echo one too > /opt/web"), "good"); err != nil || job.State != jobs.Succeeded {
			return fmt.Errorf("a bake: %+v, %w", job, err)
		}
		if job, err := runTo(ctx, r, fmt.Sprintf(rollOut, 3), "three"); err != nil || job.State != jobs.Succeeded {
			return fmt.Errorf("a rollout to a good image: %+v, %w", job, err)
		}
		rolled := roots(r)
		if err := wantFree(r, "after a rollout", was[0], was[1], was[2]); err != nil {
			return err
		}
		if _, err := runTo(ctx, r, "kind: Terminate\nname: down\nspec: {fleet: web-prod, all: true}\n", "all"); err != nil {
			return err
		}
		return wantFree(r, "after the whole fleet was taken out", was[0], was[1], was[2], rolled[0], rolled[1])
	})
}

// A person may have EC2 keep any volume of a server, also where the fleet's spec says nothing of that.
func TestTheReaperLeavesEveryVolumeOfAFleetWhoseSpecKeepsNone(t *testing.T) {
	t.Parallel()
	inBubble(t, restampConfig(), func(_ context.Context, r *rig.Rig) error {
		if err := did(r, imageOf("echo one > /opt/web"), strings.Replace(outlivingFleet, ", volumes: {/dev/xvda: {deleteOnTermination: false}}", "", 1)); err != nil {
			return err
		}
		for _, v := range r.EC2().Inspect().Volumes {
			if v.Tags[launch.TagFleet] != "" && v.Tags[launch.TagVolume] != "" {
				return fmt.Errorf("%s would be removed once it is free: %v", v.ID, v.Tags)
			}
		}
		return nil
	})
}

// In place: what stays when its server goes still does after a way back, and what was kept only for that does not.
func TestARootThatIsGivenBackGoesOrStaysWithItsServerAsBefore(t *testing.T) {
	t.Parallel()
	for _, outlives := range []bool{true, false} {
		inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
			fleet := outlivingFleet
			if !outlives {
				fleet = rootFleet
			}
			if err := preparedRoots(r, fleet, ""); err != nil {
				return err
			}
			was := roots(r)
			if _, err := r.Start(nil); err != nil {
				return err
			}
			job, err := runTo(ctx, r, "kind: Rollout\nname: web-prod\nspec: {fleet: web-prod, image: web, strategy: inPlace, maxUnavailable: 2, waves: [100%], gate: [{run: test -e /opt/never, within: 30s}]}\n", "k")
			if err != nil || job.State != jobs.Failed {
				return fmt.Errorf("the rollout: %+v, %w", job, err)
			}
			if err := tidyRoots(r); err != nil {
				return err
			}
			if _, err := runTo(ctx, r, "kind: Terminate\nname: down\nspec: {fleet: web-prod, ordinals: [0]}\n", "down"); err != nil {
				return err
			}
			if !outlives {
				return wantFree(r, "after a server went whose root goes with it")
			}
			return wantFree(r, "after a server went that leaves its root", was[0])
		})
	}
}
