package rig_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// copyRegion is where a full bake copies its AMI to.
const copyRegion = "us-east-1"

// fullBake is one that is asked for all that makes or changes something: a boot test, a copy, a share, a parameter.
func fullBake() rig.Story {
	story := plainBake()
	story.Config.Endpoint.EC2.CopyMin, story.Config.Endpoint.EC2.CopyMax = story.Config.Endpoint.EC2.ImageMin, story.Config.Endpoint.EC2.ImageMax
	story.Spec = fmt.Sprintf(`
kind: Bake
name: web
spec:
  from: {ami: %s}
  builder: {types: [m7g.large], instanceProfile: builder}
  steps:
    - run: echo ready > /opt/ready
  verify:
    - run: grep -q ready /opt/ready
  copyTo: {%s: {}}
  share: {accounts: ['222222222222']}
  publish: {parameter: /images/web}
`, arm64(), copyRegion)
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			switch {
			case job.State == jobs.Cancelled:
				return errors.Join(nothing(r), parameter(r, ""))
			case job.State != jobs.Succeeded:
				return fmt.Errorf("the bake is %s: %s", job.State, job.Failure)
			}
		}
		return fullImage(r)
	}
	return story
}

// fullImage: one AMI in each region, as the catalog and the parameter say, shared, each with its snapshot, and nothing else.
func fullImage(r *rig.Rig) error {
	version, _, err := r.User.Ledger.GetVersion(background, "web", 1)
	if err != nil {
		return err
	}
	all := r.EC2().Inspect()
	if len(all.Images) != 2 || len(all.Snapshots) != 2 || len(version.Regions) != 2 {
		return fmt.Errorf("%d images and %d snapshots for %+v, want one in each of two regions", len(all.Images), len(all.Snapshots), version)
	}
	for _, image := range all.Images {
		if version.Regions[image.Region].AMI != image.ID || image.State != "available" || len(image.Accounts) != 1 {
			return fmt.Errorf("image %+v, want it available, shared and in %v", image, version.Regions)
		}
	}
	return errors.Join(nobodyRuns(r), parameter(r, version.Regions[rig.Region].AMI))
}

func parameter(r *rig.Rig, want string) error {
	value, _, err := r.User.SSM.For(jobs.Target{}).Parameter(background, "/images/web")
	if err != nil || value != want {
		return fmt.Errorf("the parameter is %q, want %q (%v)", value, want, err)
	}
	return nil
}

func TestAFullBakeSurvivesWhateverBefallsIt(t *testing.T) {
	t.Parallel()
	everyCall(t, fullBake(), 3, deaths[1], lostAnswer, lateEffect, frozen)
}

func TestACancelAtAnyCallOfAFullBakeLeavesNothingOrAWholeVersion(t *testing.T) {
	t.Parallel()
	everyCall(t, fullBake(), 4, cancelled, cancelledAndDead)
}
