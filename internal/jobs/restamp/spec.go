package restamp

import (
	"regexp"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// DefaultParallel is how many bakes of a restamp are under way at a time.
const DefaultParallel = 20

// When what a renewed image publishes moves.
const (
	PromoteBake    = "bake"
	PromoteRollout = "rollout"
)

// RebuildSource re-runs each image's stored Bake.
const RebuildSource = "source"

// Spec says which images are renewed and which fleets are rolled to them: at least one of images and fleets.
type Spec struct {
	// Images are renewed, parents before children.
	Images *Images `json:"images,omitempty"`
	// Fleets are rolled: to the new version of their image where it is renewed here, else to its current one.
	Fleets *Fleets `json:"fleets,omitempty"`
	// Rollout is how each fleet is rolled.
	Rollout rollout.Options `json:"rollout,omitzero"`
	// Promote says when an image's new version becomes current and is written to its parameter and launch template: after its
	// bake, or only after all of the image's fleets here were rolled to it.
	Promote string `json:"promote,omitempty" enum:"bake,rollout" default:"bake"`
	// Notify is told when the restamp has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// Images are the images to renew, and how.
type Images struct {
	// Select chooses images.
	Select ImageSelection `json:"select,omitzero" required:"true"`
	// Exclude are names that are left out though they were selected.
	Exclude []string `json:"exclude,omitempty" example:"[legacy]"`
	// Rebuild re-runs each image's stored Bake on the newest of what it is baked from. Instead, patch layers one script on the
	// current version.
	Rebuild string `json:"rebuild,omitempty" enum:"source" default:"source"`
	// Patch is a script that is run on each image's current version, as one more layer. Verify, share, copies and what is
	// published stay as the image's stored Bake has them.
	Patch *spec.Script `json:"patch,omitempty" example:"./patch.sh"`
	// Parallel is how many bakes are under way at a time.
	Parallel int `json:"parallel,omitempty" min:"1" max:"1000" default:"20"`
}

// ImageSelection chooses images: those of which all that is written holds. With any, what any of several chooses. The short
// form is a name or a list of names, or a list of selections.
type ImageSelection struct {
	ImageSelect
	// Any are several selections; what one of them chooses is chosen.
	Any []ImageSelect `json:"any,omitempty"`
}

// ImageSelect chooses the images of which all that is written holds.
type ImageSelect struct {
	// Names are the images' names.
	Names []string `json:"names,omitempty" example:"[base, web]"`
	// Labels must all be the image's.
	Labels map[string]string `json:"labels,omitempty" example:"{team: edge}"`
	// OlderThan chooses images whose current version is older.
	OlderThan spec.Duration `json:"olderThan,omitempty" example:"30d"`
	// Parent chooses what was baked from this image or AMI, directly or by way of others. It is not chosen itself.
	Parent string `json:"parent,omitempty" example:"base-al2023"`
	// All chooses every image.
	All bool `json:"all,omitempty"`
}

// Fleets are the fleets to roll.
type Fleets struct {
	// Select chooses fleets.
	Select FleetSelection `json:"select,omitzero" required:"true"`
	// Exclude are names that are left out though they were selected.
	Exclude []string `json:"exclude,omitempty" example:"[web-canada]"`
}

// FleetSelection chooses fleets: those of which all that is written holds. With any, what any of several chooses. The short
// form is a name or a list of names, or a list of selections.
type FleetSelection struct {
	FleetSelect
	// Any are several selections; what one of them chooses is chosen.
	Any []FleetSelect `json:"any,omitempty"`
}

// FleetSelect chooses the fleets of which all that is written holds.
type FleetSelect struct {
	// Names are the fleets' names.
	Names []string `json:"names,omitempty" example:"[web-prod]"`
	// Labels must all be the fleet's.
	Labels map[string]string `json:"labels,omitempty" example:"{env: prod}"`
	// Image chooses the fleets that were stamped from this image, whatever its version.
	Image string `json:"image,omitempty" example:"web"`
	// Parent chooses the fleets whose image was baked from this image or AMI, directly or by way of others.
	Parent string `json:"parent,omitempty" example:"base-al2023"`
	// OlderThan chooses fleets that run an older version.
	OlderThan spec.Duration `json:"olderThan,omitempty" example:"30d"`
	// All chooses every fleet.
	All bool `json:"all,omitempty"`
}

var (
	namePattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	parentPattern = regexp.MustCompile(`^(ami-[0-9a-f]{8,17}|[a-z0-9][a-z0-9-]{0,62})$`)
)

// Shorthand takes names or selections.
func (*ImageSelection) Shorthand(value any) (map[string]any, error) { return shorthand(value), nil }

// Shorthand takes names or selections.
func (*FleetSelection) Shorthand(value any) (map[string]any, error) { return shorthand(value), nil }

// shorthand makes names of a list of texts, and several selections of any other list; a text among those is one name.
func shorthand(value any) map[string]any {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	if !slices.ContainsFunc(list, func(v any) bool { _, isMap := v.(map[string]any); return isMap }) {
		return map[string]any{"names": list}
	}
	several := slices.Clone(list)
	for i, v := range several {
		if name, isText := v.(string); isText {
			several[i] = map[string]any{"names": []any{name}}
		}
	}
	return map[string]any{"any": several}
}

// ShorthandSchemas describes the short forms.
func (*ImageSelection) ShorthandSchemas() []map[string]any { return shorthandSchemas() }

// ShorthandSchemas describes the short forms.
func (*FleetSelection) ShorthandSchemas() []map[string]any { return shorthandSchemas() }

func shorthandSchemas() []map[string]any {
	return []map[string]any{{"type": "string"}, {"type": "array", "items": map[string]any{"type": []any{"string", "object"}}}}
}

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if s.Images == nil && s.Fleets == nil {
		p.Add("expected images to renew, or fleets to roll, or both", "write images: {select: {labels: {team: edge}}}")
	}
	if s.Promote == PromoteRollout && (s.Images == nil || s.Fleets == nil) {
		p.At("promote").Add("promote: rollout needs images and fleets: current moves once the fleets were rolled", "write promote: bake")
	}
}

// CheckSpec refuses two ways at once.
func (i *Images) CheckSpec(p *spec.Problems) {
	if i.Patch != nil && i.Rebuild != "" {
		p.At("patch").Add("expected rebuild or patch, found both", "rebuild re-runs each image's Bake, patch adds one script to what is there")
	}
	if i.Patch != nil && i.Patch.IsZero() {
		p.At("patch").Add("expected a script, found nothing", "write patch: ./patch.sh")
	}
	checkNames(p.At("exclude"), i.Exclude, "an image")
}

// CheckSpec refuses names that are none.
func (f *Fleets) CheckSpec(p *spec.Problems) { checkNames(p.At("exclude"), f.Exclude, "a fleet") }

// CheckSpec refuses a selection that chooses nothing.
func (s *ImageSelection) CheckSpec(p *spec.Problems) {
	checkAny(p, s.isZero(), len(s.Any))
	s.check(p)
}

// CheckSpec refuses a selection that chooses nothing.
func (s *FleetSelection) CheckSpec(p *spec.Problems) {
	checkAny(p, s.isZero(), len(s.Any))
	s.check(p)
}

func checkAny(p *spec.Problems, plain bool, several int) {
	switch {
	case plain && several == 0:
		p.Add("expected what to choose by: names, labels, parent, olderThan or all", "write {names: [web]} or {all: true}")
	case !plain && several > 0:
		p.At("any").Add("expected any or one selection, found both", "move the one into any")
	}
}

// CheckSpec refuses an element that chooses nothing.
func (s *ImageSelect) CheckSpec(p *spec.Problems) { s.check(p) }

// CheckSpec refuses an element that chooses nothing.
func (s *FleetSelect) CheckSpec(p *spec.Problems) { s.check(p) }

func (s *ImageSelect) check(p *spec.Problems) {
	checkNames(p.At("names"), s.Names, "an image")
	checkParent(p.At("parent"), s.Parent)
	checkAge(p.At("olderThan"), s.OlderThan)
	if s.All && (len(s.Names) > 0 || len(s.Labels) > 0 || s.Parent != "") {
		p.At("all").Add("expected all, or what to choose by, found both", "remove one of them")
	}
}

func (s *FleetSelect) check(p *spec.Problems) {
	checkNames(p.At("names"), s.Names, "a fleet")
	checkParent(p.At("parent"), s.Parent)
	checkAge(p.At("olderThan"), s.OlderThan)
	if s.Image != "" && !namePattern.MatchString(s.Image) {
		p.At("image").Add("expected an image's name without a version, found %q", "write image: web", s.Image)
	}
	if s.All && (len(s.Names) > 0 || len(s.Labels) > 0 || s.Parent != "" || s.Image != "") {
		p.At("all").Add("expected all, or what to choose by, found both", "remove one of them")
	}
}

func checkNames(p *spec.Problems, names []string, what string) {
	for i, name := range names {
		switch {
		case !namePattern.MatchString(name):
			p.At(i).Add("expected the name of "+what+", found %q", "", name)
		case slices.Contains(names[:i], name):
			p.At(i).Add("%s is named twice", "remove one", name)
		}
	}
}

func checkParent(p *spec.Problems, parent string) {
	if parent != "" && !parentPattern.MatchString(parent) {
		p.Add("expected an image's name without a version, or an AMI id, found %q", "write parent: base", parent)
	}
}

func checkAge(p *spec.Problems, age spec.Duration) {
	if d := time.Duration(age); d != 0 && d < time.Minute {
		p.Add("expected at least 1m, found %s", "write olderThan: 30d", age)
	}
}

func (s *ImageSelect) isZero() bool {
	return len(s.Names) == 0 && len(s.Labels) == 0 && s.OlderThan == 0 && s.Parent == "" && !s.All
}

func (s *FleetSelect) isZero() bool {
	return len(s.Names) == 0 && len(s.Labels) == 0 && s.OlderThan == 0 && s.Parent == "" && s.Image == "" && !s.All
}

// selects are the selections, one or several.
func (s *ImageSelection) selects() []ImageSelect {
	if len(s.Any) > 0 {
		return s.Any
	}
	return []ImageSelect{s.ImageSelect}
}

func (s *FleetSelection) selects() []FleetSelect {
	if len(s.Any) > 0 {
		return s.Any
	}
	return []FleetSelect{s.FleetSelect}
}

func (i *Images) parallel() int {
	if i == nil || i.Parallel == 0 {
		return DefaultParallel
	}
	return i.Parallel
}
