package restamp

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Work is what a restamp's selection came to: it is evaluated once, and stands in the bucket under a key made of its content.
// Renewals read it from there.
type Work struct {
	Restamp ledger.RestampID `json:"restamp"`
	Name    string           `json:"name"`
	Begun   time.Time        `json:"begun"`
	Promote string           `json:"promote,omitempty"`
	// Parallel is how many bakes are under way at a time.
	Parallel int          `json:"parallel"`
	Patch    *spec.Script `json:"patch,omitempty"`
	// Rollout is how each fleet is rolled.
	Rollout rollout.Options `json:"rollout,omitzero"`
	Images  []WorkImage     `json:"images,omitempty"` // parents before children
	Fleets  []WorkFleet     `json:"fleets,omitempty"`
	Left    []Left          `json:"left,omitempty"`
}

// WorkImage is an image to renew.
type WorkImage struct {
	Name string `json:"name"`
	// Version was current when it was selected; 0: none was. Committed is since when it is there.
	Version   int       `json:"version,omitempty"`
	Committed time.Time `json:"committed,omitzero"`
	// Base is what that version was baked from: base@12 or an AMI id. Parent is that image's name where it is renewed too.
	Base   string            `json:"base,omitempty"`
	Parent string            `json:"parent,omitempty"`
	Depth  int               `json:"depth,omitempty"`
	Target jobs.Target       `json:"target,omitzero"`
	Labels map[string]string `json:"labels,omitempty"`
}

// WorkFleet is a fleet to roll.
type WorkFleet struct {
	Name   string            `json:"name"`
	Target jobs.Target       `json:"target,omitzero"`
	Labels map[string]string `json:"labels,omitempty"`
	// From is what it runs: web@41. To is what it is rolled to where its image is not renewed; else Image's new version is.
	From    string `json:"from"`
	To      string `json:"to,omitempty"`
	Image   string `json:"image"`
	Servers int    `json:"servers"`
	Group   string `json:"group,omitempty"` // the Auto Scaling group that it is
}

// Left is something that was selected and is left out.
type Left struct {
	Image string `json:"image,omitempty"`
	Fleet string `json:"fleet,omitempty"`
	Why   string `json:"why"`
}

// image finds an image's part.
func (w *Work) image(name string) (WorkImage, bool) {
	at := slices.IndexFunc(w.Images, func(i WorkImage) bool { return i.Name == name })
	if at < 0 {
		return WorkImage{}, false
	}
	return w.Images[at], true
}

// below are the images that are baked from the named one; with an empty name, those that are baked from none of these.
func (w *Work) below(parent string) []WorkImage {
	var all []WorkImage
	for _, i := range w.Images {
		if i.Parent == parent {
			all = append(all, i)
		}
	}
	return all
}

// fleetsOf are the fleets that wait for the image's new version; with an empty name, those that wait for none.
func (w *Work) fleetsOf(image string) []WorkFleet {
	var all []WorkFleet
	for _, f := range w.Fleets {
		if image == "" && f.To != "" || image != "" && f.To == "" && f.Image == image {
			all = append(all, f)
		}
	}
	return all
}

// imageNames and fleetNames are in the order of the work.
func (w *Work) imageNames() []string {
	names := make([]string, len(w.Images))
	for i, image := range w.Images {
		names[i] = image.Name
	}
	return names
}

func (w *Work) fleetNames() []string {
	names := make([]string, len(w.Fleets))
	for i, fleet := range w.Fleets {
		names[i] = fleet.Name
	}
	return names
}

// workPrefix begins the keys of works. They expire with the reports.
const workPrefix = "reports/restamps/"

// store puts the work into the bucket and gives its key.
func (w *Work) store(ctx context.Context, files Files) (key string, err error) {
	content, err := json.Marshal(w)
	if err != nil {
		return "", jobs.Fatalf("store the selection", w.Name, err.Error(), "")
	}
	key = workPrefix + spec.Digest(content)[len("sha256:"):] + ".json"
	return key, files.Put(ctx, key, content)
}

// works keeps what was read last: the many renewals of a restamp read the same.
type works struct {
	mu   sync.Mutex
	last map[string]*Work
}

// keptWorks bounds how many are kept.
const keptWorks = 8

// load reads a work. What it gives is shared, and must not be changed.
func (w *works) load(ctx context.Context, files Files, key string) (*Work, error) {
	w.mu.Lock()
	work := w.last[key]
	w.mu.Unlock()
	if work != nil {
		return work, nil
	}
	content, found, err := files.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if !found || workPrefix+spec.Digest(content)[len("sha256:"):]+".json" != key {
		return nil, jobs.Fatalf("read the selection", key, "it is gone from the bucket, or not what the restamp wrote", "retry the restamp: it selects anew")
	}
	work = &Work{}
	if err := json.Unmarshal(content, work); err != nil {
		return nil, jobs.Fatalf("read the selection", key, err.Error(), "")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.last) >= keptWorks || w.last == nil {
		w.last = map[string]*Work{}
	}
	w.last[key] = work
	return work, nil
}
