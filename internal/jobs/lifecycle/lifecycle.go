// Package lifecycle removes versions of an image that nothing uses, a stage at a time: deprecated, then disabled, then
// deregistered with their snapshots. Each stage stands for a while, as asked, and a look at everything that may use the
// version comes before each: fleets of the ledger, servers, launch templates and parameters in every region, and what
// accounts with which it is shared report. What protects an AMI is respected: lifted only where its own Bake put it there.
package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

// EC2 is what the stages ask of one region.
type EC2 interface {
	Images(ctx context.Context, ids ...string) ([]c.Image, error)
	ImageUsers(ctx context.Context, imageIDs ...string) (map[string][]string, error)
	DeprecateAt(ctx context.Context, imageID string, at time.Time) error
	Disable(ctx context.Context, imageID string) error
	Unprotect(ctx context.Context, imageID string) error
	Deregister(ctx context.Context, imageID string, deleteSnapshots bool) error
	Reports
}

// Reports tell which other accounts may use an AMI, and what they do with it.
type Reports interface {
	ImageShares(ctx context.Context, imageID string) (c.Share, error)
	AskUsage(ctx context.Context, imageID, token string, tags map[string]string) (reportID string, err error)
	Usage(ctx context.Context, reportID string) (usage []c.Usage, ready, known bool, err error)
}

// Catalog is what is known of the image, and of what runs it.
type Catalog interface {
	GetImage(ctx context.Context, name string) (l.Image, bool, error)
	Versions(ctx context.Context, image string) ([]l.Version, error)
	SetVersionState(ctx context.Context, g jobs.Guard, image string, number int, state l.VersionState) error
	ChangeVersion(ctx context.Context, g jobs.Guard, image string, number int, change func(*l.Version) error) (l.Version, error)
	ListFleets(ctx context.Context) ([]l.Fleet, error)
	Servers(ctx context.Context, fleet string) ([]l.Server, error)
	Seconds(ctx context.Context, fleet string) ([]l.Server, error)
}

// Keep says what stays: the newest versions, and those that are young enough. What is beyond both goes, in stages.
type Keep struct {
	Versions int
	Age      time.Duration
	// Deprecated and Disabled are how long the stages stand before the next; 0 leaves a stage out.
	Deprecated, Disabled time.Duration
}

// IsZero reports whether all versions stay.
func (k Keep) IsZero() bool { return k.Versions == 0 && k.Age == 0 }

// Line is one image whose versions are looked at.
type Line struct {
	Image   string
	Catalog Catalog
	// EC2 is a region's, in the account that the role is of; without a role in the image's own.
	EC2  func(role, region string) EC2
	Keep Keep
	// Own is a version that stays whatever its age: that of the bake which asks. 0: none.
	Own int
}

// AtOnce bounds what one job removes; the next one goes on.
const AtOnce = 20

// Stay is a version that is surplus and stays all the same.
type Stay struct {
	Version string `json:"version"`
	Because string `json:"because"`
}

// Outcome is what was done.
type Outcome struct {
	// Retired are gone; Deprecated and Disabled have come that far.
	Retired    []int  `json:"retired,omitempty"`
	Deprecated []int  `json:"deprecated,omitempty"`
	Disabled   []int  `json:"disabled,omitempty"`
	Stay       []Stay `json:"stay,omitempty"`
}

// Surplus are the versions that there are more of than are to be kept, oldest first, as many as one job removes. The current
// one stays whatever its number is, and so does what was imported: nobody made it here.
func (r Line) Surplus(ctx context.Context, now time.Time) ([]l.Version, error) {
	line, _, err := r.Catalog.GetImage(ctx, r.Image)
	if err != nil {
		return nil, err
	}
	all, err := r.Catalog.Versions(ctx, r.Image)
	if err != nil {
		return nil, err
	}
	return Beyond(all, line.Current, r.Own, r.Keep, now), nil
}

// Beyond is Surplus of versions that were read already.
func Beyond(all []l.Version, current, own int, keep Keep, now time.Time) []l.Version {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b l.Version) int { return b.Number - a.Number })
	var old []l.Version
	kept := 0
	for _, v := range all {
		young := keep.Age > 0 && now.Sub(v.Committed) < keep.Age
		switch {
		case v.Imported != "" && v.State != l.Retiring:
		case v.State == l.Retiring:
			old = append(old, v)
		case v.State == l.Recalled && !young && keep.Age > 0:
			old = append(old, v)
		case v.State != l.Available:
		case v.Number == current, v.Number == own, kept < keep.Versions, young:
			kept++
		default:
			old = append(old, v)
		}
	}
	slices.Reverse(old)
	return old[:min(len(old), AtOnce)]
}

