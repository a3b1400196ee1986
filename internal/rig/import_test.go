package rig_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/rig"
)

const (
	importServers = "kind: Import\nname: old\nspec: {fleet: {filters: [{name: 'tag:app', values: [old]}]}}\n"
	undoServers   = "kind: Import\nname: old\nspec: {undo: fleet}\n"
)

// settled makes servers as somebody else would, and gives their ids in the order of their ordinals. The first asked for carries a
// tag that an adoption would put.
func settled(r *rig.Rig) (ids []string, err error) {
	for i, kind := range []string{"m7g.large", "t4g.small", "m7g.large", "m7g.large"} {
		app := "old"
		if i == 1 {
			app = "other"
		}
		tags := map[string]string{"app": app, "Name": fmt.Sprintf("%s-%d", app, i), "CostCenter": "4711"}
		if i == 0 {
			tags[launch.TagFleet] = "old"
		}
		made, err := r.User.EC2.For(jobs.Target{}).Launch(background, cloud.LaunchRequest{Token: fmt.Sprintf("somebody-%d", i), ImageID: arm64(),
			Type: kind, Min: 1, Max: 1, InstanceTags: tags, UserData: []byte("#!/bin/sh\necho somebody > /opt/somebody\n"), MetadataTokens: "optional"})
		if err != nil {
			return nil, err
		}
		if app == "old" {
			ids = append(ids, made[0].ID)
		}
		time.Sleep(time.Minute)
	}
	return ids, nil
}

// estateOf is everything that EC2 has of instances, images and volumes, as text, with tags.
func estateOf(r *rig.Rig) map[string]string {
	all, there := r.EC2().Inspect(), map[string]string{}
	for _, i := range all.Instances {
		there[i.ID] = fmt.Sprint(i.State, " ", i.Type, " ", i.Volumes, " ", i.Tags)
	}
	for _, i := range all.Images {
		there[i.ID] = fmt.Sprint(i.State, " ", i.Tags)
	}
	for _, v := range all.Volumes {
		there[v.ID] = fmt.Sprint(v.State, " ", v.Tags)
	}
	for _, s := range all.Snapshots {
		there[s.ID] = fmt.Sprint(s.State, " ", s.Tags)
	}
	return there
}

func tagsOf(r *rig.Rig, id string) map[string]string {
	for _, i := range r.EC2().Inspect().Instances {
		if i.ID == id {
			return i.Tags
		}
	}
	return nil
}

// adopted checks that the fleet holds exactly these servers by ordinal, and that nothing but the adoption's tags has changed.
func adopted(r *rig.Rig, ids []string, before map[string]string) error {
	fleet, known, err := r.User.Ledger.GetFleet(background, "old")
	if err != nil || !known || fleet.Owner != "" || fleet.Imported == "" || fleet.Count != len(ids) {
		return fmt.Errorf("the fleet is %+v, %v, %v", fleet, known, err)
	}
	servers, err := r.User.Ledger.Servers(background, "old")
	if err != nil {
		return err
	}
	var held []string
	for _, s := range servers {
		held = append(held, s.InstanceID)
		tags := maps.Clone(tagsOf(r, s.InstanceID))
		for key, want := range map[string]string{jobs.TagInstallation: "stampmill", launch.TagFleet: "old", jobs.TagAdopted: fleet.Imported} {
			if tags[key] != want {
				return fmt.Errorf("%s has %s=%q, want %q", s.InstanceID, key, tags[key], want)
			}
		}
	}
	if !slices.Equal(held, ids) {
		return fmt.Errorf("the ordinals are held by %v, want %v in the order of their launches", held, ids)
	}
	after := estateOf(r)
	for id, was := range before {
		if after[id] != was && !slices.Contains(ids, id) {
			return fmt.Errorf("%s was %q and is %q", id, was, after[id])
		}
	}
	if len(after) != len(before) {
		return fmt.Errorf("there are %d things, were %d", len(after), len(before))
	}
	return nil
}

