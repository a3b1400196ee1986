package ledger

import (
	"maps"
	"slices"
	"time"
)

// LeavingCopy is an AMI that nothing is launched from any more: its region is no longer the version's, or has another copy. It
// stays named here until nothing uses it and it is removed.
type LeavingCopy struct {
	Region string `json:"region"`
	RegionalCopy
	Since time.Time `json:"since"`
}

// Shared is whom a Distribute opened the version's AMIs to, instead of whom its Bake says.
type Shared struct {
	With []string  `json:"with,omitempty"`
	Job  string    `json:"job"`
	At   time.Time `json:"at"`
}

// Located is one AMI of a version.
type Located struct {
	Region string
	RegionalCopy
	// Leaving: nothing is launched from it any more.
	Leaving bool
}

// AMIs are all of the version's, in the order of their regions: those to launch from, then those that are leaving.
func (v Version) AMIs() []Located {
	var all []Located
	for _, region := range slices.Sorted(maps.Keys(v.Regions)) {
		all = append(all, Located{Region: region, RegionalCopy: v.Regions[region]})
	}
	for _, gone := range v.Leaving {
		all = append(all, Located{gone.Region, gone.RegionalCopy, true})
	}
	return all
}

// Leave takes an AMI out of what servers are launched from. It changes nothing where the region has another one by now.
func (v *Version) Leave(region, ami string, at time.Time) {
	copied := v.Regions[region]
	if copied.AMI != ami || ami == "" {
		return
	}
	delete(v.Regions, region)
	v.Leaving = append(v.Leaving, LeavingCopy{region, copied, at})
}

// Stay takes that back, unless the region has another AMI by now.
func (v *Version) Stay(region, ami string) {
	at := slices.IndexFunc(v.Leaving, func(c LeavingCopy) bool { return c.AMI == ami })
	if _, taken := v.Regions[region]; at < 0 || taken {
		return
	}
	v.Regions[region] = v.Leaving[at].RegionalCopy
	v.Leaving = slices.Delete(v.Leaving, at, at+1)
}

// Left forgets an AMI that is gone.
func (v *Version) Left(ami string) {
	v.Leaving = slices.DeleteFunc(v.Leaving, func(c LeavingCopy) bool { return c.AMI == ami })
}
