package rig_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// plainBake is the plain bake of the measures: AMI id as source, one run, one verify, stopped capture.
func plainBake() rig.Story {
	config := rig.Config{}
	config.Endpoint.EC2.ImageMin, config.Endpoint.EC2.ImageMax = 5*time.Minute, 5*time.Minute // so that each run makes the same calls
	return rig.Story{
		Config: config, Key: "k", Folder: ".", Limit: 6 * time.Hour,
		Spec: fmt.Sprintf(`
kind: Bake
name: web
spec:
  from: {ami: %s}
  builder: {types: [m7g.large], instanceProfile: builder}
  steps:
    - run: echo ready > /opt/ready
  verify:
    - run: grep -q ready /opt/ready
  bootTest: false
`, arm64()),
		Check: oneImage,
	}
}

// oneImage: the bake succeeded, and what is left is one AMI with its snapshots, current in the catalog, and nothing else.
func oneImage(r *rig.Rig, ended map[string]*jobs.Job) error {
	for _, job := range ended {
		if job.State != jobs.Succeeded {
			return fmt.Errorf("the bake is %s: %s", job.State, job.Failure)
		}
		if len(job.Warnings) > 0 {
			return fmt.Errorf("warnings: %q", job.Warnings)
		}
	}
	image, found, err := r.User.Ledger.GetImage(background, "web")
	if err != nil || !found || image.Current != 1 {
		return fmt.Errorf("the catalog has %+v, want web with current 1 (%v)", image, err)
	}
	version, _, err := r.User.Ledger.GetVersion(background, "web", 1)
	if err != nil {
		return err
	}
	all := r.EC2().Inspect()
	if len(all.Images) != 1 || all.Images[0].State != "available" || all.Images[0].ID != version.Regions[rig.Region].AMI {
		return fmt.Errorf("images %+v, want only %v", all.Images, version.Regions)
	}
	if len(all.Snapshots) != len(all.Images[0].Snapshots) {
		return fmt.Errorf("%d snapshots are left, want the image's %d", len(all.Snapshots), len(all.Images[0].Snapshots))
	}
	return nobodyRuns(r)
}

// nothing: no server, no image, no snapshot, and no current version.
func nothing(r *rig.Rig) error {
	all := r.EC2().Inspect()
	if len(all.Images) > 0 || len(all.Snapshots) > 0 {
		return fmt.Errorf("left: images %+v, snapshots %+v", all.Images, all.Snapshots)
	}
	if image, _, err := r.User.Ledger.GetImage(background, "web"); err != nil || image.Current != 0 {
		return fmt.Errorf("current is %d, want none (%v)", image.Current, err)
	}
	return nobodyRuns(r)
}

func nobodyRuns(r *rig.Rig) error {
	for _, instance := range r.EC2().Inspect().Instances {
		if instance.State != "terminated" && instance.State != "shutting-down" {
			return fmt.Errorf("instance %s is %s: %v", instance.ID, instance.State, instance.Tags)
		}
	}
	return nil
}

func TestABakeSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, plainBake())
}
