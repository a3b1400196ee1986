package restamp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// scene is the catalog and the fleets as they stand when a selection is evaluated.
type scene struct {
	now      time.Time
	images   map[string]ledger.Image
	versions map[string]ledger.Version // current ones
	fleets   []ledger.Fleet
	// to come: what documents before this one would make, for plans.
	before   jobs.Foreseen
	findings []jobs.Finding
	left     []Left
}

// look reads the scene. Fleets are read where the spec selects some.
func look(ctx context.Context, from Ledger, s Spec, now time.Time) (*scene, error) {
	images, err := from.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	at := &scene{now: now, images: make(map[string]ledger.Image, len(images))}
	for _, image := range images {
		at.images[image.Name] = image
	}
	if at.versions, err = from.CurrentVersions(ctx, images); err != nil {
		return nil, err
	}
	if s.Fleets != nil {
		if at.fleets, err = from.ListFleets(ctx); err != nil {
			return nil, err
		}
	}
	return at, nil
}

func (s *scene) problem(message, hint string, field ...any) {
	s.findings = append(s.findings, jobs.Finding{Field: field, Message: message, Hint: hint})
}

func (s *scene) warn(message, hint string, field ...any) {
	s.findings = append(s.findings, jobs.Finding{Field: field, Message: message, Hint: hint, Warning: true})
}

// problems are the findings that are no warnings.
func problems(findings []jobs.Finding) []jobs.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f jobs.Finding) bool { return f.Warning })
}

// chosenImages are the names that the selection chooses, in their order.
func (s *scene) chosenImages(of *Images) []string {
	chosen := map[string]bool{}
	for i, one := range of.Select.selects() {
		field := []any{"images", "select"}
		if len(of.Select.Any) > 0 {
			field = append(field, "any", i)
		}
		s.knowImages(one.Names, append(slices.Clone(field), "names")...)
		s.knowParent(one.Parent, append(slices.Clone(field), "parent")...)
		some := false
		for _, name := range slices.Sorted(maps.Keys(s.images)) {
			if s.fitsImage(one, name) {
				some, chosen[name] = true, true
			}
		}
		if !some && len(one.Names) == 0 {
			s.warn("no image is chosen by "+one.String(), "see stampmill image list", field...)
		}
	}
	s.knowImages(of.Exclude, "images", "exclude")
	for _, name := range of.Exclude {
		delete(chosen, name)
	}
	return slices.Sorted(maps.Keys(chosen))
}

// knowImages reports names that no image has.
func (s *scene) knowImages(names []string, field ...any) {
	for i, name := range names {
		if _, known := s.images[name]; known {
			continue
		}
		here := append(slices.Clone(field), i)
		if by := s.before.Images[name]; by != "" {
			s.warn(name+" is not there yet: "+by+" makes it", "submit this document once that has ended", here...)
			continue
		}
		s.problem("there is no image "+name, orList(spec.Nearest(name, slices.Collect(maps.Keys(s.images))), "image"), here...)
	}
}

func orList(near, what string) string {
	if near != "" {
		return "did you mean " + near + "?"
	}
	return "see stampmill " + what + " list"
}

func (s *scene) knowParent(parent string, field ...any) {
	if parent == "" || strings.HasPrefix(parent, "ami-") {
		return
	}
	if _, known := s.images[parent]; !known && s.before.Images[parent] == "" {
		s.problem("there is no image "+parent, orList(spec.Nearest(parent, slices.Collect(maps.Keys(s.images))), "image"), field...)
	}
}

func (s *scene) fitsImage(one ImageSelect, name string) bool {
	image, version := s.images[name], s.versions[name]
	switch {
	case len(one.Names) > 0 && !slices.Contains(one.Names, name),
		!labelled(image.Labels, one.Labels),
		one.OlderThan > 0 && (version.Number == 0 || s.age(version) < time.Duration(one.OlderThan)),
		one.Parent != "" && !s.descends(name, one.Parent):
		return false
	}
	return true
}

// labelled reports whether all that is asked for is there.
func labelled(labels, asked map[string]string) bool {
	for name, value := range asked {
		if has, ok := labels[name]; !ok || has != value {
			return false
		}
	}
	return true
}

func (s *scene) age(v ledger.Version) time.Duration { return s.now.Sub(since(v)) }

