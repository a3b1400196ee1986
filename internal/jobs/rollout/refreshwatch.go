package rollout

import (
	"context"
	"fmt"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// watch starts the refresh if nobody has, and looks at it until it has ended.
func (r *refresh) watch(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error) {
	run := r.state.Run
	all, err := r.groups().Refreshes(ctx, r.progress.Group)
	if err != nil {
		return jobs.Move{}, err
	}
	if run.ID == "" {
		return r.start(ctx, turn, lot, all)
	}
	at := slices.IndexFunc(all, func(f cloud.Refresh) bool { return f.ID == run.ID })
	if at < 0 {
		return jobs.Look(r.soon(refreshPoll), "the instance refresh %s to be seen", run.ID), nil
	}
	f := all[at]
	switch {
	case f.Over():
		return r.close(ctx, turn, lot, f)
	case f.Status == cloud.RefreshCancelling || f.Status == cloud.RefreshRollingBack:
		return jobs.Look(r.soon(refreshPoll), "the instance refresh %s, which is %s", f.ID, f.Status), nil
	}
	early := r.interrupted(turn, lot)
	if !early {
		reached, err := r.reached(ctx, run, f)
		if err != nil {
			return jobs.Move{}, err
		}
		if !reached {
			return jobs.Look(r.soon(refreshPoll), "the instance refresh %s of the group %s: %d%% are new", f.ID, r.progress.Group, f.Percent), nil
		}
	}
	if !run.Ending {
		run.Ending, run.Early = true, early
		if err := turn.Save(ctx); err != nil { // else its end would look like somebody else's doing
			return jobs.Move{}, err
		}
	}
	if err := r.groups().CancelRefresh(ctx, r.progress.Group); err != nil {
		return jobs.Move{}, err
	}
	return jobs.Look(r.soon(refreshPoll), "the instance refresh %s to end at a safe point", f.ID), nil
}

// interrupted says whether the refresh has to stop where it is: a person paused the rollout, or its window has closed. AWS knows no
// pause; the next refresh skips what this one did.
func (r *refresh) interrupted(turn *jobs.Turn, lot lot) bool {
	if r.progress.Paused || r.progress.Held != "" {
		return true
	}
	opens, ok := r.opens(turn.Now())
	return !lot.Back && ok && opens.After(turn.Now())
}

// reached says whether the refresh stays at its checkpoint, with nothing on its way in or out.
func (r *refresh) reached(ctx context.Context, run *refreshRun, f cloud.Refresh) (bool, error) {
	if run.Checkpoint == 0 || f.Percent < run.Checkpoint {
		return false, nil
	}
	g, err := r.group(ctx)
	return err == nil && !unsettled(g), err
}

// surplus says whether the group has more instances than it wants: those that a refresh launched ahead, until it scales them in.
func surplus(g cloud.Group) bool { return stay(g) > g.Desired }

// stay counts the instances that are neither on their way out nor in standby.
func stay(g cloud.Group) int {
	n := 0
	for _, m := range g.Members {
		if m.Stays() && m.State != "Standby" {
			n++
		}
	}
	return n
}

func unsettled(g cloud.Group) bool {
	return slices.ContainsFunc(g.Members, func(m cloud.Member) bool { return !m.Settled() })
}

// start looks whether an earlier delivery's call went through, and asks AWS for the refresh if none did. The call has no token: the
// run was saved before, and AWS takes one active refresh a group.
func (r *refresh) start(ctx context.Context, turn *jobs.Turn, lot lot, all []cloud.Refresh) (jobs.Move, error) {
	run := r.state.Run
	for _, f := range all {
		if r.isRun(run, f) {
			return r.started(ctx, turn, f.ID, "found")
		}
	}
	if active, ok := underWay(all); ok { // somebody else was faster
		r.state.Run = nil
		return jobs.Look(foreignPoll, "the instance refresh %s of the group %s, which somebody else started", active.ID, r.progress.Group), nil
	}
	g, err := r.group(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	id, err := r.groups().StartRefresh(ctx, r.request(g, lot))
	if jobs.IsClass(err, jobs.Busy) {
		return jobs.Look(r.soon(refreshPoll), "the group %s, in which something else is under way", r.progress.Group), nil
	}
	if err != nil {
		return jobs.Move{}, err
	}
	return r.started(ctx, turn, id, "started")
}

func (r *refresh) started(ctx context.Context, turn *jobs.Turn, id, how string) (jobs.Move, error) {
	run := r.state.Run
	run.ID = id
	turn.Note("%s the instance refresh %s of the group %s to version %s, up to %d%%", how, id, r.progress.Group, run.Version, cmpOr(run.Checkpoint, 100))
	if err := turn.Save(ctx); err != nil {
		return jobs.Move{}, err
	}
	return jobs.Look(r.soon(refreshPoll), "the instance refresh %s of the group %s", id, r.progress.Group), nil
}

func cmpOr(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// isRun says whether the refresh is the run's: it goes to the run's version, stays where the run stays, and is none that ended
// before the run was decided.
func (r *refresh) isRun(run *refreshRun, f cloud.Refresh) bool {
	return f.Template.ID == r.state.Template.ID && f.Template.Version == run.Version && slices.Equal(f.Checkpoints, run.checkpoints()) && !slices.Contains(r.state.Past, f.ID)
}

func (run *refreshRun) checkpoints() []int {
	if run.Checkpoint == 0 {
		return nil
	}
	return []int{run.Checkpoint, 100}
}

// request asks for no less than the floor and no more than the surge: the least is rounded up and the most down, as AWS counts
// servers of a percent.
func (r *refresh) request(g cloud.Group, lot lot) cloud.RefreshRequest {
	p, run := &r.progress, r.state.Run
	desired := max(g.Desired, 1)
	request := cloud.RefreshRequest{
		Group: g.Name, Template: cloud.LaunchTemplate{ID: r.state.Template.ID, Version: run.Version}, Checkpoints: run.checkpoints(), Delay: cloud.LongestCheckpointDelay,
		MinHealthy: (100*max(desired-p.Spare, 0) + desired - 1) / desired,
	}
	request.MaxHealthy = min(100*(desired+p.Surge)/desired, 200, 100+request.MinHealthy)
	for _, gate := range r.spec.Gate {
		if gate.Alarm != "" && !lot.Back && !slices.Contains(request.Alarms, gate.Alarm) && len(request.Alarms) < cloud.MostRefreshAlarms {
			request.Alarms = append(request.Alarms, gate.Alarm)
		}
	}
	return request
}

// close takes in what the refresh came to.
func (r *refresh) close(ctx context.Context, turn *jobs.Turn, lot lot, f cloud.Refresh) (jobs.Move, error) {
	run, p := r.state.Run, &r.progress
	g, err := r.group(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	whole := run.Checkpoint == 0
	if unsettled(g) || surplus(g) && turn.Now().Before(f.Ended.Add(surplusPatience)) {
		return jobs.Look(r.soon(refreshPoll), "the last instances of the group %s to come and go", g.Name), nil
	}
	done, _, err := r.take(ctx, turn, g, lot)
	if err != nil {
		return jobs.Move{}, err
	}
	vacant := common(lot.Ordinals, p.Vacant)
	rest := common(run.Lot, lot.Ordinals).Minus(done).Minus(vacant)
	turn.Note("the instance refresh %s is %s: %d servers run %s", f.ID, f.Status, done.Len(), lot.Image.Ref)
	switch {
	case f.Status == cloud.RefreshSuccessful && whole:
		r.fail(rest, "AWS left it as it is: the instance refresh "+f.ID+" is done")
	case f.Status == cloud.RefreshSuccessful || f.Status == cloud.RefreshCancelled && run.Ending:
		if done.Empty() && vacant.Empty() && !run.Early && !rest.Empty() {
			p.Held = fmt.Sprintf("the instance refresh %s came to its checkpoint of %d%% without a new instance", f.ID, run.Checkpoint)
		}
	case f.Status == cloud.RefreshCancelled:
		p.Held = "somebody cancelled the instance refresh " + f.ID
		turn.Warn("it holds: %s", p.Held)
	default:
		r.state.Why = fmt.Sprintf("the instance refresh %s is %s: %s%s", f.ID, f.Status, f.Reason, f.RollbackReason)
		r.fail(rest, r.state.Why)
	}
	r.forgetRun(f.ID)
	return jobs.Done(), turn.Save(ctx)
}

func (r *refresh) fail(set ordinals.Set, reason string) {
	for ordinal := range set.All() {
		r.failed(ordinal, "", reason)
	}
}

func (r *refresh) forgetRun(id string) {
	r.state.Run = nil
	r.state.Past = append(r.state.Past, id)
	if extra := len(r.state.Past) - refreshesKept; extra > 0 {
		r.state.Past = slices.Clone(r.state.Past[extra:])
	}
}