// Retire brings each surplus version that nothing uses to its next stage.
func (r Line) Retire(ctx context.Context, turn *jobs.Turn) (Outcome, error) {
	var out Outcome
	if r.Keep.IsZero() {
		return out, nil
	}
	old, err := r.Surplus(ctx, turn.Now())
	if err != nil || len(old) == 0 {
		return out, err
	}
	users, err := r.Users(ctx, old)
	if err != nil {
		return out, err
	}
	for _, v := range old {
		by := users[v.Ref()]
		if by == "" {
			if by, err = r.shared(ctx, turn, &v); err != nil {
				return out, err
			}
		}
		if by != "" {
			turn.Note("%s stays: %s", v.Ref(), by)
			out.Stay = append(out.Stay, Stay{v.Ref(), by})
			continue
		}
		if err := r.stage(ctx, turn, v, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// Users names one user of each version that has one, of what this account can see: fleets and servers of the ledger, and what EC2 tells
// in each region, ten AMIs a call.
func (r Line) Users(ctx context.Context, versions []l.Version) (map[string]string, error) {
	used, err := r.inFleets(ctx)
	if err != nil {
		return nil, err
	}
	type view struct{ role, region string }
	byView, refs := map[view][]string{}, map[string]string{}
	for _, v := range versions {
		for _, copied := range v.AMIs() {
			if user := used[copied.AMI]; user != "" && used[v.Ref()] == "" {
				used[v.Ref()] = user
			}
			if used[v.Ref()] == "" && copied.AMI != "" {
				at := view{copied.Role, copied.Region}
				byView[at], refs[copied.AMI] = append(byView[at], copied.AMI), v.Ref()
			}
		}
	}
	inOrder := func(a, b view) int { return cmp.Or(cmp.Compare(a.role, b.role), cmp.Compare(a.region, b.region)) }
	for _, at := range slices.SortedFunc(maps.Keys(byView), inOrder) {
		amis := byView[at]
		slices.Sort(amis)
		users, err := r.EC2(at.role, at.region).ImageUsers(ctx, amis...)
		if err != nil {
			return nil, err
		}
		for ami, by := range users {
			if len(by) > 0 {
				used[refs[ami]] = by[0] + " uses it"
			}
		}
	}
	return used, nil
}

// inFleets tells which versions and AMIs the ledger's fleets and servers use. What a fleet ran before counts too: a rollback goes there.
func (r Line) inFleets(ctx context.Context) (map[string]string, error) {
	fleets, err := r.Catalog.ListFleets(ctx)
	if err != nil {
		return nil, err
	}
	used := map[string]string{}
	for _, fleet := range fleets {
		text := "the fleet " + fleet.Name + " uses it"
		used[fleet.Image], used[fleet.Previous] = text, text
		servers, err := r.Catalog.Servers(ctx, fleet.Name)
		if err != nil {
			return nil, err
		}
		seconds, err := r.Catalog.Seconds(ctx, fleet.Name) // a rollout's successors
		if err != nil {
			return nil, err
		}
		for _, s := range append(servers, seconds...) {
			used[s.Image], used[s.AMI] = text, text
		}
	}
	delete(used, "")
	return used, nil
}

// stage brings a version that nothing uses to its next stage, if its time has come.
func (r Line) stage(ctx context.Context, turn *jobs.Turn, v l.Version, out *Outcome) error {
	now, done := turn.Now().UTC(), l.Retirement{}
	if v.Retirement != nil {
		done = *v.Retirement
	}
	switch {
	case v.State == l.Available && r.Keep.Deprecated > 0 && done.Deprecated.IsZero():
		out.Deprecated = append(out.Deprecated, v.Number)
		return r.deprecate(ctx, turn, v, now)
	case v.State == l.Available && r.Keep.Deprecated > 0 && now.Sub(done.Deprecated) < r.Keep.Deprecated:
		return nil
	case r.Keep.Disabled > 0 && done.Disabled.IsZero():
		out.Disabled = append(out.Disabled, v.Number)
		return r.disable(ctx, turn, v, now)
	case r.Keep.Disabled > 0 && now.Sub(done.Disabled) < r.Keep.Disabled:
		return nil
	}
	return r.remove(ctx, turn, v, out)
}

func (r Line) note(ctx context.Context, turn *jobs.Turn, v l.Version, change func(*l.Retirement)) error {
	_, err := r.Catalog.ChangeVersion(ctx, turn.Guard(), v.Image, v.Number, func(stands *l.Version) error {
		if stands.Retirement == nil {
			stands.Retirement = &l.Retirement{}
		}
		change(stands.Retirement)
		return nil
	})
	return err
}

// deprecate marks the AMIs: they can still be launched, and are not shown to others who list.
func (r Line) deprecate(ctx context.Context, turn *jobs.Turn, v l.Version, now time.Time) error {
	at := now.Add(2 * time.Minute).Truncate(time.Minute) // EC2 refuses an instant that has passed
	for _, ami := range v.AMIs() {
		if err := r.EC2(ami.Role, ami.Region).DeprecateAt(ctx, ami.AMI, at); err != nil && !jobs.IsClass(err, jobs.NotFound, jobs.Propagating) {
			return err
		}
	}
	turn.Note("%s is deprecated", v.Ref())
	return r.note(ctx, turn, v, func(stage *l.Retirement) { stage.Deprecated = now })
}

// disable lets nobody launch from the version any more. The ledger says so before EC2 does; `stampmill image restore` undoes it.
func (r Line) disable(ctx context.Context, turn *jobs.Turn, v l.Version, now time.Time) error {
	if err := r.note(ctx, turn, v, func(*l.Retirement) {}); err != nil {
		return err
	}
	if err := r.Catalog.SetVersionState(ctx, turn.Guard(), v.Image, v.Number, l.Retiring); err != nil {
		return err
	}
	for _, ami := range v.AMIs() {
		if err := r.EC2(ami.Role, ami.Region).Disable(ctx, ami.AMI); err != nil {
			return err
		}
	}
	turn.Note("%s is disabled", v.Ref())
	return r.note(ctx, turn, v, func(stage *l.Retirement) { stage.Disabled = now })
}

// remove deregisters the version's AMIs with their snapshots. The state goes before: nobody launches from one that is being
// removed, and nobody restores it.
func (r Line) remove(ctx context.Context, turn *jobs.Turn, v l.Version, out *Outcome) error {
	if v.Retirement != nil {
		if err := r.note(ctx, turn, v, func(stage *l.Retirement) { stage.Removing = turn.Now().UTC() }); err != nil {
			return err
		}
	}
	if v.State != l.Retiring {
		if err := r.Catalog.SetVersionState(ctx, turn.Guard(), v.Image, v.Number, l.Retiring); err != nil {
			return err
		}
	}
	for _, ami := range v.AMIs() {
		if err := r.Remove(ctx, turn, v, ami); err != nil {
			if !jobs.IsClass(err, jobs.Fatal, jobs.Busy) {
				return err
			}
			turn.Warn("%s could not be removed from %s: %v", v.Ref(), ami.Region, err) // protected, or in a cooldown: the next one tries again
			out.Stay = append(out.Stay, Stay{v.Ref(), err.Error()})
			return nil
		}
	}
	if err := r.Catalog.SetVersionState(ctx, turn.Guard(), v.Image, v.Number, l.Retired); err != nil {
		return err
	}
	turn.Note("retired %s", v.Ref())
	out.Retired = append(out.Retired, v.Number)
	return nil
}

// Remove deregisters an AMI that carries our tag; any other one, whatever the catalog says, is left alone. Its protection is lifted
// only where the version's own Bake put it there; a cooldown that follows is waited for.
func (r Line) Remove(ctx context.Context, turn *jobs.Turn, v l.Version, of l.Located) error {
	ami, ec2 := of.AMI, r.EC2(of.Role, of.Region)
	found, err := ec2.Images(ctx, ami)
	if err != nil || len(found) == 0 {
		return err
	}
	if found[0].Tags[jobs.TagInstallation] != turn.Installation {
		return jobs.Fatalf("retire", ami, "it does not carry this installation's tag", "deregister it by hand")
	}
	err = ec2.Deregister(ctx, ami, true)
	if err == nil || !release.Of(v).Protected || jobs.IsClass(err, jobs.Retry, jobs.Propagating, jobs.Busy, jobs.InLine) {
		return err
	}
	if lifting := ec2.Unprotect(ctx, ami); lifting != nil {
		return lifting
	}
	if err = ec2.Deregister(ctx, ami, true); err != nil {
		err = fmt.Errorf("%w; if its protection has a cooldown, it ends 24 hours after it was lifted", err)
	}
	return err
}
