package rig_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
	"github.com/stampmill/stampmill/internal/rig"
)

// bakeOf is the document of a plain bake without SSM waits: one step, no boot test.
func bakeOf(name, from, step string) string {
	return fmt.Sprintf(`
kind: Bake
name: %s
labels: {team: edge}
spec:
  from: %s
  builder: {types: [m7g.large], instanceProfile: builder}
  steps:
    - run: %s
  bootTest: false
`, name, from, step)
}

// restampConfig is an endpoint on which each run makes the same calls.
func restampConfig() rig.Config {
	config := rig.Config{}
	config.Endpoint.EC2.ImageMin, config.Endpoint.EC2.ImageMax = 5*time.Minute, 5*time.Minute
	return config
}

// did submits the documents one after another, and holds each job to success.
func did(r *rig.Rig, documents ...string) error {
	w, err := r.Start(nil)
	if err != nil {
		return err
	}
	defer w.Drain()
	for i, text := range documents {
		ids, err := r.Submit(background, text, ".", fmt.Sprint("before-", i), nil)
		if err != nil {
			return err
		}
		ended, err := r.Wait(background, 3*time.Hour, ids...)
		if err != nil {
			return err
		}
		for _, job := range ended {
			if job.State != jobs.Succeeded {
				return fmt.Errorf("%s is %s: %s", job.ID, job.State, job.Failure)
			}
		}
	}
	return nil
}

// versionOf is one version in the catalog.
func versionOf(r *rig.Rig, image string, number int) ledger.Version {
	v, _, err := r.User.Ledger.GetVersion(background, image, number)
	if err != nil {
		panic(err)
	}
	return v
}

// reportOf is the report of a restamp that has ended.
func reportOf(r *rig.Rig, job *jobs.Job) (report restamp.Report, err error) {
	var result restamp.Result
	if err := json.Unmarshal(job.Result, &result); err != nil {
		return report, err
	}
	content, found, err := r.User.Files.Get(background, result.Report)
	if err != nil || !found {
		return report, fmt.Errorf("no report under %q: %v", result.Report, err)
	}
	return report, json.Unmarshal(content, &report)
}

func restampStory() rig.Story {
	return rig.Story{
		Config: restampConfig(), Key: "k", Folder: ".", Limit: 12 * time.Hour,
		Prepare: func(r *rig.Rig) error {
			return did(r, bakeOf("base", arm64(), "echo base > /opt/base"), bakeOf("web", "base", "echo web > /opt/web"), bakeOf("api", "base", "echo api > /opt/api"))
		},
		Spec: `
kind: Restamp
name: patch-day
spec:
  images:
    select: {labels: {team: edge}}
    parallel: 1
`,
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if job.State != jobs.Succeeded {
					return fmt.Errorf("the restamp is %s: %s", job.State, job.Failure)
				}
				report, err := reportOf(r, job)
				if err != nil {
					return err
				}
				if report.Totals.ImagesRenewed != 3 || len(report.Images) != 3 || report.Images[0].Image != "base" || report.Images[0].To != "base@2" {
					return fmt.Errorf("the report tells %+v", report)
				}
			}
			for _, name := range []string{"base", "web", "api"} {
				image, _, err := r.User.Ledger.GetImage(background, name)
				if err != nil || image.Current != 2 || image.Labels["team"] != "edge" {
					return fmt.Errorf("%s is %+v, %v", name, image, err)
				}
			}
			for _, name := range []string{"web", "api"} {
				if v := versionOf(r, name, 2); v.Parent != "base@2" {
					return fmt.Errorf("%s@2 was baked from %s, want base@2", name, v.Parent)
				}
			}
			if open, err := r.User.Ledger.OpenRestamps(background); err != nil || len(open) > 0 {
				return fmt.Errorf("restamps that are open still: %v, %v", open, err)
			}
			return nobodyRuns(r)
		},
	}
}

func TestARestampSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, restampStory())
}

// inBubble runs f with an installation and one worker.
func inBubble(t *testing.T, config rig.Config, f func(ctx context.Context, r *rig.Rig) error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, err := rig.New(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := f(t.Context(), r); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// runTo submits a document and gives its job at its end.
func runTo(ctx context.Context, r *rig.Rig, text, key string) (*jobs.Job, error) {
	ids, err := r.Submit(ctx, text, ".", key, nil)
	if err != nil {
		return nil, err
	}
	ended, err := r.Wait(ctx, 12*time.Hour, ids...)
	if err != nil {
		return nil, err
	}
	return ended[ids[0]], nil
}

func TestAPatchIsOneLayerOnTheImagesOwnVersionAndItsLineageStays(t *testing.T) {
	t.Parallel()
	inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
		if err := did(r, bakeOf("base", arm64(), "echo base > /opt/base"), bakeOf("web", "base", "echo web > /opt/web")); err != nil {
			return err
		}
		if _, err := r.Start(nil); err != nil {
			return err
		}
		for i, want := range []string{"web@2", "web@3"} {
			job, err := runTo(ctx, r, "kind: Restamp\nname: patch\nspec: {images: {select: web, patch: echo patched > /opt/patch}}\n", fmt.Sprint("patch-", i))
			if err != nil || job.State != jobs.Succeeded {
				return fmt.Errorf("the patch is %+v, %v", job, err)
			}
			v := versionOf(r, "web", i+2)
			if v.Ref() != want || v.Parent != "base@1" || v.SourceAMI != versionOf(r, "web", i+1).Regions[rig.Region].AMI {
				return fmt.Errorf("%s has parent %s and source %s", v.Ref(), v.Parent, v.SourceAMI)
			}
			if !strings.Contains(string(v.Spec), "patched") || strings.Contains(string(v.Spec), "echo web") {
				return fmt.Errorf("it was baked by %s", v.Spec)
			}
		}
		job, err := runTo(ctx, r, "kind: Restamp\nname: rebuild\nspec: {images: {select: {all: true}}}\n", "rebuild")
		if err != nil || job.State != jobs.Succeeded {
			return fmt.Errorf("the rebuild is %+v, %v", job, err)
		}
		if v := versionOf(r, "web", 4); v.Parent != "base@2" || !strings.Contains(string(v.Spec), "echo web") || strings.Contains(string(v.Spec), "patched") {
			return fmt.Errorf("after two patches, a rebuild came from %s by %s", v.Parent, v.Spec)
		}
		job, err = runTo(ctx, r, "kind: Restamp\nname: again\nspec: {images: {select: [web]}}\n", "again")
		if err != nil || job.State != jobs.Succeeded {
			return fmt.Errorf("the second rebuild is %+v, %v", job, err)
		}
		if v := versionOf(r, "web", 5); v.Parent != "base@2" {
			return fmt.Errorf("web alone was rebuilt on %s, want what is current", v.Parent)
		}
		return nil
	})
}

