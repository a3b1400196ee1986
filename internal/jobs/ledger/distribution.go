package ledger

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// AccountCopy is a copy that another account owns. It is made, and removed, through a role of that account.
type AccountCopy struct {
	Role string `json:"role"`
	RegionalCopy
}

// LeavingCopy is an AMI that nothing is launched from any more: its region is no longer the version's, or has another copy. It
// stays named here until nothing uses it and it is removed.
type LeavingCopy struct {
	Region string `json:"region"`
	// Role is that of the account which owns it; empty: the image's own account does.
	Role string `json:"role,omitempty"`
	RegionalCopy
	Since time.Time `json:"since"`
}

// Shared is whom a Distribute opened the version's AMIs to, instead of whom its Bake says.
type Shared struct {
	With []string  `json:"with,omitempty"`
	Job  string    `json:"job"`
	At   time.Time `json:"at"`
}

// Place names where an AMI of a version is: a region of the image's own account, or ACCOUNT/REGION of another one's.
func Place(account, region string) string {
	if account == "" {
		return region
	}
	return account + "/" + region
}

// SplitPlace is the account, empty for the image's own, and the region of a place.
func SplitPlace(place string) (account, region string) {
	if account, region, other := strings.Cut(place, "/"); other {
		return account, region
	}
	return "", place
}

// Located is one AMI of a version.
type Located struct {
	Region string
	// Role is that of the account which owns it; empty: the image's own account does.
	Role string
	RegionalCopy
	// Leaving: nothing is launched from it any more.
	Leaving bool
}

// Place is where it is.
func (l Located) Place() string { return Place(jobs.Target{Role: l.Role}.Account(), l.Region) }

// AMIs are all of the version's: those to launch from in the order of their regions, then those of other accounts, then those
// that are leaving.
func (v Version) AMIs() []Located {
	var all []Located
	for _, region := range slices.Sorted(maps.Keys(v.Regions)) {
		all = append(all, Located{Region: region, RegionalCopy: v.Regions[region]})
	}
	for _, place := range slices.Sorted(maps.Keys(v.Accounts)) {
		copied := v.Accounts[place]
		_, region := SplitPlace(place)
		all = append(all, Located{Region: region, Role: copied.Role, RegionalCopy: copied.RegionalCopy})
	}
	for _, gone := range v.Leaving {
		all = append(all, Located{gone.Region, gone.Role, gone.RegionalCopy, true})
	}
	return all
}

// At is the copy in a place.
func (v Version) At(place string) (RegionalCopy, bool) {
	if copied, there := v.Accounts[place]; there {
		return copied.RegionalCopy, true
	}
	copied, there := v.Regions[place]
	return copied, there
}

// For is the copy that a target launches from: its account's own one, if there is one in its region, else the image's. Region is
// that of a target which names none.
func (v Version) For(target jobs.Target, region string) RegionalCopy {
	region = cmp.Or(target.Region, region)
	copied, _ := v.At(Place(target.Account(), region))
	if copied.AMI == "" {
		copied = v.Regions[region]
	}
	return copied
}

// Put makes the copy the one that is launched from in its place, of the account that the role is of.
func (v *Version) Put(place, role string, copied RegionalCopy) {
	v.unshare()
	if account, _ := SplitPlace(place); account == "" {
		v.Regions[place] = copied
	} else {
		v.Accounts[place] = AccountCopy{role, copied}
	}
}

// Leave takes an AMI out of what servers are launched from. It changes nothing where the place has another one by now.
func (v *Version) Leave(place, ami string, at time.Time) {
	copied, _ := v.At(place)
	if copied.AMI != ami || ami == "" {
		return
	}
	v.unshare()
	_, region := SplitPlace(place)
	v.Leaving = append(v.Leaving, LeavingCopy{region, v.Accounts[place].Role, copied, at})
	delete(v.Regions, place)
	delete(v.Accounts, place)
}

// Stay takes that back, unless the place has another AMI by now.
func (v *Version) Stay(place, ami string) {
	at := slices.IndexFunc(v.Leaving, func(c LeavingCopy) bool { return c.AMI == ami })
	if _, taken := v.At(place); at < 0 || taken {
		return
	}
	v.Put(place, v.Leaving[at].Role, v.Leaving[at].RegionalCopy)
	v.Left(ami)
}

// Left forgets an AMI that is gone.
func (v *Version) Left(ami string) {
	v.Leaving = slices.DeleteFunc(slices.Clone(v.Leaving), func(c LeavingCopy) bool { return c.AMI == ami })
}

// unshare gives the version maps of its own, so that what it was read from stays as it is.
func (v *Version) unshare() {
	v.Regions, v.Accounts = maps.Clone(v.Regions), maps.Clone(v.Accounts)
	if v.Regions == nil {
		v.Regions = map[string]RegionalCopy{}
	}
	if v.Accounts == nil {
		v.Accounts = map[string]AccountCopy{}
	}
}
