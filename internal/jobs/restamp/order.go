package restamp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// work makes the restamp's work of what its spec selects in the scene. What keeps it from going is among the scene's findings.
func (s *scene) work(of Spec) *Work {
	w := &Work{Begun: s.now, Promote: of.Promote, Rollout: of.Rollout, Parallel: of.Images.parallel()}
	if of.Images != nil {
		w.Patch = of.Images.Patch
		w.Images = s.ordered(s.renewable(s.chosenImages(of.Images), of.Images))
	}
	if of.Fleets != nil {
		for _, fleet := range s.chosenFleets(of.Fleets) {
			s.addFleet(w, fleet)
		}
	}
	w.Left = s.left
	if len(w.Images)+len(w.Fleets) == 0 && len(problems(s.findings)) == 0 {
		s.warn("nothing is left to renew or to roll", "")
	}
	return w
}

func (s *scene) leaveImage(name, why string) {
	s.left = append(s.left, Left{Image: name, Why: why})
	s.warn("the image "+name+" is left out: "+why, "", "images")
}

func (s *scene) leaveFleet(name, why string, warns bool) {
	s.left = append(s.left, Left{Fleet: name, Why: why})
	if warns {
		s.warn("the fleet "+name+" is left out: "+why, "", "fleets")
	}
}

// renewable are the names whose images can be renewed in the way that is asked for.
func (s *scene) renewable(names []string, of *Images) []string {
	var all []string
	for _, name := range names {
		version, current := s.versions[name]
		source := sourceOf(version.Spec)
		switch {
		case !current:
			s.leaveImage(name, "it has no current version")
		case version.State != ledger.Available:
			s.leaveImage(name, ref(name, version.Number)+" is "+string(version.State))
		case of.Patch == nil && len(version.Spec) == 0:
			s.leaveImage(name, ref(name, version.Number)+" has no stored spec to rebuild it from; use patch, or bake it anew")
		case !namePattern.MatchString(name):
			s.leaveImage(name, "no job can have this name")
		default:
			all = append(all, name)
			if of.Patch == nil && version.Spec != nil {
				s.warnOfSource(name, source)
			}
		}
	}
	return all
}

// stored is what is read of a stored Bake's spec.
type stored struct {
	From struct {
		AMI    string `json:"ami"`
		Image  string `json:"image"`
		Server string `json:"server"`
	} `json:"from"`
	CopyTo map[string]json.RawMessage `json:"copyTo"`
}

func sourceOf(raw json.RawMessage) (s stored) {
	if len(raw) > 0 && json.Unmarshal(raw, &s) != nil {
		return stored{} // the bake's own decoder will say what is wrong
	}
	return s
}

func (s *scene) warnOfSource(name string, source stored) {
	switch {
	case source.From.AMI != "":
		s.warn(name+" is baked from the fixed "+source.From.AMI+": it is rebuilt on that, not on a newer one",
			"bake it from a parameter, from newest, or from an image of ours", "images")
	case source.From.Server != "":
		s.warn(name+" is the image of the server "+source.From.Server+": it is taken from that server again",
			"patch: layers a script on the image instead", "images")
	}
}

// ordered puts the images into order, parents before children and else by name, and finds cycles of parents.
func (s *scene) ordered(names []string) []WorkImage {
	chosen := map[string]bool{}
	for _, name := range names {
		chosen[name] = true
	}
	depth := map[string]int{}
	var walk func(name string, path []string) int
	walk = func(name string, path []string) int {
		if at := slices.Index(path, name); at >= 0 {
			s.problem("the images' parents go in a circle: "+strings.Join(append(path[at:], name), " is baked from "),
				"bake one of them from something else, or leave it out", "images")
			return 0
		}
		if known, done := depth[name]; done {
			return known
		}
		d := 0
		if parent := s.parentOf(name); chosen[parent] {
			d = walk(parent, append(path, name)) + 1
		}
		depth[name] = d
		return d
	}
	images := make([]WorkImage, 0, len(names))
	for _, name := range names {
		images = append(images, s.workImage(name, walk(name, nil), chosen))
	}
	slices.SortStableFunc(images, func(a, b WorkImage) int {
		return cmp.Or(cmp.Compare(a.Depth, b.Depth), cmp.Compare(a.Name, b.Name))
	})
	return images
}

func (s *scene) workImage(name string, depth int, chosen map[string]bool) WorkImage {
	version := s.versions[name]
	w := WorkImage{Name: name, Version: version.Number, Committed: since(version), Base: version.Parent, Depth: depth,
		Target: jobs.Target{Role: s.images[name].Role, Region: home(version)}, Labels: s.images[name].Labels}
	if parent := s.parentOf(name); chosen[parent] {
		w.Parent = parent
	} else if above := s.renewedAbove(name, chosen); above != "" {
		s.warn(fmt.Sprintf("%s is baked from %s, which is not renewed though %s is: it is rebuilt on what is current of %s", name, parent, above, parent),
			"select "+parent+" too", "images")
	}
	return w
}

// renewedAbove is the nearest ancestor that is renewed though the image's own parent is not.
func (s *scene) renewedAbove(name string, chosen map[string]bool) string {
	seen := map[string]bool{name: true}
	for parent := s.parentOf(name); parent != "" && !seen[parent]; parent = s.parentOf(parent) {
		if seen[parent] = true; chosen[parent] {
			return parent
		}
	}
	return ""
}

// home is the region in which the version was baked: of one that does not say, the one to which it was not copied.
func home(v ledger.Version) string {
	if v.Home != "" {
		return v.Home
	}
	copies := sourceOf(v.Spec).CopyTo
	var regions []string
	for region, has := range v.Regions {
		if _, copied := copies[region]; !copied && has.By == "" {
			regions = append(regions, region)
		}
	}
	if len(regions) == 0 {
		return ""
	}
	return slices.Min(regions)
}

// addFleet says what the fleet is rolled to, or why it is left out.
func (s *scene) addFleet(w *Work, fleet ledger.Fleet) {
	image, _, _ := strings.Cut(fleet.Image, "@")
	line, ours := s.images[image]
	of := WorkFleet{Name: fleet.Name, Target: fleet.Target, Labels: fleet.Labels, From: fleet.Image, Image: image, Servers: fleet.Count, Group: fleet.Group}
	_, renewed := w.image(image)
	switch {
	case !ours:
		s.leaveFleet(fleet.Name, "it runs "+fleet.Image+", which is no image of ours", true)
		return
	case fleet.Count == 0:
		s.leaveFleet(fleet.Name, "it has no servers", true)
		return
	case !renewed && line.Current == 0:
		s.leaveFleet(fleet.Name, image+" has no current version", true)
		return
	case !renewed:
		of.To = ref(image, line.Current)
	}
	if fleet.Owner != "" {
		s.warn(fleet.Owner+" works on the fleet "+fleet.Name+" now: its rollout waits in line", "", "fleets")
	}
	w.Fleets = append(w.Fleets, of)
}
