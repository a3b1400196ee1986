package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/stage"
)

// allBakes are the bakes that upstream asked for, and those that came of its Restamps: they make a line's versions again, as the line
// wishes them.
func (t *trial) allBakes() map[string]*request {
	bakes, wishes := map[string]*request{}, map[string]imageWish{}
	for id, r := range t.requests {
		if r.kind == bake.Name {
			bakes[id], wishes[r.name] = r, r.image
		}
	}
	for id, job := range t.jobs {
		if root := t.root(job); job.Kind == bake.Name && root != id && t.requests[root] != nil {
			bakes[id] = &request{id: id, kind: bake.Name, name: job.Name, image: wishes[job.Name]}
		}
	}
	return bakes
}

// root is the job that a job came of.
func (w *world) root(job *jobs.Job) string {
	for job.Parent != nil && w.jobs[job.Parent.ID] != nil {
		job = w.jobs[job.Parent.ID]
	}
	return job.ID
}

// judgeBakes: a bake that succeeded has one AMI a region, unless it was retired since; every AMI is of such a bake.
func (t *trial) judgeBakes() {
	made := map[string][]ec2.Image{} // by job, those of its last run if that succeeded
	for _, image := range t.Images {
		id := image.Tags[jobs.TagJob]
		r, job := t.bakes[id], t.jobs[id]
		if r == nil || job == nil || job.State != succeeded || image.Tags[jobs.TagRun] != strconv.Itoa(job.Run) {
			t.find(t.leftover(image.Tags), id, "%s (%s) in %s is of no bake that succeeded", image.ID, image.Name, image.Region)
			continue
		}
		made[id] = append(made[id], image)
	}
	for _, id := range sorted(t.bakes) {
		if job := t.jobs[id]; job != nil && job.State == succeeded {
			t.judgeBake(t.bakes[id], made[id])
		}
	}
}

// regions are where the bake's AMIs are to be.
func (w imageWish) regions() []string {
	if w.copied {
		return []string{stage.Region, copyRegion}
	}
	return []string{stage.Region}
}

func (t *trial) judgeBake(r *request, made []ec2.Image) {
	if len(made) == 0 && t.mayBeRetired(r) {
		return
	}
	for _, region := range r.image.regions() {
		var here []ec2.Image
		for _, image := range made {
			if image.Region == region {
				here = append(here, image)
			}
		}
		switch {
		case len(here) == 0:
			t.find(wrong, r.id, "it succeeded and has no AMI in %s", region)
			continue
		case len(here) > 1:
			t.find(doubled, r.id, "it has %d AMIs in %s", len(here), region)
		}
		if shared := slices.Equal(here[0].Accounts, []string{shareWith}); shared != r.image.shared {
			t.find(wrong, r.id, "%s is shared with %v", here[0].ID, here[0].Accounts)
		}
		if here[0].State != "available" {
			t.find(wrong, r.id, "%s is %s", here[0].ID, here[0].State)
		}
	}
	for _, image := range made {
		if !slices.Contains(r.image.regions(), image.Region) {
			t.find(wrong, r.id, "it has %s in %s, where nobody wanted it", image.ID, image.Region)
		}
	}
}

// mayBeRetired: the line keeps a few versions only, and so many are newer.
func (t *trial) mayBeRetired(r *request) bool {
	newer, own := 0, 0
	for _, v := range t.versions[r.name] {
		if v.Job == r.id && v.Run == t.jobs[r.id].Run {
			own = v.Number
		}
	}
	for _, v := range t.versions[r.name] {
		if v.Number > own && t.jobs[v.Job] != nil && t.jobs[v.Job].State == succeeded && t.jobs[v.Job].Run == v.Run {
			newer++
		}
	}
	return own > 0 && r.image.keep > 0 && newer >= r.image.keep
}

// judgeLines: what is current, and the parameter, is the newest version; and the catalog says of each version what is true.
func (t *trial) judgeLines() {
	names := map[string]imageWish{}
	for _, r := range t.bakes {
		names[r.name] = r.image
	}
	for _, line := range sorted(names) {
		newest := t.newest(line)
		if current := t.images[line].Current; current != newest {
			t.find(wrong, "", "the current version of %s is %d, the newest that EC2 has is %d", line, current, newest)
		}
		for _, region := range names[line].regions() {
			ami := t.amiOf(line, newest, region)
			if value := t.parameters[place{region, line}]; value != ami {
				t.find(wrong, "", "the parameter %s in %s is %q, the newest AMI %q", parameterOf(line), region, value, ami)
			}
		}
		for _, v := range t.versions[line] {
			t.judgeVersion(v)
		}
	}
}

func (t *trial) judgeVersion(v ledger.Version) {
	name := fmt.Sprintf("%s@%d", v.Image, v.Number)
	switch v.State {
	case ledger.Retired, ledger.Abandoned:
		for _, image := range t.Images {
			if image.Tags[bake.TagVersion] == name {
				t.find(orphaned, v.Job, "%s is %s and %s in %s is still there", name, v.State, image.ID, image.Region)
			}
		}
	case ledger.Available:
		for region, copied := range v.Regions {
			if ami := t.amiOf(v.Image, v.Number, region); ami != copied.AMI {
				t.find(wrong, v.Job, "the catalog says that %s is %s in %s, EC2 has %q", name, copied.AMI, region, ami)
			}
		}
	default:
		t.find(wrong, v.Job, "%s is still %s", name, v.State)
	}
}

// newest is the highest version of which EC2 has an AMI, as the AMI's own tags say; 0: none.
func (t *trial) newest(line string) int {
	newest := 0
	for _, image := range t.Images {
		name, version, _ := strings.Cut(image.Tags[bake.TagVersion], "@")
		if n, err := strconv.Atoi(version); err == nil && name == line {
			newest = max(newest, n)
		}
	}
	return newest
}

func (t *trial) amiOf(line string, version int, region string) string {
	for _, image := range t.Images {
		if image.Region == region && image.Tags[bake.TagVersion] == fmt.Sprintf("%s@%d", line, version) {
			return image.ID
		}
	}
	return ""
}
