package rollout

import (
	"context"
	"fmt"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// conclude sees that the group itself launches the image from now on. The last wave's refresh has done so, unless servers failed
// that may, instances came that no wave has, or none was to be rolled. Then one more refresh does: it tries what is left, and ends at
// once where nothing is. A rollout whose group would launch another image than it says is not done.
func (r *refresh) conclude(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	to := r.destination()
	if r.state.Template.ID == "" || to.AMI == "" {
		return jobs.Done(), nil
	}
	if r.state.Run == nil {
		move, err := r.beginMove(ctx, turn, to)
		if err != nil || !move.IsDone() || r.state.Run == nil {
			return move, err
		}
	}
	lot := lot{Ordinals: p.unskipped().Minus(p.Rolled), Image: to, Back: p.Back}
	if p.Back {
		lot.Ordinals = p.Rolled
	}
	move, err := r.watch(ctx, turn, lot)
	if err != nil || !move.IsDone() {
		return move, err
	}
	p.Failed = p.Failed.Minus(p.Rolled)
	g, err := r.group(ctx)
	if err != nil || p.Held != "" || !r.behind(g, r.state.Versions[to.AMI]) {
		return jobs.Done(), err
	}
	if r.state.Why == "" { // it was interrupted, by a pause or the window
		return jobs.Yield(), turn.Save(ctx)
	}
	why := fmt.Sprintf("the group %s still launches version %s of its launch template: %s", g.Name, g.Template.Version, r.state.Why)
	if p.Back {
		turn.Warn("it holds on its way back: %s", why)
		p.Held = why
	} else {
		r.stop(turn, why)
	}
	return jobs.Done(), turn.Save(ctx)
}

// destination is what the group is to launch in the end. Where nothing was rolled it is what the group launched before.
func (r *refresh) destination() image {
	p := &r.progress
	switch {
	case !p.Back:
		return p.Image
	case p.BackTo.AMI == "":
		return image{Ref: p.Former, AMI: r.state.AMI}
	}
	return p.BackTo
}

// behind says whether the group launches another version. On the way back also, whether instances are left that a refresh of ours
// brought without anybody having counted them.
func (r *refresh) behind(g cloud.Group, version string) bool {
	if g.Template.ID != r.state.Template.ID || g.Template.Version != version {
		return true
	}
	ours := r.state.Versions[r.progress.Image.AMI]
	return r.progress.Back && ours != version && slices.ContainsFunc(g.Members, func(m cloud.Member) bool {
		return m.Stays() && !left(m) && m.Template.ID == g.Template.ID && m.Template.Version == ours
	})
}

// beginMove decides on the refresh that moves the group, if it needs one. It heeds a person and the window as a wave does.
func (r *refresh) beginMove(ctx context.Context, turn *jobs.Turn, to image) (jobs.Move, error) {
	version, move, err := r.version(ctx, turn, to)
	if err != nil || !move.IsDone() {
		return move, err
	}
	g, err := r.group(ctx)
	if err != nil || !r.behind(g, version) {
		return jobs.Done(), err
	}
	if move := r.halted(turn, "before the group launches "+to.Ref); !move.IsDone() {
		return move, nil
	}
	if move, err := r.alone(ctx, turn); err != nil || !move.IsDone() {
		return move, err
	}
	r.state.Run, r.state.Why = &refreshRun{Version: version, Lot: ordinals.Set{}, Moves: true}, ""
	return jobs.Done(), turn.Save(ctx)
}
