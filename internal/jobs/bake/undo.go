package bake

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

const goneLook = 10 * time.Second

// serversGone ends builder and test server at a bake's end, and sees them gone.
func (b *program) serversGone(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	var ids []string
	for _, id := range []string{b.progress.Builder.ID, b.progress.Test.ID} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return jobs.Done(), nil
	}
	b.keepConsole(ctx, turn)
	if !b.progress.Ending {
		if err := b.ec2().Terminate(ctx, ids...); err != nil {
			return jobs.Move{}, err
		}
		b.progress.Ending = true
		return jobs.Look(b.pace(goneLook), "%d servers to be terminated", len(ids)).Awaiting(things(ids)...).InCompany(b.pace(goneLook)), nil
	}
	found, err := b.ec2().Instances(ctx, ids...)
	if err != nil {
		return jobs.Move{}, err
	}
	for _, i := range found {
		if i.State != "terminated" && i.State != "shutting-down" {
			b.progress.Ending = false // the call was lost
		}
		if i.State != "terminated" {
			return jobs.Look(b.pace(goneLook), "the server %s to be terminated", i.ID).Awaiting(jobs.Await{ID: i.ID}).InCompany(b.pace(goneLook)), nil
		}
	}
	return jobs.Done(), nil
}

func things(ids []string) []jobs.Await {
	awaits := make([]jobs.Await, len(ids))
	for i, id := range ids {
		awaits[i].ID = id
	}
	return awaits
}

// undoCheck sees whether the bake committed after all: a worker may die between the catalog's write and its own. Then
// nothing of the version is undone, and what follows the commit is done.
func (b *program) undoCheck(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.progress.Version == 0 || b.Committed() {
		return jobs.Done(), nil
	}
	v, ok, err := b.kind.Catalog.GetVersion(ctx, b.job.Name, b.progress.Version)
	if err != nil || !ok || v.Incarnation != b.job.Incarnation || v.Run != b.job.Run || v.State == l.Candidate || v.State == l.Abandoned {
		return jobs.Done(), err
	}
	b.progress.Committed, b.progress.Current = v.Committed, v.Number
	turn.Note("%s was published already; it stays", b.versionName())
	return jobs.Done(), nil
}

// Resume names the step after which everything is for a published version.
func (b *program) Resume() string { return "publish" }

// keepBuilder leaves the builder of a failed bake to whoever wants to look around on it; the reaper removes it in the end.
func (b *program) keepBuilder(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	id := b.progress.Builder.ID
	if id == "" || b.job.End != jobs.Failed {
		return jobs.Done(), nil
	}
	if b.progress.Kept.IsZero() {
		b.progress.Kept = turn.Now().Add(time.Duration(b.spec.OnFailure.KeepBuilder)).UTC().Truncate(time.Second)
	}
	if err := b.kind.Catalog.PutKept(ctx, turn.Guard(), id, b.progress.Kept); err != nil {
		return jobs.Move{}, err
	}
	turn.Note("the builder %s is kept until %s", id, b.progress.Kept.Format(time.RFC3339))
	return jobs.Done(), nil
}

// undoFreeze thaws a server that is not ours.
func (b *program) undoFreeze(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if !b.progress.Frozen || b.spec.Capture.NoReboot.Thaw == nil {
		return jobs.Done(), nil
	}
	move, err := b.noRebootScript(ctx, turn, "undo-freeze")
	if err != nil || move.IsWait() {
		return move, err
	}
	if move.IsFail() {
		turn.Warn("the server %s may still be frozen: %s", b.captured(), move.Reason())
	}
	b.progress.Frozen = false
	return jobs.Done(), nil
}

// undoServers ends every server of this run, but a builder that is kept.
func (b *program) undoServers(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	b.progress.Command = nil
	b.keepConsole(ctx, turn)
	return jobs.Unmake(ctx, turn, "the servers", func(ctx context.Context) (bool, error) {
		found, err := b.ec2().InstancesTagged(ctx, copies.OwnTags(turn))
		if err != nil {
			return false, err
		}
		all := map[string]bool{}
		for _, i := range found {
			all[i.ID] = true
		}
		recorded := []string{b.progress.Builder.ID, b.progress.Test.ID}
		known, err := b.ec2().Instances(ctx, nonEmpty(recorded)...)
		if err != nil {
			return false, err
		}
		shown := map[string]bool{}
		for _, i := range known {
			shown[i.ID] = true
			if i.State != "terminated" {
				all[i.ID] = true
			}
		}
		for _, s := range []server{b.progress.Builder, b.progress.Test} { // EC2 may not show yet what it has just launched
			if s.ID != "" && !shown[s.ID] && turn.Now().Sub(s.Since) < jobs.PropagationLimit {
				all[s.ID] = true
			}
		}
		if !b.progress.Kept.IsZero() {
			delete(all, b.progress.Builder.ID)
		}
		if len(all) == 0 {
			return true, nil
		}
		return false, b.ec2().Terminate(ctx, sortedKeys(all)...)
	})
}

func nonEmpty(ids []string) []string {
	var out []string
	for _, id := range ids {
		if id != "" {
			out = append(out, id)
		}
	}
	return out
}

// undoImages removes every AMI of this run in every region, and the snapshots that a failed one left.
func (b *program) undoImages(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.Committed() {
		return jobs.Done(), nil
	}
	return jobs.Unmake(ctx, turn, "the images", func(ctx context.Context) (bool, error) {
		gone := true
		for _, region := range b.undoneRegions() {
			clean, err := b.undoImagesIn(ctx, turn, region)
			if err != nil {
				return false, err
			}
			gone = gone && clean
		}
		return gone, nil
	})
}

// undoneRegions are where this run may have AMIs. Copies are begun of an image whose id is saved, so that a region which the
// account has not enabled holds no bake up that never had one.
func (b *program) undoneRegions() []string {
	if b.progress.Image.ID == "" {
		return []string{b.region}
	}
	return b.publishedRegions()
}

func (b *program) undoImagesIn(ctx context.Context, turn *jobs.Turn, region string) (bool, error) {
	ec2, known := b.ec2In(region), []*image(nil)
	if region == b.region {
		known = append(known, &b.progress.Image, &b.progress.Intermediate)
	}
	copied, ok := b.progress.Copies[region]
	if ok {
		known = append(known, &copied)
	}
	gone, err := copies.Undo{EC2: ec2, Known: known,
		Deregister: func(ctx context.Context, id string) error { return b.deregister(ctx, ec2, id) }}.Remove(ctx, turn)
	if ok {
		b.progress.Copies[region] = copied
	}
	return gone, err
}

// undoVersion gives the reserved number up.
func (b *program) undoVersion(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.Committed() || (b.progress.Version == 0 && turn.Job.Lost.IsZero()) {
		return jobs.Done(), nil
	}
	if b.progress.Version == 0 {
		number, err := b.reservedButLost(ctx)
		if err != nil || number == 0 {
			return jobs.Done(), err
		}
		b.progress.Version = number
	}
	return jobs.Done(), b.kind.Catalog.SetVersionState(ctx, turn.Guard(), b.job.Name, b.progress.Version, l.Abandoned)
}

func (b *program) reservedButLost(ctx context.Context) (int, error) {
	all, err := b.kind.Catalog.Versions(ctx, b.job.Name)
	if err != nil {
		return 0, err
	}
	for _, v := range all {
		if v.Incarnation == b.job.Incarnation && v.Run == b.job.Run && v.State == l.Candidate {
			return v.Number, nil
		}
	}
	return 0, nil
}
