package distribute

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

const lineLook = 10 * time.Second

// own fixes the version and makes this job the only one that changes where it is.
func (p *program) own(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	line, found, err := p.Ledger.GetImage(ctx, p.job.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	if p.progress.Version == 0 {
		p.progress.Version = p.spec.Version
	}
	if p.progress.Version == 0 {
		p.progress.Version = line.Current
	}
	switch {
	case !found:
		return jobs.Fail("there is no image %s; see `stampmill image list`", p.job.Name), nil
	case p.progress.Version == 0:
		return jobs.Fail("no version of %s is current; name one: version: 1", p.job.Name), nil
	case line.Role != p.job.Target.Role:
		return jobs.Fail("%s is made with the role %s, not %s; write the same role: in the document", p.job.Name, orNone(line.Role), orNone(p.job.Target.Role)), nil
	}
	v, owned, err := p.Ledger.OwnVersion(ctx, turn.Guard(), p.job.Name, p.progress.Version, p.job.ID)
	switch {
	case jobs.IsClass(err, jobs.NotFound):
		return jobs.Fail("%v", err), nil
	case err != nil:
		return jobs.Move{}, err
	case !owned:
		return jobs.Wait(p.pace(lineLook), "%s, which %s distributes", p.ref(), v.Owner), nil
	}
	return jobs.Done(), nil
}

func orNone(role string) string {
	if role == "" {
		return "of the worker itself"
	}
	return role
}

// share makes the launch permissions of every AMI that is there equal to the spec.
func (p *program) share(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if p.spec.Share == nil {
		return jobs.Done(), nil
	}
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	for _, ami := range v.AMIs() {
		if ami.Role != "" {
			continue
		}
		err := p.equal(ctx, turn, ami.Region, ami.AMI, p.spec.want(), !p.progress.Change.goes(ami))
		if err != nil && !jobs.IsClass(err, jobs.NotFound, jobs.Propagating) { // one that is gone is open to nobody
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

// equal closes one AMI, and opens it if it stays.
func (p *program) equal(ctx context.Context, turn *jobs.Turn, region, ami string, want c.Share, stays bool) error {
	have, err := p.ec2(region).ImageShares(ctx, ami)
	if err != nil {
		return err
	}
	add, remove := want.Minus(have), have.Minus(want)
	if !stays {
		add = c.Share{}
	}
	if add.IsZero() && remove.IsZero() {
		return nil
	}
	if err := p.ec2(region).ShareImage(ctx, ami, add, remove); err != nil {
		return err
	}
	turn.Note("%s in %s: opened to %v, closed to %v", ami, region, add.Principals(), remove.Principals())
	return nil
}

// copies begins the copies that are missing and waits for all.
func (p *program) copies(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	change := p.progress.Change
	if p.progress.Copies == nil {
		p.progress.Copies = map[string]copies.AMI{}
	}
	places := p.spec.wanted()
	return copies.Copier{Source: change.Source, Places: change.Copies, Made: p.progress.Copies,
		Looks: copies.Looks{Usual: p.progress.Usual, Pace: p.pace},
		EC2:   func(place string) copies.EC2 { return p.ec2(place) },
		Request: func(turn *jobs.Turn, place string) c.CopyRequest {
			to, tags := places[place].to, maps.Clone(p.progress.Tags)
			if tags == nil {
				tags = map[string]string{}
			}
			maps.Copy(tags, turn.Tags(copies.Thing(place)))
			return c.CopyRequest{SourceRegion: change.Home, ImageID: change.Source, Name: p.amiName(), Description: p.ref() + " from " + change.Home,
				KMSKey: to.KMSKey, Encrypted: to.Encrypted || to.KMSKey != "", ImageTags: tags}
		},
	}.Copy(ctx, turn)
}

// amiName is another one than that of the bake, whose copy may stand beside this one for a while.
func (p *program) amiName() string {
	return fmt.Sprintf("%s-%s-r%d", p.ref(), p.job.Incarnation, p.job.Run)
}

// openCopies makes each new copy what the AMI is that it was made of: open to the same, protected, deprecated.
func (p *program) openCopies(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	wishes, want := release.Of(v), c.ShareWith(p.progress.Change.CopiesFor)
	for _, place := range p.progress.Change.Copies {
		ami, ec2 := p.progress.Copies[place].ID, p.ec2(place)
		if account, _ := l.SplitPlace(place); account == "" {
			if err := p.equal(ctx, turn, place, ami, want, true); err != nil {
				return jobs.Move{}, err
			}
		}
		if at := p.progress.Deprecated; !at.IsZero() {
			if soon := turn.Now().UTC().Add(2 * time.Minute).Truncate(time.Minute); at.Before(soon) {
				at = soon // EC2 refuses an instant that has passed
			}
			if err := ec2.DeprecateAt(ctx, ami, at); err != nil {
				return jobs.Move{}, err
			}
		}
		if wishes.Protected {
			if err := ec2.Protect(ctx, ami, wishes.Cooldown); err != nil {
				return jobs.Move{}, err
			}
		}
	}
	return jobs.Done(), nil
}

// record moves the version's row along: new copies are launched from, those that go are not any more.
func (p *program) record(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	change, now := p.progress.Change, turn.Now().UTC()
	_, err := p.Ledger.ChangeVersion(ctx, turn.Guard(), p.job.Name, p.progress.Version, func(v *l.Version) error {
		if !v.Usable() {
			return jobs.Fatalf("distribute", v.Ref(), fmt.Sprintf("it has become %s", v.State), "see `stampmill image show "+v.Image+"`")
		}
		for place, ami := range change.Removes {
			v.Leave(place, ami, now)
		}
		places := p.spec.wanted()
		for _, place := range change.Copies {
			made := p.progress.Copies[place]
			if has, _ := v.At(place); has.AMI != made.ID {
				v.Leave(place, has.AMI, now)
			}
			v.Put(place, places[place].role, l.RegionalCopy{AMI: made.ID, Snapshots: made.Snapshots, By: p.job.ID, KMSKey: places[place].to.KMSKey})
		}
		for place, kept := range v.Accounts { // reached by the spec's role from now on
			if role := places[place].role; role != "" {
				v.Put(place, role, kept.RegionalCopy)
			}
		}
		if p.spec.Share != nil {
			v.Shared = &l.Shared{With: p.spec.want().Principals(), Job: p.job.ID, At: now}
		}
		return nil
	})
	return jobs.Done(), err
}

// parameter writes the AMIs of what is current where the version publishes a parameter, and takes the parameter away in a
// region that has no AMI any more, if it names the one that goes.
func (p *program) parameter(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	name := release.Of(v).Parameter
	if name == "" {
		return jobs.Done(), nil
	}
	for _, gone := range v.Leaving {
		if _, stays := v.Regions[gone.Region]; stays || gone.Role != "" {
			continue
		}
		value, found, err := p.ssm(gone.Region).Parameter(ctx, name)
		if err != nil {
			return jobs.Move{}, err
		}
		if found && value == gone.AMI {
			if err := p.ssm(gone.Region).DeleteParameter(ctx, name); err != nil {
				return jobs.Move{}, err
			}
			turn.Note("the parameter %s in %s named %s, which goes: it is deleted", name, gone.Region, gone.AMI)
		}
	}
	line, _, err := p.Ledger.GetImage(ctx, p.job.Name)
	if err != nil || line.Current != v.Number {
		return jobs.Done(), err // what another version publishes is not this one's
	}
	return release.Line{Image: p.job.Name, Catalog: p.Ledger, Pace: p.pace, SSM: func(region string) release.Parameters { return p.ssm(region) }}.
		Parameter(ctx, turn, name, slices.Sorted(maps.Keys(v.Regions)))
}

// release lets other jobs change where the version is. A job that died of its first step does not know which one it owns.
func (p *program) release(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	all, err := p.Ledger.Versions(ctx, p.job.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	for _, owned := range all {
		if owned.Owner != p.job.ID {
			continue
		}
		_, err := p.Ledger.ChangeVersion(ctx, turn.Guard(), p.job.Name, owned.Number, func(v *l.Version) error {
			if v.Owner == p.job.ID {
				v.Owner = ""
			}
			return nil
		})
		if err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}
