package distribute

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

const reportLook = 30 * time.Second

// remove deregisters the AMIs that nothing is launched from any more, with their snapshots. Each is looked at once more: who
// began to use one before the ledger let go of it keeps it.
func (p *program) remove(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	v, found, err := p.Ledger.GetVersion(ctx, p.job.Name, p.progress.Version)
	if err != nil || !found {
		return jobs.Done(), err
	}
	p.progress.Stay = nil
	waits, back := "", []string(nil)
	for _, ami := range v.AMIs() {
		if !ami.Leaving {
			continue
		}
		by, pending, err := p.removeOne(ctx, turn, &v, ami)
		switch {
		case err != nil:
			return jobs.Move{}, err
		case pending:
			waits = by
		case by == "":
			p.progress.Removed = append(p.progress.Removed, ami.Place()+" "+ami.AMI)
		default:
			p.progress.Stay = append(p.progress.Stay, lifecycle.Stay{Version: ami.AMI + " in " + ami.Place(), Because: by})
			if _, replaced := v.At(ami.Place()); !replaced {
				back = append(back, ami.Place()+": "+by)
			} else {
				turn.Warn("%s in %s was replaced and stays until nothing uses it: %s", ami.AMI, ami.Place(), by)
			}
		}
	}
	switch {
	case waits != "":
		return jobs.Wait(p.pace(reportLook), "%s", waits), nil
	case len(back) > 0:
		return jobs.Fail("%s stays where it came into use meanwhile: %s", v.Ref(), strings.Join(back, "; ")), nil
	}
	return jobs.Done(), nil
}

// removeOne says who keeps the AMI; nobody: it is gone.
func (p *program) removeOne(ctx context.Context, turn *jobs.Turn, v *l.Version, ami l.Located) (by string, pending bool, err error) {
	_, replaced := v.At(ami.Place())
	users, err := p.users(ctx, *v, ami, replaced)
	if err != nil {
		return "", false, err
	}
	if by = some(users); by == "" {
		by, pending, err = p.others(ctx, turn, v, ami)
		if err != nil || pending {
			return by, pending, err
		}
	}
	if by == "" {
		if err = p.line().Remove(ctx, turn, *v, ami); jobs.IsClass(err, jobs.Fatal, jobs.Busy) {
			by = err.Error() // protected by somebody else, or in a cooldown: the next one tries again
		} else if err != nil {
			return "", false, err
		}
	}
	return by, false, p.leave(ctx, turn, ami, by != "" && !replaced, by == "")
}

// others asks what other accounts do with an AMI that is open to them.
func (p *program) others(ctx context.Context, turn *jobs.Turn, v *l.Version, ami l.Located) (by string, pending bool, err error) {
	open, err := p.ec2(ami.Place()).ImageShares(ctx, ami.AMI)
	if jobs.IsClass(err, jobs.NotFound, jobs.Propagating) {
		return "", false, nil
	}
	if err != nil || open.IsZero() {
		return "", false, err
	}
	return p.line().Others(ctx, turn, v, ami)
}

// leave writes what became of the AMI: back into what is launched from, or gone.
func (p *program) leave(ctx context.Context, turn *jobs.Turn, ami l.Located, back, gone bool) error {
	if !back && !gone {
		return nil
	}
	_, err := p.Ledger.ChangeVersion(ctx, turn.Guard(), p.job.Name, p.progress.Version, func(v *l.Version) error {
		if gone {
			v.Left(ami.AMI)
		} else {
			v.Stay(ami.Place(), ami.AMI)
		}
		return nil
	})
	return err
}

// undoCopies removes the copies of this run that the ledger does not name.
func (p *program) undoCopies(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if p.progress.Change == nil || len(p.progress.Change.Copies) == 0 {
		return jobs.Done(), nil
	}
	v, _, err := p.Ledger.GetVersion(ctx, p.job.Name, p.progress.Version)
	if err != nil {
		return jobs.Move{}, err
	}
	keep := map[string]bool{}
	for _, ami := range v.AMIs() {
		keep[ami.AMI] = true
		for _, id := range ami.Snapshots {
			keep[id] = true
		}
	}
	protected := release.Of(v).Protected
	return jobs.Unmake(ctx, turn, "the copies", func(ctx context.Context) (bool, error) {
		gone := true
		for _, place := range slices.Clone(p.progress.Change.Copies) {
			ec2, made := p.ec2(place), p.progress.Copies[place]
			made.Seen = made.Seen || keep[made.ID]
			clean, err := copies.Undo{EC2: ec2, Known: []*copies.AMI{&made}, Keep: keep,
				Deregister: func(ctx context.Context, id string) error { return copies.Deregister(ctx, ec2, id, protected) }}.Remove(ctx, turn)
			if err != nil {
				return false, err
			}
			if made.ID != "" {
				p.progress.Copies[place] = made
			}
			gone = gone && clean
		}
		return gone, nil
	})
}
