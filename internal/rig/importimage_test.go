package rig_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/rig"
)

// ownAMI has somebody take an AMI of one of their servers.
func ownAMI(ctx context.Context, r *rig.Rig) (string, error) {
	ids, err := settled(r)
	if err != nil {
		return "", err
	}
	ami, err := r.User.EC2.For(jobs.Target{}).Capture(ctx, cloud.CaptureRequest{InstanceID: ids[0], Name: "somebody's", NoReboot: true})
	time.Sleep(30 * time.Minute)
	return ami, err
}

func TestAnImportedImageIsAVersionUntilItIsGivenBack(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		ami, err := ownAMI(background, b.Rig)
		b.must(err)
		before := estateOf(b.Rig)
		b.worker(nil)
		b.ends(b.submit("import", "kind: Import\nname: golden\nspec: {image: {ami: "+ami+"}}\n"), jobs.Succeeded)
		image, _, err := b.User.Ledger.GetImage(background, "golden")
		b.must(err)
		v, _, err := b.User.Ledger.GetVersion(background, "golden", 1)
		b.must(err)
		if image.Current != 1 || v.State != ledger.Available || v.Imported == "" || v.Regions[rig.Region].AMI != ami || v.Architecture != "arm64" || len(v.Spec) > 0 {
			t.Errorf("the image is %+v, its version %+v", image, v)
		}
		twice := b.ends(b.submit("again", "kind: Import\nname: other\nspec: {image: {ami: "+ami+"}}\n"), jobs.Failed)
		if !strings.Contains(twice.Failure, "golden@1 already") && !strings.Contains(twice.Failure, "cannot be imported") {
			t.Errorf("a second import failed of %q", twice.Failure)
		}
		b.ends(b.submit("launch", "kind: Launch\nname: front\nspec: {image: golden, count: 1, pools: [{types: [m7g.large]}]}\n"), jobs.Succeeded)
		undo := "kind: Import\nname: golden\nspec: {undo: image}\n"
		if job := b.ends(b.submit("undo", undo), jobs.Failed); !strings.Contains(job.Failure, "the fleet front") {
			t.Errorf("giving it back failed of %q", job.Failure)
		}
		b.ends(b.submit("down", "kind: Terminate\nname: down\nspec: {fleet: front, all: true}\n"), jobs.Succeeded)
		b.ends(b.submit("undo-again", undo), jobs.Succeeded)
		if _, known, err := b.User.Ledger.GetImage(background, "golden"); known || err != nil {
			t.Errorf("the image is still there: %v", err)
		}
		after := estateOf(b.Rig)
		for id, was := range before {
			if after[id] != was {
				t.Errorf("%s was %q and is %q", id, was, after[id])
			}
		}
	})
}

func TestAnImportOfAnImageSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	var before map[string]string
	var ami string
	story := rig.Story{Key: "k", Folder: ".", Limit: 2 * time.Hour}
	story.Prepare = func(r *rig.Rig) (err error) {
		ami, err = ownAMI(background, r)
		before = estateOf(r)
		return err
	}
	// The id is the same in each run: the endpoint draws ids from its seed.
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		v, known, err := r.User.Ledger.GetVersion(background, "golden", 1)
		if err != nil {
			return err
		}
		for _, job := range ended {
			if job.State == jobs.Cancelled {
				if known && v.State == ledger.Available || !maps.Equal(before, estateOf(r)) {
					return fmt.Errorf("cancelled, and there is %+v", v)
				}
				return nil
			}
			if job.State != jobs.Succeeded {
				return fmt.Errorf("the import is %s: %s", job.State, job.Failure)
			}
		}
		image, _, err := r.User.Ledger.GetImage(background, "golden")
		if err != nil || v.State != ledger.Available || v.Regions[rig.Region].AMI != ami || image.Current != 1 {
			return fmt.Errorf("%v: the image is %+v, its version %+v", err, image, v)
		}
		for id, was := range estateOf(r) {
			if id != ami && was != before[id] {
				return fmt.Errorf("%s was %q and is %q", id, before[id], was)
			}
		}
		return nil
	}
	known := make(chan string, 1)
	installed(t, rig.Config{}, func(b *bubble) {
		b.worker(nil)
		id, err := ownAMI(background, b.Rig)
		b.must(err)
		known <- id
	})
	story.Spec = "kind: Import\nname: golden\nspec: {image: {ami: " + <-known + "}}\n"
	everyCall(t, story, 6, append(slices.Clone(deaths), cancelled)...)
}
