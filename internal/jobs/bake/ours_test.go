package bake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// only is the one job that there is.
func (w *world) only() *jobs.Job {
	w.t.Helper()
	for id := range w.rows {
		return w.job(id)
	}
	w.t.Fatal("there is no job")
	return nil
}

// plant puts a running server into EC2 that a call under the token is answered with.
func (w *world) plant(id, token, kind, image string, tags map[string]string) {
	w.region(home).instances[id] = &instance{c.Instance{ID: id, Type: kind, ImageID: image, State: "running", ClientToken: token, Tags: tags}, time.Now(), time.Now()}
}

// once calls the function at the first call of the name.
func (w *world) once(call string, do func()) {
	done := false
	w.on[call] = func() {
		if !done {
			done = true
			do()
		}
	}
}

func TestAnImageOfOurNameThatIsNotOursIsLeftAlone(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.once("CreateImage eu-west-1", func() {
			name := "web@1-" + w.only().Incarnation + "-r1"
			w.region(home).images["ami-theirs"] = &ami{Image: c.Image{ID: "ami-theirs", Name: name, State: "available", Architecture: "arm64"}}
		})
		job := w.bake(plain)
		w.wantState(job, jobs.Failed)
		w.wantLeft("eu-west-1 image")
		if w.region(home).images["ami-theirs"] == nil || w.current != 0 || !strings.Contains(job.Failure, "Duplicate") {
			t.Errorf("current %d, failure %q, images %v", w.current, job.Failure, w.region(home).images)
		}
	})
}

func TestAServerUnderOurTokenThatIsNotOursIsLeftAlone(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.once("RunInstances eu-west-1", func() {
			w.plant("i-theirs", w.only().Incarnation+"-r1-builder-a1", "x2.large", "ami-00000001", map[string]string{"Name": "theirs"})
		})
		w.wantState(w.bake(plain), jobs.Succeeded)
		w.wantLeft("eu-west-1 instance", "eu-west-1 image", "eu-west-1 snapshot")
		if theirs := w.region(home).instances["i-theirs"].see(); theirs.State != "running" {
			t.Errorf("their server is %s", theirs.State)
		}
	})
}

func TestAServerOfAnotherImageThanAskedFailsTheBake(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.once("RunInstances eu-west-1", func() {
			job := w.only()
			turn := jobs.Turn{Job: job, Installation: "test"}
			w.plant("i-other", turn.Token("builder"), "m7g.large", "ami-other", turn.Tags("builder"))
		})
		job := w.bake(plain)
		w.wantState(job, jobs.Failed)
		w.wantLeft()
		if !strings.Contains(job.Failure, "ami-other") {
			t.Errorf("failure %q", job.Failure)
		}
	})
}

func TestEachFurtherAttemptIsSavedBeforeItsCall(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		w.full["c7g.large"], w.full["c6g.large"] = true, true
		launches := 0
		w.on["RunInstances eu-west-1"] = func() {
			launches++
			if saved := (&jobs.Turn{Job: w.only()}).Attempt("builder"); saved != launches {
				t.Errorf("launch %d goes out while the item has attempt %d", launches, saved)
			}
		}
		w.wantState(w.bake(strings.Replace(plain, `"m7g.large"`, `"c7g.large","c6g.large","m7g.large"`, 1)), jobs.Succeeded)
		if launches != 3 {
			t.Errorf("%d launches, want 3", launches)
		}
	})
}

func TestAnUndoWaitsForWhatEC2DoesNotShowYet(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"RunInstances eu-west-1", "CreateImage eu-west-1", "CopyImage us-east-1"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			inTime(t, func(t *testing.T, w *world) {
				w.once(call, func() {
					w.lag = 290 * time.Second
					w.cancel()
				})
				w.wantState(w.bake(everything), jobs.Cancelled)
				w.wantLeft()
			})
		})
	}
}

// hosts puts an AMI with a snapshot into the region.
func (w *world) hosts(region, id string, tags map[string]string) {
	r, snapshot := w.region(region), fmt.Sprint("snap-of-", id)
	r.snapshots[snapshot] = c.Snapshot{ID: snapshot}
	r.images[id] = &ami{Image: c.Image{ID: id, State: "available", Tags: tags, Volumes: []c.Volume{{SnapshotID: snapshot}}}}
}
