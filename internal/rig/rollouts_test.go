package rig_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/rig"
)

// replaceStory rolls a fleet of three from web@1 to web@2 by successors.
func replaceStory(options, image, content string, ends jobs.State) rig.Story {
	return rig.Story{
		Config: restampConfig(), Key: "k", Folder: ".", Limit: 6 * time.Hour,
		Spec: "kind: Rollout\nname: web-prod\nspec: {fleet: web-prod, image: web, waves: [1]" + options + "}\n",
		Prepare: func(r *rig.Rig) error {
			return did(r, imageOf("echo one > /opt/web"), imageOf("echo two > /opt/web"), rootFleet)
		},
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if job.State != ends {
					return fmt.Errorf("the rollout %s, want it %s: %s", job.State, ends, job.Failure)
				}
			}
			return allServe(r, image, content)
		},
	}
}

// allServe: three holders that run and are stamped from the image, nothing in the second slots, and no other server.
func allServe(r *rig.Rig, image, content string) error {
	held := map[string]bool{}
	for _, server := range rootServers(r) {
		held[server.InstanceID] = true
		instance, _ := r.EC2().Instance(api.DefaultAccount, home, server.InstanceID)
		if instance.State != "running" || server.Image != image || server.State != ledger.Healthy {
			return fmt.Errorf("ordinal %d is %s of %s, its instance %s is %s", server.Ordinal, server.State, server.Image, server.InstanceID, instance.State)
		}
		got, err := r.EC2().Disk(api.DefaultAccount, home, instance.Volumes[0]).Read("/opt/web")
		if err != nil || strings.TrimSpace(string(got)) != content {
			return fmt.Errorf("ordinal %d reads %q, %v, want %q", server.Ordinal, got, err, content)
		}
	}
	if len(held) != 3 {
		return fmt.Errorf("%d servers hold ordinals, want 3", len(held))
	}
	seconds, err := r.User.Ledger.Seconds(background, "web-prod")
	if err != nil || len(seconds) > 0 {
		return fmt.Errorf("the second slots hold %+v, %v", seconds, err)
	}
	fleet, _, err := r.User.Ledger.GetFleet(background, "web-prod")
	if err != nil || fleet.Image != image || fleet.Owner != "" {
		return fmt.Errorf("the fleet is %+v, %v", fleet, err)
	}
	for _, i := range r.EC2().Inspect().Instances {
		if i.Tags["stampmill:fleet"] != "" && !held[i.ID] && i.State != "terminated" && i.State != "shutting-down" {
			return fmt.Errorf("%s is %s, and holds no ordinal", i.ID, i.State)
		}
	}
	return nil
}

func TestAFleetIsReplacedThroughADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, replaceStory(", surge: 2", "web@2", "two", jobs.Succeeded))
}

func TestAFleetWithoutRoomIsReplacedThroughADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, replaceStory(", surge: 0, maxUnavailable: 2", "web@2", "two", jobs.Succeeded))
}

func TestAFailedGateBringsTheFormerServersImageBackThroughADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, replaceStory(", surge: 2, gate: [{run: test -e /opt/never, within: 30s}]", "web@1", "one", jobs.Failed))
}
