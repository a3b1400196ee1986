package adopt

import (
	"regexp"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// What can be given back.
const (
	undoFleet = "fleet"
	undoImage = "image"
)

// Spec says what is imported, or given back, under the document's name: exactly one of image, fleet and undo.
type Spec struct {
	// Image imports an AMI as the next version of the image that the document names.
	Image *Image `json:"image,omitempty"`
	// Fleet imports servers, or an Auto Scaling group, as the fleet that the document names.
	Fleet *Fleet `json:"fleet,omitempty"`
	// Undo gives the imported fleet or image of that name back: its rows and exactly the tags that the import had put.
	Undo string `json:"undo,omitempty" enum:"fleet,image"`
	// Version is the image's version to give back; absent: the newest that was imported.
	Version int `json:"version,omitempty" min:"1"`
}

// Image is an AMI to import.
type Image struct {
	// AMI is its id. It must be the account's own.
	AMI string `json:"ami,omitempty" required:"true" pattern:"^ami-[0-9a-f]{8,17}$"`
	// Bake is the spec with which the image can be rebuilt. Without one it can be launched, be a parent and be patched by
	// another layer, but not be rebuilt from source.
	Bake *bake.Spec `json:"bake,omitempty"`
}

// Fleet is what to import as a fleet: exactly one of filters, instances and group.
type Fleet struct {
	// Filters are EC2's own, as DescribeInstances takes them. All must fit.
	Filters []Filter `json:"filters,omitempty"`
	// Instances are servers by id.
	Instances []string `json:"instances,omitempty"`
	// Group is the name of an Auto Scaling group: it stays the owner of its servers.
	Group string `json:"group,omitempty"`
	// Image is what the fleet is taken to run: web@3. Absent: the version whose AMI most of the servers run, or that AMI.
	Image string `json:"image,omitempty" pattern:"^[a-z][a-z0-9-]{0,62}@[1-9][0-9]{0,8}$" example:"web@3"`
	// Launch is the spec that later launches and replacements use. Absent: it is derived from the servers.
	Launch *launch.Spec `json:"launch,omitempty"`
	// Confirmed is the digest of what a plan has shown. Where it is set and something else is found, nothing is imported.
	Confirmed string `json:"confirmed,omitempty"`
}

// Filter is one filter of DescribeInstances.
type Filter struct {
	// Name is EC2's name of it.
	Name string `json:"name,omitempty" required:"true" example:"tag:app"`
	// Values are those of which one must fit.
	Values []string `json:"values,omitempty" required:"true" example:"[web]"`
}

var instancePattern = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	ways := 0
	for _, chosen := range []bool{s.Image != nil, s.Fleet != nil, s.Undo != ""} {
		if chosen {
			ways++
		}
	}
	if ways != 1 {
		p.Add("expected exactly one of image, fleet and undo", "write image: {ami: ami-…}, fleet: {filters: […]} or undo: fleet")
	}
	if s.Version > 0 && s.Undo != undoImage {
		p.At("version").Add("a version is only for undo: image", "leave it out")
	}
}

// CheckSpec says what the types alone do not.
func (f *Fleet) CheckSpec(p *spec.Problems) {
	ways := 0
	for _, chosen := range []bool{len(f.Filters) > 0, len(f.Instances) > 0, f.Group != ""} {
		if chosen {
			ways++
		}
	}
	if ways != 1 {
		p.Add("expected exactly one of filters, instances and group", "write filters: [{name: \"tag:app\", values: [web]}]")
	}
	for i, id := range f.Instances {
		if !instancePattern.MatchString(id) {
			p.At("instances", i).Add("expected an instance id, found %q", "write i-0123456789abcdef0", id)
		}
	}
	for i, filter := range f.Filters {
		if strings.HasPrefix(filter.Name, "instance-state-") {
			p.At("filters", i, "name").Add("servers are imported in any state that is not on its way out", "leave this filter out")
		}
	}
}
