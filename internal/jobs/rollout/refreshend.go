package rollout

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// abandon ends the refresh that this rollout has under way. On the way back AWS rolls it back itself where it can; what earlier
// refreshes did is left to refreshes back.
func (r *refresh) abandon(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if r.state.Template.ID == "" { // nothing has begun
		return jobs.Done(), nil
	}
	if move, err := r.endRefresh(ctx, turn); err != nil || !move.IsDone() {
		return move, err
	}
	g, err := r.group(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if (unsettled(g) || surplus(g)) && turn.Job.Phase != jobs.Undoing {
		return jobs.Look(r.soon(refreshPoll), "the last instances of the group %s to come and go", g.Name), nil
	}
	r.state.Run = nil
	if turn.Job.Phase == jobs.Undoing {
		return jobs.Done(), r.leave(ctx, turn)
	}
	return jobs.Done(), r.recount(ctx, turn, g)
}

// endRefresh is done when nothing of ours is under way in the group.
func (r *refresh) endRefresh(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	all, err := r.groups().Refreshes(ctx, r.progress.Group)
	if err != nil {
		return jobs.Move{}, err
	}
	run := r.state.Run
	active, ok := underWay(all)
	mine := ok && run != nil && (active.ID == run.ID || run.ID == "" && r.isRun(run, active))
	if !mine {
		if until := turn.LookUntil(); run != nil && run.ID == "" && turn.Now().Before(until) {
			return jobs.Wait(min(refreshPoll, until.Sub(turn.Now())), "an instance refresh that a lost call may still start"), nil
		}
		return jobs.Done(), nil
	}
	if active.Status == cloud.RefreshCancelling || active.Status == cloud.RefreshRollingBack {
		return jobs.Look(r.soon(refreshPoll), "the instance refresh %s, which is %s", active.ID, active.Status), nil
	}
	begun := false
	if r.progress.Turning {
		if begun, err = r.groups().RollbackRefresh(ctx, r.progress.Group); err != nil {
			return jobs.Move{}, err
		}
		if begun {
			turn.Note("AWS rolls the instance refresh %s back", active.ID)
		}
	}
	if !begun {
		if err := r.groups().CancelRefresh(ctx, r.progress.Group); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Look(r.soon(refreshPoll), "the end of the instance refresh %s", active.ID), nil
}

// recount finds out which servers of the waves run the image: AWS may have replaced some, or brought some back, that nobody counted.
func (r *refresh) recount(ctx context.Context, turn *jobs.Turn, g cloud.Group) error {
	p := &r.progress
	all := p.unskipped()
	if err := r.enlist(ctx, turn, g, lot{Ordinals: all, Image: p.Image}); err != nil {
		return err
	}
	_, rolled, err := r.standing(ctx, g, all, p.Image.Ref)
	p.Rolled = rolled
	return err
}

// finish has AWS move the group to the image's version, if the last refresh has not done so: a refresh that finds nothing to replace
// ends at once. Then the rows leave the ledger. A cancelled rollout moves nothing any more: such a refresh would roll the rest.
func (r *refresh) finish(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	to := p.Image
	if p.Back {
		to = p.BackTo
	}
	if r.state.Template.ID == "" || to.AMI == "" || r.state.Moved || turn.Job.Phase == jobs.Undoing {
		return jobs.Done(), r.leave(ctx, turn)
	}
	if r.state.Run != nil {
		return r.lastRefresh(ctx, turn, to)
	}
	if !p.Failed.Empty() && !p.Back || !p.Stuck.Empty() {
		turn.Warn("the group %s still launches version %s: some of its instances could not be refreshed", p.Group, r.state.Template.Version)
		return jobs.Done(), r.leave(ctx, turn)
	}
	version, move, err := r.version(ctx, turn, to)
	if err != nil || !move.IsDone() {
		return move, err
	}
	g, err := r.group(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if g.Template.ID == r.state.Template.ID && g.Template.Version == version {
		return jobs.Done(), r.leave(ctx, turn)
	}
	if move, err := r.alone(ctx, turn); err != nil || !move.IsDone() {
		return move, err
	}
	r.state.Run = &refreshRun{Version: version}
	if err := turn.Save(ctx); err != nil {
		return jobs.Move{}, err
	}
	return r.lastRefresh(ctx, turn, to)
}

// lastRefresh carries the refresh through that moves the group.
func (r *refresh) lastRefresh(ctx context.Context, turn *jobs.Turn, to image) (jobs.Move, error) {
	move, err := r.watch(ctx, turn, lot{Image: to, Back: r.progress.Back})
	if err != nil || !move.IsDone() {
		return move, err
	}
	r.state.Moved = true
	g, err := r.group(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if version := r.state.Versions[to.AMI]; g.Template.Version != version {
		turn.Warn("the group %s still launches version %s: the instance refresh to version %s did not succeed", g.Name, g.Template.Version, version)
	}
	r.progress.Held = ""
	return jobs.Yield(), turn.Save(ctx)
}
