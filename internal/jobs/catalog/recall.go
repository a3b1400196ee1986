package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

// launchable are the version's AMIs that servers are launched from, also those that other accounts own.
func launchable(v l.Version) []l.Located {
	return slices.DeleteFunc(v.AMIs(), func(ami l.Located) bool { return ami.Leaving })
}

// of is EC2 where the AMI is, in the account that owns it.
func (p *program) of(ami l.Located) EC2 {
	return p.EC2(jobs.Target{Role: cmp.Or(ami.Role, p.job.Target.Role), Region: ami.Region})
}

// version is the one that a recall or a restore is about.
func (p *program) version(ctx context.Context) (l.Version, error) {
	p.progress.Version = p.order.version
	v, found, err := p.Ledger.GetVersion(ctx, p.job.Name, p.order.version)
	if err == nil && !found {
		err = jobs.Fatalf(strings.ToLower(p.name), p.ref(p.order.version), "there is no such version", "see `stampmill image show "+p.job.Name+"`")
	}
	return v, err
}

// look reads whom the AMIs are open to: EC2 forgets it when it disables one.
func (p *program) look(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	p.progress.Shares = map[string][]string{}
	for _, ami := range launchable(v) {
		share, err := p.of(ami).ImageShares(ctx, ami.AMI)
		switch {
		case jobs.IsClass(err, jobs.NotFound, jobs.Propagating):
			turn.Warn("%s of %s is not there in %s", ami.AMI, v.Ref(), ami.Place())
		case err != nil:
			return jobs.Move{}, err
		case !share.IsZero():
			p.progress.Shares[ami.Place()] = share.Principals()
		}
	}
	return jobs.Done(), nil
}

// recall is the commit point: from here on nobody launches from the version, and current has left it.
func (p *program) recall(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if p.Committed() {
		return jobs.Done(), nil
	}
	m, err := p.Ledger.RecallVersion(ctx, turn.Guard(), p.asked(turn), p.progress.Version, l.Recall{Reason: p.order.reason, Shares: p.progress.Shares})
	if err != nil {
		return jobs.Move{}, fatal(err)
	}
	p.progress.Moved = &m
	turn.Note("recalled %s; %s is current", p.ref(p.progress.Version), orNone(p.ref(m.To)))
	return jobs.Done(), nil
}

func orNone(ref string) string {
	if ref == "" {
		return "no version"
	}
	return ref
}

// disable lets EC2 refuse the version's AMIs in every region, also to those who know their ids, unless the version was
// restored meanwhile.
func (p *program) disable(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if v.State != l.Recalled {
		turn.Warn("%s was restored meanwhile: its AMIs are left as they are", v.Ref())
		return jobs.Done(), nil
	}
	return p.each(ctx, turn, "disabled", func(ctx context.Context, ec2 EC2, ami string) error { return ec2.Disable(ctx, ami) })
}

// enable takes that back.
func (p *program) enable(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if why := v.Restorable(); why != "" {
		return jobs.Fail("%s: %s", v.Ref(), why), nil
	}
	if v.Recall != nil {
		p.progress.Shares = v.Recall.Shares
	}
	return p.available(ctx, turn)
}

// see looks after the restore whether the AMIs are as it left them: a recall that was under way may have disabled some more,
// and does so no longer.
func (p *program) see(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if v, err := p.version(ctx); err != nil || v.State != l.Available { // recalled again: that is the newer order
		return jobs.Done(), err
	}
	if move, err := p.available(ctx, turn); err != nil || !move.IsDone() {
		return move, err
	}
	return p.share(ctx, turn)
}

func (p *program) available(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	return p.each(ctx, turn, "available", func(ctx context.Context, ec2 EC2, ami string) error { return ec2.Enable(ctx, ami) })
}

const stateLook = 2 * time.Second

// each brings each of the version's AMIs to a state, and looks again until it is there. An AMI that is neither ours nor adopted is
// left alone, whatever the catalog says.
func (p *program) each(ctx context.Context, turn *jobs.Turn, state string, act func(context.Context, EC2, string) error) (jobs.Move, error) {
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if p.progress.Done == nil {
		p.progress.Done = map[string]string{}
	}
	waits := ""
	for _, located := range launchable(v) {
		ami, place, ec2 := located.AMI, located.Place(), p.of(located)
		if p.progress.Done[place] != "" {
			continue
		}
		found, err := ec2.Images(ctx, ami)
		switch {
		case err != nil:
			return jobs.Move{}, err
		case len(found) == 0 || found[0].State == "deregistered":
			turn.Warn("%s of %s is not there in %s", ami, v.Ref(), place)
			p.progress.Done[place] = "gone"
		case found[0].State == state:
			p.progress.Done[place] = ami
		case found[0].Tags[jobs.TagInstallation] != turn.Installation && v.Imported == "":
			turn.Warn("%s of %s in %s does not carry this installation's tag: it was left alone", ami, v.Ref(), place)
			p.progress.Done[place] = "left alone"
		default:
			if err := act(ctx, ec2, ami); err != nil {
				return jobs.Move{}, err
			}
			waits = ami
		}
	}
	if waits != "" {
		return jobs.Wait(p.pace(stateLook), "%s to be %s", waits, state), nil
	}
	return jobs.Done(), nil
}