// since is from when the version counts.
func since(v ledger.Version) time.Time {
	if v.Committed.IsZero() {
		return v.Created
	}
	return v.Committed
}

// parentOf is the image of ours that the named one's current version was baked from; empty: none.
func (s *scene) parentOf(name string) string {
	parent, _, _ := strings.Cut(s.versions[name].Parent, "@")
	if _, ours := s.images[parent]; !ours || parent == name {
		return ""
	}
	return parent
}

// descends reports whether the image was baked from that image or AMI, directly or by way of others.
func (s *scene) descends(name, from string) bool {
	for seen := map[string]bool{}; name != "" && !seen[name]; name = s.parentOf(name) {
		seen[name] = true
		v := s.versions[name]
		if parent, _, _ := strings.Cut(v.Parent, "@"); parent == from || s.parentOf(name) == "" && v.SourceAMI == from && from != "" {
			return true
		}
	}
	return false
}

// chosenFleets are the names that the selection chooses, in their order.
func (s *scene) chosenFleets(of *Fleets) []ledger.Fleet {
	chosen := map[string]bool{}
	for i, one := range of.Select.selects() {
		field := []any{"fleets", "select"}
		if len(of.Select.Any) > 0 {
			field = append(field, "any", i)
		}
		s.knowFleets(one.Names, append(slices.Clone(field), "names")...)
		s.knowParent(one.Parent, append(slices.Clone(field), "parent")...)
		s.knowParent(one.Image, append(slices.Clone(field), "image")...)
		some := false
		for _, fleet := range s.fleets {
			if s.fitsFleet(one, fleet) {
				some, chosen[fleet.Name] = true, true
			}
		}
		if !some && len(one.Names) == 0 {
			s.warn("no fleet is chosen by "+one.String(), "see stampmill fleet list", field...)
		}
	}
	s.knowFleets(of.Exclude, "fleets", "exclude")
	for _, name := range of.Exclude {
		delete(chosen, name)
	}
	return slices.DeleteFunc(slices.Clone(s.fleets), func(f ledger.Fleet) bool { return !chosen[f.Name] })
}

// knowFleets reports names that no fleet has.
func (s *scene) knowFleets(names []string, field ...any) {
	var all []string
	for _, fleet := range s.fleets {
		all = append(all, fleet.Name)
	}
	for i, name := range names {
		if slices.Contains(all, name) {
			continue
		}
		here := append(slices.Clone(field), i)
		if by := s.before.Fleets[name]; by != "" {
			s.warn(name+" is not there yet: "+by+" makes it", "submit this document once that has ended", here...)
			continue
		}
		s.problem("there is no fleet "+name, orList(spec.Nearest(name, all), "fleet"), here...)
	}
}

func (s *scene) fitsFleet(one FleetSelect, fleet ledger.Fleet) bool {
	image, _, _ := strings.Cut(fleet.Image, "@")
	switch {
	case len(one.Names) > 0 && !slices.Contains(one.Names, fleet.Name),
		!labelled(fleet.Labels, one.Labels),
		one.Image != "" && one.Image != image,
		one.Parent != "" && !s.descends(image, one.Parent),
		one.OlderThan > 0 && !s.runsOlder(fleet, time.Duration(one.OlderThan)):
		return false
	}
	return true
}

// runsOlder reports whether what the fleet runs is older: a version that is not current any more is as old as the current one at
// least. What is no image of ours has no age.
func (s *scene) runsOlder(fleet ledger.Fleet, age time.Duration) bool {
	image, _, _ := strings.Cut(fleet.Image, "@")
	version, known := s.versions[image]
	if !known {
		return false
	}
	return s.age(version) >= age || fleet.Image != ref(image, version.Number)
}

func ref(image string, number int) string { return fmt.Sprintf("%s@%d", image, number) }

// String says what it chooses by.
func (s ImageSelect) String() string {
	return said(map[string]string{"olderThan": duration(s.OlderThan), "parent": s.Parent}, s.Labels)
}

// String says what it chooses by.
func (s FleetSelect) String() string {
	return said(map[string]string{"olderThan": duration(s.OlderThan), "parent": s.Parent, "image": s.Image}, s.Labels)
}

func duration(d spec.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func said(fields, labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != "" {
			parts = append(parts, name+" "+fields[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, "label "+name+"="+labels[name])
	}
	if len(parts) == 0 {
		return "all: there is none"
	}
	return strings.Join(parts, ", ")
}