// untouched: everything is as it was, and the ledger knows no fleet.
func untouched(r *rig.Rig, before map[string]string) error {
	if after := estateOf(r); !maps.Equal(before, after) {
		for id, was := range before {
			if after[id] != was {
				return fmt.Errorf("%s was %q and is %q", id, was, after[id])
			}
		}
		return fmt.Errorf("there are %d things, were %d", len(after), len(before))
	}
	fleets, err := r.User.Ledger.ListFleets(background)
	if err == nil && len(fleets) > 0 {
		err = fmt.Errorf("the ledger has %+v", fleets)
	}
	return err
}

// importStory is an import of three servers, one of which has a tag of the adoption's already.
func importStory() rig.Story {
	var ids []string
	var before map[string]string
	return rig.Story{Key: "k", Folder: ".", Limit: 2 * time.Hour, Spec: importServers,
		Prepare: func(r *rig.Rig) (err error) {
			ids, err = settled(r)
			before = estateOf(r)
			return err
		},
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if job.State == jobs.Cancelled {
					return untouched(r, before)
				}
				if job.State != jobs.Succeeded {
					return fmt.Errorf("the import is %s: %s", job.State, job.Failure)
				}
			}
			return adopted(r, ids, before)
		},
	}
}

// undoStory gives them back.
func undoStory() rig.Story {
	story := importStory()
	var before map[string]string
	story.Spec, story.Key = undoServers, "back"
	story.Prepare = func(r *rig.Rig) error {
		if _, err := settled(r); err != nil {
			return err
		}
		before = estateOf(r)
		return carried(r, importServers)
	}
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			if job.State != jobs.Succeeded {
				return fmt.Errorf("the undo is %s: %s", job.State, job.Failure)
			}
		}
		return untouched(r, before)
	}
	return story
}

// carried carries a document out by a worker of its own.
func carried(r *rig.Rig, text string) error {
	w, err := r.Start(nil)
	if err != nil {
		return err
	}
	defer w.Drain()
	ids, err := r.Submit(background, text, ".", "before", nil)
	if err != nil {
		return err
	}
	ended, err := r.Wait(background, time.Hour, ids...)
	if err != nil {
		return err
	}
	if job := ended[ids[0]]; job.State != jobs.Succeeded {
		return fmt.Errorf("%s is %s: %s", job.ID, job.State, job.Failure)
	}
	return nil
}

func TestAnImportSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, importStory())
}

func TestAnImportThatIsCancelledLeavesEverythingAsItWas(t *testing.T) {
	t.Parallel()
	everyCall(t, importStory(), 6, cancelled, cancelledAndDead)
}

func TestAnImportEndsTheSameWhereCallsTakeEffectLateOrAnswersAreLost(t *testing.T) {
	t.Parallel()
	everyCallTo(t, importStory(), lostAnswer, 2, "ec2:CreateTags", "dynamodb:TransactWriteItems")
	everyCallTo(t, importStory(), lateEffect, 2, "ec2:CreateTags")
}

func TestGivingAFleetBackSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, undoStory())
}

func TestAnImportedFleetIsFilledAndShrunkAndNoReaperTakesIt(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{Worker: func(w *config.Worker) { w.ReapInterval, w.ReapGrace = time.Minute, time.Minute }}, func(b *bubble) {
		ids, err := settled(b.Rig)
		b.must(err)
		b.worker(nil)
		b.ends(b.submit("import", importServers), jobs.Succeeded)
		fleet, _, err := b.User.Ledger.GetFleet(background, "old")
		b.must(err)
		var derived launch.Spec
		b.must(json.Unmarshal(fleet.Spec, &derived))
		if derived.Image != arm64() || derived.Count != 3 || derived.Pools[0].Types[0] != "m7g.large" || derived.Tags["CostCenter"] != "4711" ||
			derived.Server.MetadataTokens != "optional" || !strings.Contains(derived.Server.UserData, "somebody") {
			t.Errorf("the derived Launch spec is %s", fleet.Spec)
		}
		derived.Count = 4
		raw, err := json.Marshal(derived)
		b.must(err)
		b.ends(b.submit("fill", "kind: Launch\nname: old\nspec: "+string(raw)+"\n"), jobs.Succeeded)
		servers, err := b.User.Ledger.Servers(background, "old")
		b.must(err)
		if len(servers) != 4 || servers[3].Incarnation == fleet.Imported {
			t.Fatalf("the fleet has %+v", servers)
		}
		launched, err := b.User.EC2.For(jobs.Target{}).UserData(background, servers[3].InstanceID)
		b.must(err)
		if string(launched) != derived.Server.UserData {
			t.Errorf("the launched server was given %q", launched)
		}
		if job := b.ends(b.submit("back", undoServers), jobs.Failed); !strings.Contains(job.Failure, "ordinals 3") {
			t.Errorf("giving the fleet back failed of %q", job.Failure)
		}
		b.ends(b.submit("less", "kind: Terminate\nname: less\nspec: {fleet: old, ordinals: [1, 3]}\n"), jobs.Succeeded)
		time.Sleep(10 * time.Minute) // for the reaper, which looks each minute
		states := map[string]string{}
		for _, i := range b.EC2().Inspect().Instances {
			states[i.ID] = i.State
		}
		if states[ids[0]] != "running" || states[ids[1]] != "terminated" || states[ids[2]] != "running" {
			t.Errorf("the servers are %v", states)
		}
		b.ends(b.submit("back-again", undoServers), jobs.Succeeded)
		if tags := tagsOf(b.Rig, ids[0]); tags[launch.TagFleet] != "old" || tags[jobs.TagInstallation] != "" || tags[jobs.TagAdopted] != "" {
			t.Errorf("given back, the first server carries %v", tags)
		}
	})
}

