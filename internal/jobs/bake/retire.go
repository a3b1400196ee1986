package bake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// retireAtOnce bounds what one bake removes; the next one goes on.
const retireAtOnce = 20

// retire removes versions beyond those to keep that nothing uses, in every region, with their snapshots.
func (b *program) retire(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	old, err := b.surplus(ctx)
	if err != nil || len(old) == 0 {
		return jobs.Done(), err
	}
	inFleets, err := b.inFleets(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	for _, v := range old {
		name := fmt.Sprintf("%s@%d", v.Image, v.Number)
		if by := inFleets[name]; by != "" {
			turn.Note("%s stays: the fleet %s uses it", name, by)
			continue
		}
		by, err := b.usersOf(ctx, v)
		if err != nil {
			return jobs.Move{}, err
		}
		if by != "" {
			turn.Note("%s stays: %s uses it", name, by)
			continue
		}
		if err := b.retireVersion(ctx, turn, v); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

// surplus are the versions beyond those to keep, oldest first. The current one stays whatever its number is.
func (b *program) surplus(ctx context.Context) ([]l.Version, error) {
	line, _, err := b.kind.Catalog.GetImage(ctx, b.job.Name)
	if err != nil {
		return nil, err
	}
	all, err := b.kind.Catalog.Versions(ctx, b.job.Name)
	if err != nil {
		return nil, err
	}
	return beyond(all, line.Current, b.progress.Version, b.spec.Keep.Versions), nil
}

// beyond are the versions that there are more of than keep, oldest first, as many as one bake removes.
func beyond(all []l.Version, current, own, keep int) []l.Version {
	slices.SortFunc(all, func(a, b l.Version) int { return b.Number - a.Number })
	var old []l.Version
	kept := 0
	for _, v := range all {
		switch {
		case v.State == l.Retiring:
			old = append(old, v)
		case v.State != l.Available:
		case kept < keep || v.Number == current || v.Number == own:
			kept++
		default:
			old = append(old, v)
		}
	}
	slices.Reverse(old)
	return old[:min(len(old), retireAtOnce)]
}

// inFleets tells which versions of the image the ledger's fleets and servers use.
func (b *program) inFleets(ctx context.Context) (map[string]string, error) {
	fleets, err := b.kind.Catalog.ListFleets(ctx)
	if err != nil {
		return nil, err
	}
	used := map[string]string{}
	for _, fleet := range fleets {
		image, _, _ := strings.Cut(fleet.Image, "@")
		if image != b.job.Name {
			continue
		}
		used[fleet.Image] = fleet.Name
		servers, err := b.kind.Catalog.Servers(ctx, fleet.Name)
		if err != nil {
			return nil, err
		}
		for _, s := range servers {
			used[s.Image] = fleet.Name
		}
	}
	return used, nil
}

// usersOf names one thing that uses an AMI of the version: EC2 is asked in each region.
func (b *program) usersOf(ctx context.Context, v l.Version) (string, error) {
	for _, region := range sortedKeys(v.Regions) {
		id := v.Regions[region].AMI
		users, err := b.ec2In(region).ImageUsers(ctx, id)
		if err != nil {
			return "", err
		}
		if len(users[id]) > 0 {
			return users[id][0], nil
		}
	}
	return "", nil
}

// retireVersion removes the version's AMIs. The state goes before: nobody launches from one that is being removed.
func (b *program) retireVersion(ctx context.Context, turn *jobs.Turn, v l.Version) error {
	if v.State != l.Retiring {
		if err := b.kind.Catalog.SetVersionState(ctx, turn.Guard(), v.Image, v.Number, l.Retiring); err != nil {
			return err
		}
	}
	for _, region := range sortedKeys(v.Regions) {
		if err := b.removeAMI(ctx, turn, region, v.Regions[region]); err != nil {
			if jobs.IsClass(err, jobs.Fatal, jobs.Busy) { // protected, or in a cooldown: the next bake tries again
				turn.Warn("%s@%d could not be removed from %s: %v", v.Image, v.Number, region, err)
				return nil
			}
			return err
		}
	}
	if err := b.kind.Catalog.SetVersionState(ctx, turn.Guard(), v.Image, v.Number, l.Retired); err != nil {
		return err
	}
	turn.Note("retired %s@%d", v.Image, v.Number)
	b.progress.Retired = append(b.progress.Retired, v.Number)
	return nil
}

// removeAMI deregisters an AMI that carries our tag; any other one, whatever the catalog says, is left alone.
func (b *program) removeAMI(ctx context.Context, turn *jobs.Turn, region string, copied l.RegionalCopy) error {
	ec2 := b.ec2In(region)
	found, err := ec2.Images(ctx, copied.AMI)
	if err != nil || len(found) == 0 {
		return err
	}
	if found[0].Tags[jobs.TagInstallation] != turn.Installation {
		return jobs.Fatalf("retire", copied.AMI, "it does not carry this installation's tag", "deregister it by hand")
	}
	return b.deregister(ctx, ec2, copied.AMI)
}

// deregister removes an AMI, and lifts its protection first where EC2 refused: one that is still being made has none yet, and
// may not take a call that lifts it.
func (b *program) deregister(ctx context.Context, ec2 EC2, id string) error {
	err := ec2.Deregister(ctx, id, true)
	if err == nil || b.spec.Protect == nil || jobs.IsClass(err, jobs.Retry, jobs.Propagating, jobs.Busy) {
		return err
	}
	if lifting := ec2.Unprotect(ctx, id); lifting != nil {
		return lifting
	}
	return ec2.Deregister(ctx, id, true)
}
