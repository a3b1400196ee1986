package ledger

import (
	"fmt"
	"strings"
	"time"
)

// Content says where the list of what is in a version lies: packages, and the checksums of what made them.
type Content struct {
	// Key is the object in the installation's bucket, Digest what it must be: sha256:hex.
	Key    string `json:"key"`
	Digest string `json:"digest"`
	// Manager is the package manager that was asked: dpkg, rpm or apk. Packages is how many it named.
	Manager  string `json:"manager"`
	Packages int    `json:"packages"`
}

// Recall says why and when a version was recalled, and what has to be given back if the recall is.
type Recall struct {
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	Job    string    `json:"job"`
	// Shares are whom the AMIs were open to by region: EC2 forgets that when it disables one.
	Shares map[string][]string `json:"shares,omitempty"`
}

// Retirement is how far the removal of a version has come: each stage stands for a while before the next.
type Retirement struct {
	Deprecated time.Time `json:"deprecated,omitzero"`
	Disabled   time.Time `json:"disabled,omitzero"`
	// Removing is since when its AMIs are being deregistered: from then on there is no way back.
	Removing time.Time `json:"removing,omitzero"`
	// Unprotected is when the protection against being deregistered was lifted; a cooldown may follow.
	Unprotected time.Time `json:"unprotected,omitzero"`
	// Reports are what was asked of EC2 on other accounts' use, by region.
	Reports map[string]UsageReport `json:"reports,omitempty"`
}

// UsageReport is the report that was asked of EC2 on what other accounts do with one region's AMI.
type UsageReport struct {
	ID    string    `json:"id"`
	Asked time.Time `json:"asked"`
}

// Move is one change of what is current by a person's order: forward by promote, back by rollback or recall.
type Move struct {
	Image string `json:"image"`
	// From and To are version numbers; 0: none.
	From int       `json:"from"`
	To   int       `json:"to"`
	How  string    `json:"how"` // promote, rollback, recall
	At   time.Time `json:"at"`
	Job  string    `json:"job"`
	// Incarnation and Run of the job that ordered it: it moves once, however often it asks.
	Incarnation string `json:"incarnation"`
	Run         int    `json:"run"`
	Reason      string `json:"reason,omitempty"`
}

// Ref is the version's name: web@41.
func (v Version) Ref() string { return fmt.Sprintf("%s@%d", v.Image, v.Number) }

// Usable reports whether servers may be launched from the version, and whether it may be current: its bake verified and
// committed it, and nobody has recalled or retired it since.
func (v Version) Usable() bool { return v.State == Available && !v.Committed.IsZero() }

// Standing is what a person calls the version's state, by the image's current version.
func (v Version) Standing(current int) string {
	switch {
	case v.State == Available && v.Number == current:
		return "current"
	case v.State == Available && v.Number < current:
		return "previous"
	case v.State == Available:
		return "candidate" // verified, and not yet current
	case v.State == Retiring:
		return "retiring"
	}
	return string(v.State)
}

// NewestUsable is the highest version that may be current among those below a number; 0: there is none.
func NewestUsable(all []Version, below int) Version {
	var newest Version
	for _, v := range all {
		if v.Usable() && v.Number < below && v.Number > newest.Number {
			newest = v
		}
	}
	return newest
}

// ImageOf is the image's name of web@41, or of web.
func ImageOf(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	return name
}

// Restorable says why the version cannot be made available again; empty: it can.
func (v Version) Restorable() string {
	switch {
	case v.Committed.IsZero():
		return fmt.Sprintf("it is %s: it was never verified", v.State)
	case v.State == Retired:
		return "it is retired: its AMIs are gone"
	case v.State == Retiring && (v.Retirement == nil || !v.Retirement.Removing.IsZero()):
		return "its AMIs are being removed"
	}
	return ""
}
