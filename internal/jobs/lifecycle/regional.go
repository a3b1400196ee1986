package lifecycle

import (
	"cmp"
	"context"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// UsersIn names who uses one AMI of a version, of what this account can see: fleets of the ledger by their servers, and in
// its own region what EC2 tells. An AMI that its region goes on to have another copy of is used by what names it; else also
// by the fleets of the region that run the version by its name, since they would launch from it again. Region is that of
// fleets that name none.
//
// An AMI that another account owns is what that account's fleets launch from.
func (r Line) UsersIn(ctx context.Context, v l.Version, ami l.Located, replaced bool, region string) ([]string, error) {
	fleets, err := r.Catalog.ListFleets(ctx)
	if err != nil {
		return nil, err
	}
	var users []string
	for _, fleet := range fleets {
		uses := !replaced && cmp.Or(fleet.Target.Region, region) == ami.Region && (fleet.Image == v.Ref() || fleet.Previous == v.Ref()) &&
			(ami.Role == "" || fleet.Target.Account() == jobs.Target{Role: ami.Role}.Account())
		if !uses {
			if uses, err = r.runs(ctx, fleet.Name, ami.AMI); err != nil {
				return nil, err
			}
		}
		if uses {
			users = append(users, "the fleet "+fleet.Name)
		}
	}
	told, err := r.EC2(ami.Role, ami.Region).ImageUsers(ctx, ami.AMI)
	if err != nil && !jobs.IsClass(err, jobs.NotFound, jobs.Propagating) { // one that is gone is used by nobody
		return nil, err
	}
	slices.Sort(told[ami.AMI])
	return append(users, told[ami.AMI]...), nil
}

// runs reports whether a server of the fleet was launched from the AMI: one that holds an ordinal, or is about to.
func (r Line) runs(ctx context.Context, fleet, ami string) (bool, error) {
	servers, err := r.Catalog.Servers(ctx, fleet)
	if err != nil {
		return false, err
	}
	seconds, err := r.Catalog.Seconds(ctx, fleet)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(append(servers, seconds...), func(s l.Server) bool { return s.AMI == ami }), nil
}