// share opens the AMIs again to whom they were open before, and to whom the stored spec says.
func (p *program) share(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	for _, ami := range launchable(v) {
		if p.progress.Done[ami.Place()] != ami.AMI {
			continue
		}
		var want c.Share
		if ami.Role == "" {
			want = release.Of(v).Share
		}
		if shares := p.progress.Shares[ami.Place()]; len(shares) > 0 {
			want = c.ShareWith(shares)
		}
		if want.IsZero() {
			continue
		}
		have, err := p.of(ami).ImageShares(ctx, ami.AMI)
		if err != nil {
			return jobs.Move{}, err
		}
		if err := p.of(ami).ShareImage(ctx, ami.AMI, want.Minus(have), c.Share{}); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

// restore is the commit point of a restore: from here on the version may be launched from and promoted.
func (p *program) restore(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if err := p.Ledger.RestoreVersion(ctx, turn.Guard(), p.job.Name, p.order.version); err != nil {
		return jobs.Move{}, fatal(err)
	}
	p.progress.Restored, p.progress.Done = true, nil
	turn.Note("%s is available again; `stampmill image promote` makes it current", p.ref(p.order.version))
	return jobs.Done(), nil
}

// report lists the fleets that still run the recalled version, and the images that were baked from it.
func (p *program) report(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v, err := p.version(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if p.progress.Fleets, err = Running(ctx, p.Ledger, v); err != nil {
		return jobs.Move{}, err
	}
	if p.progress.Images, err = madeFrom(ctx, p.Ledger, v.Ref()); err != nil {
		return jobs.Move{}, err
	}
	for _, use := range p.progress.Fleets {
		turn.Warn("the fleet %s runs %s on %d servers: roll it to %s", use.Fleet, v.Ref(), use.Servers, orNone(p.ref(p.progress.Moved.To)))
	}
	if n := len(p.progress.Images); n > 0 {
		turn.Warn("%s: baked from %s", strings.Join(p.progress.Images[:min(n, 20)], ", "), v.Ref())
	}
	return jobs.Done(), nil
}

// Fleets tells what fleets there are and what they run.
type Fleets interface {
	ListFleets(ctx context.Context) ([]l.Fleet, error)
	Servers(ctx context.Context, fleet string) ([]l.Server, error)
}

// Running are the fleets that run a version, by its name or by one of its AMIs.
func Running(ctx context.Context, ledger Fleets, v l.Version) ([]FleetUse, error) {
	amis := map[string]bool{}
	for _, ami := range v.AMIs() {
		amis[ami.AMI] = true
	}
	fleets, err := ledger.ListFleets(ctx)
	if err != nil {
		return nil, err
	}
	var found []FleetUse
	for _, fleet := range fleets {
		servers, err := ledger.Servers(ctx, fleet.Name)
		if err != nil {
			return nil, err
		}
		use := FleetUse{Fleet: fleet.Name, Group: fleet.Group, Target: fleet.Target}
		for _, s := range servers {
			if s.Image == v.Ref() || amis[s.AMI] {
				use.Servers++
			}
		}
		if use.Servers > 0 || fleet.Image == v.Ref() {
			found = append(found, use)
		}
	}
	return found, nil
}

// madeFrom are the versions that were baked from the version, and those baked from them, that can still be launched.
func madeFrom(ctx context.Context, ledger interface {
	ListImages(ctx context.Context) ([]l.Image, error)
	Versions(ctx context.Context, image string) ([]l.Version, error)
}, ref string) ([]string, error) {
	images, err := ledger.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	children := map[string][]l.Version{}
	for _, image := range images {
		versions, err := ledger.Versions(ctx, image.Name)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			children[v.Parent] = append(children[v.Parent], v)
		}
	}
	var found []string
	seen := map[string]bool{ref: true}
	for queue := []string{ref}; len(queue) > 0; queue = queue[1:] {
		for _, v := range children[queue[0]] {
			if seen[v.Ref()] {
				continue
			}
			seen[v.Ref()] = true
			queue = append(queue, v.Ref())
			if v.Usable() {
				found = append(found, fmt.Sprint(v.Ref()))
			}
		}
	}
	return found, nil
}
