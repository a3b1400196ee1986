package rig_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// A cancel that comes after the commit point changes nothing about the version, and the job says so.
func TestACancelAfterPublishLeavesTheNewVersionWhole(t *testing.T) {
	t.Parallel()
	story := plainBake()
	story.Meanwhile = func(ctx context.Context, r *rig.Rig, ids []string) {
		for ctx.Err() == nil {
			if image, _, err := r.User.Ledger.GetImage(background, "web"); err == nil && image.Current == 1 {
				if err := r.Cancel(background, ids[0], 1); err != nil {
					panic(err)
				}
				return
			}
			time.Sleep(500 * time.Millisecond)
		}
	}
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			if job.State != jobs.Succeeded || len(job.Warnings) != 1 || !strings.Contains(job.Warnings[0], "after the commit point") {
				return fmt.Errorf("the bake is %s with the warnings %q, want it succeeded with one about the cancel", job.State, job.Warnings)
			}
		}
		return oneImage(r, nil)
	}
	everyCall(t, story, 3, deaths...)
}

func TestAVerifyThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	story := failingBake()
	story.Prepare = nil
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			if job.State != jobs.Failed || !strings.Contains(job.Failure, "verify-1") {
				return fmt.Errorf("the bake is %s: %s", job.State, job.Failure)
			}
		}
		return nothing(r)
	}
	everyCall(t, story, 3, deaths...)
}
