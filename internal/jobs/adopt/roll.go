package adopt

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// roll is what an import of a fleet is going to write: the fleet's image and Launch spec, and its servers by ordinal.
type roll struct {
	Image   string          `json:"image"`
	Spec    json.RawMessage `json:"spec,omitempty"`
	Count   int             `json:"count"`
	Servers []ledger.Server `json:"servers"`
}

// numbered puts the instances into the order of their ordinals: by launch time, and by id where that is equal. EC2's order says
// nothing.
func numbered(instances []cloud.Instance) []cloud.Instance {
	list := slices.Clone(instances)
	slices.SortFunc(list, func(a, b cloud.Instance) int {
		return cmp.Or(a.Launched.Compare(b.Launched), strings.Compare(a.ID, b.ID))
	})
	return list
}

// confirmable is the digest of who gets which ordinal.
func (r roll) confirmable() string {
	var text strings.Builder
	for _, s := range r.Servers {
		fmt.Fprintf(&text, "%d %s\n", s.Ordinal, s.InstanceID)
	}
	return spec.Digest([]byte(text.String()))
}

// keep puts the roll into the bucket, named by its content, before anything is written that comes of it.
func (a *adoption) keep(ctx context.Context, r roll) error {
	content, err := json.Marshal(r)
	if err != nil {
		return jobs.Fatalf("write the list of servers", a.job.Name, err.Error(), "")
	}
	digest := spec.Digest(content)
	key := fmt.Sprintf("imports/%s/r%d-%s.json", a.job.ID, a.job.Run, strings.TrimPrefix(digest, "sha256:")[:16])
	if err := a.Files.Put(ctx, key, content); err != nil {
		return err
	}
	a.progress.Roll, a.progress.Digest, a.progress.Count = key, digest, len(r.Servers)
	return nil
}

// kept reads the roll again.
func (a *adoption) kept(ctx context.Context) (roll, error) {
	content, found, err := a.Files.Get(ctx, a.progress.Roll)
	if err != nil {
		return roll{}, err
	}
	if !found || spec.Digest(content) != a.progress.Digest {
		return roll{}, jobs.Fatalf("read the list of servers", a.progress.Roll, "it is not in the bucket as the import wrote it", "")
	}
	var r roll
	if err := json.Unmarshal(content, &r); err != nil {
		return roll{}, jobs.Fatalf("read the list of servers", a.progress.Roll, err.Error(), "")
	}
	return r, nil
}

// serverTags are what an adoption puts on a server of the fleet.
func serverTags(installation, fleet, incarnation string) map[string]string {
	return map[string]string{jobs.TagInstallation: installation, launch.TagFleet: fleet, jobs.TagAdopted: incarnation}
}

// imageTags are what an adoption puts on an AMI.
func imageTags(installation, image, incarnation string) map[string]string {
	return map[string]string{jobs.TagInstallation: installation, bake.TagImage: image, jobs.TagAdopted: incarnation}
}

// carried are those of the adoption's tags that a thing has already, with the same value: they are somebody's, and stay. What
// this very import put there in a run before is not.
func carried(has, tags map[string]string) []string {
	if has[jobs.TagAdopted] == tags[jobs.TagAdopted] {
		return nil
	}
	var keys []string
	for key, value := range tags {
		if old, ok := has[key]; ok && old == value {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// without leaves the keys out.
func without(tags map[string]string, keys []string) map[string]string {
	left := map[string]string{}
	for key, value := range tags {
		if !slices.Contains(keys, key) {
			left[key] = value
		}
	}
	return left
}

// foreign says why a thing with these tags cannot be imported; empty: it can.
func foreign(has, tags map[string]string) (why, hint string) {
	switch {
	case has[jobs.TagAdopted] == tags[jobs.TagAdopted]: // by a run of this import before
		return "", ""
	case has[jobs.TagInstallation] != "" && has[jobs.TagInstallation] != tags[jobs.TagInstallation]:
		return "it belongs to the installation " + has[jobs.TagInstallation], "give it back there first"
	case has[jobs.TagJob] != "":
		return "Stampmill made it (" + has[jobs.TagJob] + ")", "what Stampmill made is in its ledger; see `stampmill orphans` if it is not"
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if old, ok := has[key]; ok && old != tags[key] {
			return fmt.Sprintf("it carries the tag %s=%s", key, old), "if nothing of it is true any more, delete the tag: aws ec2 delete-tags"
		}
	}
	return "", ""
}
