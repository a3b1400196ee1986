package copies

import (
	"context"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Remains are what an undo finds and removes in one region.
type Remains interface {
	ImagesTagged(ctx context.Context, tags map[string]string) ([]c.Image, error)
	SnapshotsTagged(ctx context.Context, tags map[string]string) ([]c.Snapshot, error)
	DeleteSnapshot(ctx context.Context, id string) error
}

// Undo removes every AMI of this run in one region, and the snapshots that a failed one left.
type Undo struct {
	EC2 Remains
	// Deregister removes an AMI with its snapshots.
	Deregister func(ctx context.Context, id string) error
	// Known are those that were recorded. EC2 may not show them yet.
	Known []*AMI
	// Keep are ids of AMIs and snapshots that stay: what the ledger names.
	Keep map[string]bool
}

// Remove reports whether there was nothing more to remove.
func (u Undo) Remove(ctx context.Context, turn *jobs.Turn) (gone bool, err error) {
	images, err := u.EC2.ImagesTagged(ctx, OwnTags(turn))
	if err != nil {
		return false, err
	}
	gone = true
	for _, i := range images {
		if i.State == "deregistered" || u.Keep[i.ID] {
			continue
		}
		gone = false
		if err := u.Deregister(ctx, i.ID); err != nil {
			return false, err
		}
	}
	if u.hides(turn, images) || !gone {
		return false, nil // snapshots can go once their image has
	}
	snapshots, err := u.EC2.SnapshotsTagged(ctx, OwnTags(turn))
	if err != nil {
		return false, err
	}
	for _, s := range snapshots {
		if u.Keep[s.ID] {
			continue
		}
		gone = false
		if err := u.EC2.DeleteSnapshot(ctx, s.ID); err != nil {
			return false, err
		}
	}
	return gone, nil
}

// hides reports whether EC2 may not show yet an image that it has just begun. One that it showed once and shows no more is
// gone.
func (u Undo) hides(turn *jobs.Turn, shown []c.Image) bool {
	hidden := false
	for _, i := range u.Known {
		if slices.ContainsFunc(shown, func(s c.Image) bool { return s.ID == i.ID }) {
			i.Seen = true
		}
		hidden = hidden || (i.ID != "" && !i.Seen && turn.Now().Sub(i.Begun) < jobs.PropagationLimit)
	}
	return hidden
}

// Removal removes AMIs.
type Removal interface {
	Deregister(ctx context.Context, imageID string, deleteSnapshots bool) error
	Unprotect(ctx context.Context, imageID string) error
}

// Deregister removes an AMI with its snapshots, and lifts its protection first where EC2 refused: one that is still being made
// has none yet, and may not take a call that lifts it.
func Deregister(ctx context.Context, ec2 Removal, id string, protected bool) error {
	err := ec2.Deregister(ctx, id, true)
	if err == nil || !protected || jobs.IsClass(err, jobs.Retry, jobs.Propagating, jobs.Busy) {
		return err
	}
	if lifting := ec2.Unprotect(ctx, id); lifting != nil {
		return lifting
	}
	return ec2.Deregister(ctx, id, true)
}
