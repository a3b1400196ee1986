package policy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// again is after how long a cause that is still there is acted on once more: what was done about it has failed.
const again = 24 * time.Hour

// causes gives the images that there is an occasion for, and what it is.
func (e *Evaluator) causes(ctx context.Context, p *Policy, now time.Time) (map[string]string, error) {
	images, err := e.Catalog.ListImages(ctx)
	if unread, err := jobs.Unread(err); err != nil {
		return nil, err
	} else if unread != nil {
		p.Note = clip("not all images were looked at: " + unread.Error())
	}
	names, err := e.watched(ctx, *p, images, now)
	if err != nil {
		return nil, err
	}
	look := &watch{Evaluator: e, policy: *p, now: now, images: map[string]ledger.Image{}, sources: map[string]string{}, parents: map[string]string{}}
	for _, image := range images {
		look.images[image.Name] = image
	}
	causes := map[string]string{}
	for _, name := range names {
		cause, err := look.cause(ctx, name)
		if jobs.IsClass(err, jobs.Fatal, jobs.NotFound) { // it keeps no other image back
			p.Note = clip(name + ": " + err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		try := p.Tries[name]
		if cause != "" && (try.Cause != cause || now.Sub(try.At) >= again) {
			causes[name] = cause
		}
	}
	if p.Spec.When.NewerParent && p.Spec.Do.Restamp != nil {
		look.descend(names, causes)
	}
	return causes, nil
}

// descend adds the images whose parent has an occasion: the restamp that renews the parent bakes them after it, instead of
// another one later.
func (w *watch) descend(names []string, causes map[string]string) {
	for found := true; found; {
		found = false
		for _, name := range names {
			parent := w.parents[name]
			if causes[name] == "" && causes[parent] != "" {
				causes[name], found = clip(fmt.Sprintf("its parent %s is renewed: %s", parent, causes[parent])), true
			}
		}
	}
}

// watched are the images that the policy is about.
func (e *Evaluator) watched(ctx context.Context, p Policy, all []ledger.Image, now time.Time) ([]string, error) {
	if p.Spec.Do.Restamp == nil {
		return []string{p.Spec.Do.Name}, nil
	}
	current, err := e.Catalog.CurrentVersions(ctx, all)
	if err != nil {
		return nil, err
	}
	return e.Restamps.Images(p.Spec.Do.Restamp, all, current, now)
}

// watch is one look at images: what several of them have in common is asked for once.
type watch struct {
	*Evaluator
	policy  Policy
	now     time.Time
	images  map[string]ledger.Image
	sources map[string]string // AMI by what names it
	parents map[string]string // images of ours by what was baked from them
}

// cause is why the image is to be renewed; empty: it is not.
func (w *watch) cause(ctx context.Context, name string) (string, error) {
	when := w.policy.Spec.When
	image := w.images[name]
	if image.Current == 0 {
		if w.policy.Spec.Do.Bake != nil {
			return "there is no version yet", nil
		}
		return "", nil
	}
	version, found, err := w.Catalog.GetVersion(ctx, name, image.Current)
	if err != nil || !found {
		return "", err
	}
	parent, number, ofOurs := parentOf(version)
	if ofOurs {
		w.parents[name] = parent
	}
	if when.NewerBase {
		if cause, err := w.base(ctx, image, version); err != nil || cause != "" {
			return cause, err
		}
	}
	if ofOurs && when.NewerParent && w.images[parent].Current > number {
		return fmt.Sprintf("%s@%d is newer than its parent %s", parent, w.images[parent].Current, version.Parent), nil
	}
	since := version.Committed
	if since.IsZero() {
		since = version.Created
	}
	if limit := time.Duration(when.OlderThan); limit > 0 && w.now.Sub(since) > limit {
		return fmt.Sprintf("%s@%d is older than %s", name, version.Number, when.OlderThan), nil
	}
	return "", nil
}

// base compares what the source comes to now with what the version was baked from.
func (w *watch) base(ctx context.Context, image ledger.Image, version ledger.Version) (string, error) {
	raw := version.Spec
	if w.policy.Spec.Do.Bake != nil {
		raw = w.policy.Spec.Do.Bake
	}
	if len(raw) == 0 {
		return "", nil
	}
	s, err := spec.Read[bake.Spec](raw)
	if err != nil {
		return "", jobs.Fatalf("read the stored spec", fmt.Sprintf("%s@%d", image.Name, version.Number), err.Error(), "bake it anew")
	}
	target := jobs.Target{Role: image.Role, Region: w.home(version, s)}
	if w.policy.Spec.Do.Bake != nil {
		target = w.policy.Spec.Do.target(w.policy.Target)
	}
	ami, err := w.source(ctx, target, s.From)
	if err != nil || ami == "" || ami == version.SourceAMI {
		return "", err
	}
	return fmt.Sprintf("its source is %s now, %s@%d was baked from %s", ami, image.Name, version.Number, version.SourceAMI), nil
}

// home is the region in which the version was baked: it has an AMI there and no copy was asked for.
func (w *watch) home(version ledger.Version, s bake.Spec) string {
	if version.Regions[w.Region].AMI != "" {
		if _, copied := s.CopyTo[w.Region]; !copied {
			return w.Region
		}
	}
	home := ""
	for region := range version.Regions {
		if _, copied := s.CopyTo[region]; !copied && (home == "" || region < home) {
			home = region
		}
	}
	return home
}

// source is the AMI that a spec's source comes to; empty for one that never changes, or that is an image of ours.
func (w *watch) source(ctx context.Context, target jobs.Target, from bake.Source) (string, error) {
	switch {
	case from.Parameter != "":
		return w.once(fmt.Sprintf("%s parameter %s", target, from.Parameter), func() (string, error) {
			value, found, err := w.Parameters(target).Parameter(ctx, from.Parameter)
			if err == nil && (!found || !strings.HasPrefix(value, "ami-")) {
				err = jobs.Fatalf("resolve", from.Parameter, fmt.Sprintf("the parameter holds %q, no AMI id", clip(value)), "check its name and region")
			}
			return value, err
		})
	case from.Newest != nil:
		n := *from.Newest
		return w.once(fmt.Sprintf("%s newest %q %q %q", target, n.Owner, n.Name, n.Architecture), func() (string, error) {
			found, ok, err := w.EC2(target).NewestImage(ctx, n.Owner, n.Name, n.Architecture)
			if err == nil && !ok {
				err = jobs.Fatalf("resolve", n.Name, "no AMI of "+n.Owner+" has such a name", "check owner, name and architecture")
			}
			return found.ID, err
		})
	}
	return "", nil
}

func (w *watch) once(what string, ask func() (string, error)) (string, error) {
	if known, ok := w.sources[what]; ok {
		return known, nil
	}
	found, err := ask()
	if err == nil {
		w.sources[what] = found
	}
	return found, err
}

// parentOf reads the version of ours that a version was baked from.
func parentOf(version ledger.Version) (image string, number int, ok bool) {
	image, text, ok := strings.Cut(version.Parent, "@")
	if !ok {
		return "", 0, false
	}
	number, err := strconv.Atoi(text)
	return image, number, err == nil
}
