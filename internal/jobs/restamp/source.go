package restamp

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// document is a Bake's spec, field by field: what nobody changes here stays as it was stored.
type document map[string]json.RawMessage

// bakeSpec is the spec of the bake that renews the image. From is its parent's new version; empty where that is not renewed.
//
// By source it is the image's own stored spec, with the source as people wrote it; only a parent that was renewed is pinned, so
// that the image is built on that version and no other. By patch it is one step on the image's current version: what makes the
// image's content is left out, and what says where it is made, how it is verified and to whom it is given stays.
func (k *Kind) bakeSpec(ctx context.Context, w *Work, image WorkImage, from string) (json.RawMessage, error) {
	version, origin, d, err := k.storedSpec(ctx, image.Name, image.Version)
	if err != nil {
		return nil, err
	}
	renews := bake.Renews{Version: ref(image.Name, version.Number), Spec: origin, Restamp: w.Restamp.Job, Patch: w.Patch != nil}
	switch {
	case w.Patch != nil:
		for _, field := range []string{"steps", "renews"} {
			delete(d, field)
		}
		err = d.set("from", bake.Source{Image: renews.Version}, "steps", []bake.Step{{Name: "patch", Run: w.Patch}})
	case from != "":
		err = d.set("from", bake.Source{Image: from})
	}
	if err == nil {
		err = d.set("renews", renews)
	}
	if err == nil && w.Promote == PromoteRollout && len(w.fleetsOf(image.Name)) > 0 {
		err = d.hold()
	}
	if err != nil {
		return nil, jobs.Fatalf("make the bake of", image.Name, err.Error(), "")
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, jobs.Fatalf("make the bake of", image.Name, err.Error(), "")
	}
	if _, err := spec.Decode[bake.Spec](raw); err != nil {
		return nil, jobs.Fatalf("make the bake of", image.Name, "its stored spec is not valid any more: "+err.Error(), "bake it anew from its file")
	}
	return raw, k.filesThere(ctx, image.Name, raw)
}

// storedSpec finds the version, and the spec that people wrote for it: that of a version which a restamp made is another
// version's, whose name is the origin.
func (k *Kind) storedSpec(ctx context.Context, image string, number int) (version ledger.Version, origin string, d document, err error) {
	version, found, err := k.Ledger.GetVersion(ctx, image, number)
	if err == nil && !found {
		err = jobs.Fatalf("find the spec of", ref(image, number), "the version is not in the catalog", "see stampmill image show "+image)
	}
	if err != nil {
		return version, "", nil, err
	}
	origin, raw := ref(image, number), version.Spec
	if of := renewsOf(raw); of.Spec != "" && of.Spec != origin {
		origin = of.Spec
		source, found, err := k.originOf(ctx, image, origin)
		if err != nil {
			return version, "", nil, err
		}
		if !found || len(source.Spec) == 0 {
			return version, "", nil, jobs.Fatalf("find the spec of", image, "its own spec is that of "+origin+", which the catalog does not have any more", "bake it anew from its file")
		}
		raw = source.Spec
	}
	d = document{}
	if len(raw) == 0 {
		return version, "", d, nil // it was imported: a patch needs no more
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return version, "", nil, jobs.Fatalf("read the spec of", origin, err.Error(), "bake it anew from its file")
	}
	return version, origin, d, nil
}

// originOf finds the version that holds the image's own spec; only one of the same image can.
func (k *Kind) originOf(ctx context.Context, image, origin string) (ledger.Version, bool, error) {
	name, text, _ := strings.Cut(origin, "@")
	number, err := strconv.Atoi(text)
	if err != nil {
		return ledger.Version{}, false, jobs.Fatalf("find the spec of", image, "its stored spec names "+origin+", which is no version", "bake it anew from its file")
	}
	if name != image {
		return ledger.Version{}, false, nil
	}
	return k.Ledger.GetVersion(ctx, name, number)
}

func renewsOf(raw json.RawMessage) bake.Renews {
	var of struct {
		Renews bake.Renews `json:"renews"`
	}
	if len(raw) > 0 && json.Unmarshal(raw, &of) != nil {
		return bake.Renews{}
	}
	return of.Renews
}

// set writes fields by name.
func (d document) set(fields ...any) error {
	for i := 0; i < len(fields); i += 2 {
		raw, err := json.Marshal(fields[i+1])
		if err != nil {
			return err
		}
		d[fields[i].(string)] = raw
	}
	return nil
}

// encode gives the document as JSON; nothing of an empty one.
func (d document) encode() (json.RawMessage, error) {
	if len(d) == 0 {
		return nil, nil
	}
	return json.Marshal(d)
}

// hold has the version published without becoming current.
func (d document) hold() error {
	publish := document{}
	if raw := d["publish"]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &publish); err != nil {
			return err
		}
	}
	if err := publish.set("hold", true); err != nil {
		return err
	}
	return d.set("publish", publish)
}

// filesThere makes sure that the files which the spec names by their checksums are still in the bucket.
func (k *Kind) filesThere(ctx context.Context, image string, raw json.RawMessage) error {
	for _, key := range storedFiles(raw) {
		there, err := k.Files.Has(ctx, key)
		if err != nil {
			return err
		}
		if !there {
			return jobs.Fatalf("bake", image, fmt.Sprintf("%s, which its stored spec names, is not in the bucket any more", key), "bake it anew from its file")
		}
	}
	return nil
}

// storedFiles are the keys of the bucket that a spec names, wherever they stand in it, in order.
func storedFiles(raw json.RawMessage) []string {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return nil
	}
	keys := map[string]bool{}
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			key, isKey := v["key"].(string)
			if digest, stored := v["digest"].(string); isKey && stored && len(digest) > len("sha256:") && key == spec.UploadKey(digest) {
				keys[key] = true
			}
			for _, field := range v {
				walk(field)
			}
		}
	}
	walk(value)
	return slices.Sorted(maps.Keys(keys))
}
