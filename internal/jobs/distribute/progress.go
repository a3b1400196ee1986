package distribute

import (
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/copies"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
	"github.com/stampmill/stampmill/internal/jobs/notify"
)

// progress is what a job knows of itself between deliveries.
type progress struct {
	Run     int `json:"run"`
	Version int `json:"version,omitempty"`
	// Change is what was found to be done.
	Change *Change `json:"change,omitempty"`
	// Copies by place: a region, or ACCOUNT/REGION.
	Copies map[string]copies.AMI `json:"copies,omitempty"`
	// Roles are those by which other accounts' copies are reached, by account.
	Roles map[string]string `json:"roles,omitempty"`
	// Loans are what other accounts are given while they copy.
	Loans []copies.Loan `json:"loans,omitempty"`
	// Usual is how long copies of the image took before.
	Usual map[string]ledger.Usual `json:"usual,omitempty"`
	// Tags and Description of the AMI that is copied, those that are ours left out; Deprecated is when it is, or was.
	Tags        map[string]string `json:"tags,omitempty"`
	Description string            `json:"description,omitempty"`
	Deprecated  time.Time         `json:"deprecated,omitzero"`
	// Removed are gone by their place and id; Stay are those that could not go, with who uses them.
	Removed []string         `json:"removed,omitempty"`
	Stay    []lifecycle.Stay `json:"stay,omitempty"`
	Notify  notify.State     `json:"notify,omitzero"`
}

// Change is what makes a version equal to a spec.
type Change struct {
	// Home is the region, and Source the AMI there, that copies are made of, with its snapshots.
	Home      string   `json:"home"`
	Source    string   `json:"source"`
	Snapshots []string `json:"snapshots,omitempty"`
	// Copies are the places that get one: regions, and ACCOUNT/REGION of other accounts. Replaces are the AMIs in some of them
	// that are encrypted otherwise than asked.
	Copies   []string          `json:"copies,omitempty"`
	Replaces map[string]string `json:"replaces,omitempty"`
	// Removes are the AMIs by place that the spec no longer names.
	Removes map[string]string `json:"removes,omitempty"`
	// Opens and Closes are whom AMIs that are there are opened to and closed to, by region.
	Opens  map[string][]string `json:"opens,omitempty"`
	Closes map[string][]string `json:"closes,omitempty"`
	// CopiesFor is whom new copies are opened to.
	CopiesFor []string `json:"copiesFor,omitempty"`
}

// goes reports whether the AMI is to be removed: it is closed to others, and not opened to any more.
func (c *Change) goes(ami ledger.Located) bool {
	place := ami.Place()
	return ami.Leaving || c.Replaces[place] == ami.AMI || c.Removes[place] == ami.AMI
}

// Result is what a finished job tells.
type Result struct {
	Image string `json:"image"` // web@41
	// Copied are the AMIs that were made, by place: a region, or ACCOUNT/REGION.
	Copied map[string]string `json:"copied,omitempty"`
	// Removed are those that are gone, by place and id; Stay are those that would have gone and are in use.
	Removed []string         `json:"removed,omitempty"`
	Stay    []lifecycle.Stay `json:"stay,omitempty"`
	// Opened and Revoked are whom AMIs that were there were opened to and closed to, by region.
	Opened  map[string][]string `json:"opened,omitempty"`
	Revoked map[string][]string `json:"revoked,omitempty"`
}

func (p *progress) result(image string) Result {
	r := Result{Image: image, Removed: p.Removed, Stay: p.Stay}
	if p.Version > 0 {
		r.Image = fmt.Sprintf("%s@%d", image, p.Version)
	}
	if p.Change != nil {
		r.Opened, r.Revoked = p.Change.Opens, p.Change.Closes
	}
	for place, made := range p.Copies {
		if r.Copied == nil {
			r.Copied = map[string]string{}
		}
		r.Copied[place] = made.ID
	}
	return r
}
