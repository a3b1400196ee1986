package distribute

import (
	"maps"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs/bake"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Spec says where a version of an image is, and who may use it; the document's name is the image's. What is not listed goes:
// copies are removed, shares revoked. Regions or share that is left out altogether stays as it is.
type Spec struct {
	// Version is the version's number; absent, the current one when the job begins.
	Version int `json:"version,omitempty" min:"0" example:"41"`
	// Regions are those that have a copy, beside the one in which the version was baked. {} leaves that one only.
	Regions map[string]bake.CopyTo `json:"regions,omitempty" example:"{us-east-1: {kmsKey: alias/images}, ap-south-1: {}}"`
	// Share is whom the AMIs are open to, in every region. {} is nobody. Absent, copies that are made are open to whom the
	// AMI is that they are made of.
	Share *bake.Share `json:"share,omitempty"`
	// Notify is called when the job has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if s.Regions == nil && s.Share == nil {
		p.Add("expected regions or share: what is to be made equal", "write regions: {us-east-1: {}}, or share: {accounts: [\"111122223333\"]}, or both")
	}
	for _, region := range slices.Sorted(maps.Keys(s.Regions)) {
		at, to := p.At("regions", region), s.Regions[region]
		spec.CheckRegion(at, region)
		for _, wrong := range preflight.Key(to.KMSKey, region) {
			at.At("kmsKey").Add("%s", wrong.Hint, wrong.Message)
		}
		if !s.want().IsZero() && (to.KMSKey == "alias/aws/ebs" || to.Encrypted && to.KMSKey == "") {
			at.At("kmsKey").Add("an image under the AWS-managed key cannot be shared", "name a customer-managed kmsKey")
		}
	}
}

// want is whom the AMIs are to be open to, where the spec says so.
func (s *Spec) want() c.Share {
	if s.Share == nil {
		return c.Share{}
	}
	return c.Share{Accounts: s.Share.Accounts, Organizations: s.Share.Organizations, OUs: s.Share.OUs, Public: s.Share.Public}
}
