package rig_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/rig"
)

var background = context.Background()

// arm64 is Amazon Linux in the rig's region.
func arm64() string {
	for _, image := range seed.Images(rig.Region, 0) {
		if image.Architecture == "arm64" && image.Platform != "windows" {
			return image.ID
		}
	}
	panic("the endpoint has no arm64 AMI")
}

// everyDeath runs the story once in peace, and then with the worker's death before and after each call that it made: of all
// calls where STAMPMILL_DEATHS is all (make deaths), else of a sample.
func everyDeath(t *testing.T, story rig.Story) {
	t.Helper()
	var calls []string
	synctest.Test(t, func(t *testing.T) {
		var err error
		if calls, err = story.Run(t.Context(), &rig.Line{}); err != nil {
			t.Fatal(err)
		}
	})
	begun := slices.Index(calls, "dynamodb:PutItem") // what comes before is the worker's start
	stride := max(1, (len(calls)-begun)/8)
	if os.Getenv("STAMPMILL_DEATHS") == "all" {
		stride = 1
	}
	tried := 0
	for at := begun + 1; at <= len(calls); at += stride {
		for _, after := range []bool{false, true} {
			tried++
			synctest.Test(t, func(t *testing.T) {
				if _, err := story.Run(t.Context(), &rig.Line{DieAt: at, After: after}); err != nil {
					t.Errorf("death at call %d (%s, after: %v): %v", at, calls[at-1], after, err)
				}
			})
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d calls, %d deaths", len(calls)-begun, tried)
}

func launchStory() rig.Story {
	config := rig.Config{}
	config.Endpoint.EC2.Capacity = []ec2.CapacityRule{{Type: "m7g.large", Capacity: 12}, {Type: "m6g.large", Capacity: 11}}
	return rig.Story{
		Config: config, Key: "k", Folder: ".", Limit: 2 * time.Hour,
		Spec: fmt.Sprintf(`
kind: Launch
name: web-prod
spec:
  image: %s
  count: 30
  pools:
    - {types: [m7g.large]}
    - {types: [m6g.large]}
    - {types: [c7g.large]}
  hostname: web-{ordinal:04}
`, arm64()),
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if job.State != jobs.Succeeded {
					return fmt.Errorf("the launch is %s: %s", job.State, job.Failure)
				}
			}
			return thirty(r)
		},
	}
}

// thirty: thirty servers, each ordinal with one holder, in the ledger and in EC2.
func thirty(r *rig.Rig) error {
	servers, err := r.User.Ledger.Servers(background, "web-prod")
	if err != nil {
		return err
	}
	if len(servers) != 30 {
		return fmt.Errorf("the ledger has %d servers, want 30", len(servers))
	}
	holders := map[string]int{}
	for i, s := range servers {
		if s.Ordinal != i {
			return fmt.Errorf("the ledger's server %d has ordinal %d", i, s.Ordinal)
		}
		holders[s.InstanceID]++
	}
	types := map[string]int{}
	for _, instance := range r.EC2().Inspect().Instances {
		if instance.State != "running" {
			continue
		}
		if holders[instance.ID] != 1 {
			return fmt.Errorf("instance %s runs and holds %d ordinals", instance.ID, holders[instance.ID])
		}
		delete(holders, instance.ID)
		types[instance.Type]++
	}
	if len(holders) > 0 {
		return fmt.Errorf("the ledger names instances that do not run: %v", holders)
	}
	if types["m7g.large"] > 12 || types["m6g.large"] > 11 {
		return fmt.Errorf("more than the capacity: %v", types)
	}
	return nil
}

func TestALaunchSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, launchStory())
}
