package distribute

import (
	"maps"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Spec says where a version of an image is, and who may use it; the document's name is the image's. What is not listed goes:
// copies are removed, shares revoked. What of the three is left out altogether stays as it is.
type Spec struct {
	// Version is the version's number; absent, the current one when the job begins.
	Version int `json:"version,omitempty" min:"0" example:"41"`
	// Regions are those that have a copy, beside the one in which the version was baked. {} leaves that one only.
	Regions map[string]bake.CopyTo `json:"regions,omitempty" example:"{us-east-1: {kmsKey: alias/images}, ap-south-1: {}}"`
	// AccountCopies are copies that other accounts own. [] leaves none.
	AccountCopies []AccountCopies `json:"accountCopies,omitempty"`
	// Share is whom the image's own AMIs are open to, in every region. {} is nobody. Absent, copies that are made are open to
	// whom the AMI is that they are made of. Copies that other accounts own are theirs to share.
	Share *bake.Share `json:"share,omitempty"`
	// Notify is called when the job has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// AccountCopies are the copies that one other account owns.
type AccountCopies struct {
	// Role is the ARN of that account's role through which the copies are made, and removed again.
	Role string `json:"role,omitempty" required:"true" pattern:"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z0-9_+=,.@/-]{1,128}$" example:"arn:aws:iam::111122223333:role/stampmill"`
	// Regions are those in which the account has a copy, each under a key of that account.
	Regions map[string]bake.CopyTo `json:"regions,omitempty" required:"true" example:"{eu-west-1: {kmsKey: alias/images}}"`
}

func (a AccountCopies) account() string { return jobs.Target{Role: a.Role}.Account() }

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if s.Regions == nil && s.Share == nil && s.AccountCopies == nil {
		p.Add("expected regions, accountCopies or share: what is to be made equal",
			"write regions: {us-east-1: {}}, or share: {accounts: [\"111122223333\"]}, or both")
	}
	s.checkAccounts(p)
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

// checkAccounts finds accounts that are named twice, and wrong regions and keys.
func (s *Spec) checkAccounts(p *spec.Problems) {
	named := map[string]bool{}
	for i, copied := range s.AccountCopies {
		at, account := p.At("accountCopies", i), copied.account()
		if account != "" && named[account] {
			at.At("role").Add("the account %s has an entry above", "write its regions under one role", account)
		}
		named[account] = true
		if len(copied.Regions) == 0 {
			at.Add("expected regions: where the account has a copy", "write regions: {eu-west-1: {}}, or leave the entry out")
		}
		for _, region := range slices.Sorted(maps.Keys(copied.Regions)) {
			to := at.At("regions", region)
			spec.CheckRegion(to, region)
			for _, wrong := range preflight.Key(copied.Regions[region].KMSKey, region) {
				to.At("kmsKey").Add("%s", wrong.Hint, wrong.Message)
			}
		}
	}
}

// wanted is a copy that the spec asks for.
type wanted struct {
	role  string
	to    bake.CopyTo
	field []any
}

// wanted are the copies that the spec asks for, by their places.
func (s *Spec) wanted() map[string]wanted {
	all := map[string]wanted{}
	for region, to := range s.Regions {
		all[region] = wanted{to: to, field: []any{"regions", region}}
	}
	for i, copied := range s.AccountCopies {
		for region, to := range copied.Regions {
			all[l.Place(copied.account(), region)] = wanted{copied.Role, to, []any{"accountCopies", i, "regions", region}}
		}
	}
	return all
}

// names reports whether the spec says which copies there are to be of the place's sort; else they stay as they are.
func (s *Spec) names(place string) bool {
	if account, _ := l.SplitPlace(place); account != "" {
		return s.AccountCopies != nil
	}
	return s.Regions != nil
}

// want is whom the AMIs are to be open to, where the spec says so.
func (s *Spec) want() c.Share {
	if s.Share == nil {
		return c.Share{}
	}
	return c.Share{Accounts: s.Share.Accounts, Organizations: s.Share.Organizations, OUs: s.Share.OUs, Public: s.Share.Public}
}
