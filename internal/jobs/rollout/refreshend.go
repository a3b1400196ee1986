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
		return jobs.Done(), nil
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
	late := turn.Job.Phase == jobs.Undoing && (run != nil || len(r.state.Past) > 0) // after this nobody looks any more
	mine := ok && (run != nil && (active.ID == run.ID || run.ID == "" && r.isRun(run, active)) || late && !turn.Job.Lost.IsZero() && r.ours(active))
	if !mine {
		if until := turn.LookUntil(); (late || run != nil && run.ID == "") && turn.Now().Before(until) {
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

// finish brings the rows up to date once more, for the report.
func (r *refresh) finish(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if r.state.Template.ID == "" {
		return jobs.Done(), nil
	}
	g, known, err := r.groups().Group(ctx, r.progress.Group)
	if err != nil || !known {
		return jobs.Done(), err
	}
	return jobs.Done(), r.enlist(ctx, turn, g, lot{Ordinals: r.progress.unskipped(), Image: r.destination()})
}