func TestAFailedBakeStopsWhatIsBelowItAndNothingElse(t *testing.T) {
	t.Parallel()
	inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
		if err := did(r, bakeOf("base", arm64(), "echo base > /opt/base"), bakeOf("mid", "base", "test ! -e /opt/new && echo > /opt/mid"),
			bakeOf("leaf", "mid", "echo leaf > /opt/leaf"), bakeOf("web", "base", "echo web > /opt/web"),
			bakeOf("base", arm64(), "echo new > /opt/new")); err != nil {
			return err
		}
		if _, err := r.Start(nil); err != nil {
			return err
		}
		job, err := runTo(ctx, r, "kind: Restamp\nname: patch-day\nspec: {images: {select: {all: true}}}\n", "k")
		if err != nil {
			return err
		}
		if job.State != jobs.Failed || !strings.HasPrefix(job.Failure, "2 of 4 images were not renewed; first ") {
			return fmt.Errorf("the restamp is %s: %s", job.State, job.Failure)
		}
		report, err := reportOf(r, job)
		if err != nil {
			return err
		}
		states := map[string]string{}
		for _, image := range report.Images {
			states[image.Image] = image.State
		}
		want := map[string]string{"base": restamp.Renewed, "web": restamp.Renewed, "mid": restamp.Failed, "leaf": restamp.Stopped}
		for name, state := range want {
			if states[name] != state {
				return fmt.Errorf("the report says of %s %q, want %q: %+v", name, states[name], state, report.Images)
			}
		}
		if at := slices.IndexFunc(report.Images, func(i restamp.ImageReport) bool { return i.Image == "leaf" }); !strings.Contains(report.Images[at].Why, "mid was not renewed") {
			return fmt.Errorf("leaf was left because %q", report.Images[at].Why)
		}
		return nobodyRuns(r)
	})
}

// launchOf is the document of a fleet of plain servers of an image.
func launchOf(name, image string, count int) string {
	return fmt.Sprintf("kind: Launch\nname: %s\nlabels: {env: prod}\nspec:\n  image: %s\n  count: %d\n  pools: [{types: [m7g.large]}]\n  hostname: %s-{ordinal:02}\n", name, image, count, name)
}

// patchDayStory renews two images, and rolls a fleet of each of them and one of an image that stays.
func patchDayStory(promote string) rig.Story {
	return rig.Story{
		Config: restampConfig(), Key: "k", Folder: ".", Limit: 12 * time.Hour,
		Prepare: func(r *rig.Rig) error {
			return did(r, bakeOf("base", arm64(), "echo base > /opt/base"), bakeOf("web", "base", "echo web > /opt/web"),
				launchOf("front", "web", 3), launchOf("bastion", "base", 1))
		},
		Spec: `
kind: Restamp
name: patch-day
spec:
  images:
    select: {all: true}
  fleets:
    select: {labels: {env: prod}}
  rollout: {waves: [100%], surge: 100%}
  promote: ` + promote + "\n",
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if job.State != jobs.Succeeded {
					return fmt.Errorf("the restamp is %s: %s", job.State, job.Failure)
				}
				report, err := reportOf(r, job)
				if err != nil {
					return err
				}
				if t := report.Totals; t.ImagesRenewed != 2 || t.FleetsRolled != 2 || t.ServersRolled != 4 {
					return fmt.Errorf("the report tells %+v", t)
				}
			}
			for fleet, want := range map[string]string{"front": "web@2", "bastion": "base@2"} {
				servers, err := r.User.Ledger.Servers(background, fleet)
				if err != nil {
					return err
				}
				for _, s := range servers {
					if s.Image != want {
						return fmt.Errorf("%s %d runs %s, want %s", fleet, s.Ordinal, s.Image, want)
					}
				}
				name, _, _ := strings.Cut(want, "@")
				if image, _, err := r.User.Ledger.GetImage(background, name); err != nil || image.Current != 2 {
					return fmt.Errorf("%s is at %d, %v", name, image.Current, err)
				}
				f, _, err := r.User.Ledger.GetFleet(background, fleet)
				if err != nil || f.Owner != "" || f.Image != want || f.Labels["env"] != "prod" {
					return fmt.Errorf("the fleet is %+v, %v", f, err)
				}
			}
			return nil
		},
	}
}

func TestAPatchDaySurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, patchDayStory("bake"))
}

func TestWhatIsCurrentMovesAfterTheRolloutIfTheSpecSaysSoWhateverDies(t *testing.T) {
	t.Parallel()
	everyDeath(t, patchDayStory("rollout"))
}