// Its rows are lost: what carries an adoption's tags is nobody's to remove all the same.
func TestNoReaperTakesAdoptedServersThatTheLedgerHasLost(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{Worker: func(w *config.Worker) { w.ReapInterval, w.ReapGrace = time.Minute, time.Minute }}, func(b *bubble) {
		tags := map[string]string{jobs.TagInstallation: "stampmill", jobs.TagAdopted: "aaaaaaaaaaaaaaaa", jobs.TagJob: "import-old-x", jobs.TagIncarnation: "aaaaaaaaaaaaaaaa", jobs.TagRun: "1"}
		made, err := b.User.EC2.For(jobs.Target{}).Launch(background, cloud.LaunchRequest{Token: "aaaaaaaaaaaaaaaa-1", ImageID: arm64(), Type: "t4g.small", Min: 1, Max: 1, InstanceTags: tags})
		b.must(err)
		b.worker(nil)
		time.Sleep(time.Hour)
		for _, i := range b.EC2().Inspect().Instances {
			if i.ID == made[0].ID && i.State != "running" {
				t.Errorf("the adopted server is %s", i.State)
			}
		}
	})
}

func TestWhatSomebodyElseHasIsNotImported(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		ids, err := settled(b.Rig)
		b.must(err)
		b.worker(nil)
		b.ends(b.submit("import", importServers), jobs.Succeeded)
		before := estateOf(b.Rig)
		for what, test := range map[string]struct{ spec, want string }{
			"the name is taken":     {importServers, "there is a fleet old already"},
			"in another fleet":      {"kind: Import\nname: new\nspec: {fleet: {instances: [" + ids[2] + "]}}\n", "it is ordinal 2 of the fleet old"},
			"nobody there":          {"kind: Import\nname: new\nspec: {fleet: {instances: [i-00000000]}}\n", "there is no server i-00000000"},
			"no such group":         {"kind: Import\nname: new\nspec: {fleet: {group: nobody}}\n", "Auto Scaling group"},
			"another was confirmed": {"kind: Import\nname: new\nspec: {fleet: {confirmed: x, filters: [{name: 'tag:app', values: [other]}]}}\n", "other servers are found"},
			"no fleet":              {"kind: Import\nname: new\nspec: {undo: fleet}\n", "there is no fleet new"},
			"a public AMI":          {"kind: Import\nname: new\nspec: {image: {ami: " + arm64() + "}}\n", "only an AMI of one's own"},
		} {
			if job := b.ends(b.submit(strings.ReplaceAll(what, " ", "-"), test.spec), jobs.Failed); !strings.Contains(job.Failure, test.want) {
				t.Errorf("%s: failed of %q, want %q", what, job.Failure, test.want)
			}
		}
		if after := estateOf(b.Rig); !maps.Equal(before, after) {
			t.Errorf("refused imports changed %v to %v", before, after)
		}
	})
}
