package cloud

import (
	"slices"
	"strings"
	"time"
)

// Usage is how many things of one kind an account has that name an AMI, as a usage report says.
type Usage struct {
	Account string
	Kind    string // ec2:Instance, ec2:LaunchTemplate
	Count   int64
}

// Ancestor is one AMI in the chain from which another was made.
type Ancestor struct {
	ID, OwnerAlias         string
	SourceID, SourceRegion string
	Created                time.Time
}

// Everybody is the principal of a public AMI.
const Everybody = "all"

// Principals are whom the share names, in order: account ids, ARNs of organizations and organizational units, and Everybody.
func (s Share) Principals() []string {
	list := slices.Concat(s.Accounts, s.Organizations, s.OUs)
	if s.Public {
		list = append(list, Everybody)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// ShareWith is the share with these principals.
func ShareWith(principals []string) Share {
	var s Share
	for _, p := range principals {
		switch {
		case p == Everybody:
			s.Public = true
		case strings.Contains(p, ":ou/"):
			s.OUs = append(s.OUs, p)
		case strings.HasPrefix(p, "arn:"):
			s.Organizations = append(s.Organizations, p)
		default:
			s.Accounts = append(s.Accounts, p)
		}
	}
	return s
}

// Minus are the principals of s that o does not have.
func (s Share) Minus(o Share) Share {
	others := o.Principals()
	return ShareWith(slices.DeleteFunc(s.Principals(), func(p string) bool { return slices.Contains(others, p) }))
}

// IsZero reports whether the share names nobody.
func (s Share) IsZero() bool { return len(s.Principals()) == 0 }
