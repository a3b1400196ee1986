package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

// Steps are the kind's.
func (p *program) Steps() []jobs.Step {
	var steps []jobs.Step
	publish := []jobs.Step{bounded(jobs.Step{Name: "parameter", Do: p.parameter}), bounded(jobs.Step{Name: "launch-template", Do: p.template})}
	switch p.name {
	case Recall:
		steps = append([]jobs.Step{{Name: "look", Looks: true, Do: p.look}, {Name: "recall", Do: p.recall}, bounded(jobs.Step{Name: "disable", Do: p.disable})}, publish...)
		steps = append(steps, jobs.Step{Name: "report", Looks: true, Do: p.report})
	case Restore:
		steps = []jobs.Step{{Name: "enable", Do: p.enable}, {Name: "share", Do: p.share}, {Name: "restore", Do: p.restore}, bounded(jobs.Step{Name: "see", Do: p.see})}
	default:
		steps = append([]jobs.Step{{Name: "choose", Looks: true, Do: p.choose}, {Name: "move", Do: p.move}}, publish...)
	}
	return append(steps, notify.Steps(p.order.notify, p.Callback, &p.progress.Notify, p.Result)...)
}

// Undo has nothing to take back; it looks whether the order was carried out after all.
func (p *program) Undo() []jobs.Step {
	return append([]jobs.Step{{Name: "undo-check", Looks: true, Do: p.undoCheck}}, notify.Steps(p.order.notify, p.Callback, &p.progress.Notify, p.Result)...)
}

// Resume names the step after which everything follows the commit.
func (p *program) Resume() string {
	switch p.name {
	case Recall:
		return "recall"
	case Restore:
		return "restore"
	}
	return "move"
}

// undoCheck finds the move that a worker made and did not record.
func (p *program) undoCheck(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if p.Committed() || p.name == Restore { // a version that is restored to be available needs no more
		return jobs.Done(), nil
	}
	moves, err := p.Ledger.Moves(ctx, p.job.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	for _, m := range moves {
		if m.Incarnation == p.job.Incarnation && m.Run == p.job.Run {
			p.progress.Moved = &m
			turn.Note("current was moved already, from %d to %d; it stays", m.From, m.To)
		}
	}
	return jobs.Done(), nil
}

// patience is for how long what follows the commit is tried; then it is a warning.
const patience = 30 * time.Minute

func bounded(step jobs.Step) jobs.Step {
	inner := step.Do
	step.Do = func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		move, err := inner(ctx, turn)
		if err == nil || turn.Now().Sub(turn.StepSince()) < patience {
			return move, err
		}
		return jobs.Fail("%v; given up after %s", err, patience), nil
	}
	return step
}

// choose fixes the version to move to.
func (p *program) choose(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	if p.progress.Version = p.order.version; p.progress.Version > 0 {
		return jobs.Done(), nil
	}
	image, err := p.image(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	versions, err := p.Ledger.Versions(ctx, p.job.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	good := l.NewestUsable(versions, image.Current)
	if good.Number == 0 {
		return jobs.Fail("%s is current, and no version before it is verified and available; bake one, or promote a later one", p.ref(image.Current)), nil
	}
	p.progress.Version = good.Number
	return jobs.Done(), nil
}

func (p *program) image(ctx context.Context) (l.Image, error) {
	image, found, err := p.Ledger.GetImage(ctx, p.job.Name)
	if err == nil && !found {
		err = jobs.Fatalf(strings.ToLower(p.name), p.job.Name, "there is no such image", "see `stampmill image list`")
	}
	return image, err
}

// asked is the move as this job asks for it.
func (p *program) asked(turn *jobs.Turn) l.Move {
	return l.Move{Image: p.job.Name, To: p.progress.Version, How: strings.ToLower(p.name), At: turn.Now().UTC(), Job: p.job.ID,
		Incarnation: p.job.Incarnation, Run: p.job.Run, Reason: p.order.reason}
}

// move is the commit point of a promote and of a rollback.
func (p *program) move(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if p.Committed() {
		return jobs.Done(), nil
	}
	m, err := p.Ledger.MoveCurrent(ctx, turn.Guard(), p.asked(turn))
	if err != nil {
		return jobs.Move{}, fatal(err)
	}
	p.progress.Moved, p.progress.Version = &m, m.To
	if m.From == m.To {
		turn.Note("%s is current already", p.ref(m.To))
	} else {
		turn.Note("%s is current; it was %s", p.ref(m.To), p.ref(m.From))
	}
	return jobs.Done(), nil
}

// fatal makes what is not there a reason to fail at once: nothing of it is on its way.
func fatal(err error) error {
	if jobs.IsClass(err, jobs.NotFound) {
		return &jobs.Error{Class: jobs.Fatal, Err: err, Message: err.Error()}
	}
	return err
}

// involved are the versions between which current moved, and the one that is current now.
func (p *program) involved(ctx context.Context) ([]l.Version, error) {
	m := p.progress.Moved
	current, err := p.line().Current(ctx)
	if err != nil {
		return nil, err
	}
	all := []l.Version{current}
	for _, number := range []int{m.From, m.To} {
		if number == 0 || slices.ContainsFunc(all, func(v l.Version) bool { return v.Number == number }) {
			continue
		}
		v, found, err := p.Ledger.GetVersion(ctx, p.job.Name, number)
		if err != nil {
			return nil, err
		}
		if found {
			all = append(all, v)
		}
	}
	return all, nil
}

// parameter lets every parameter that the versions publish follow.
func (p *program) parameter(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if m := p.progress.Moved; p.name == Recall && m.From == m.To {
		return jobs.Done(), nil
	}
	versions, err := p.involved(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	places := release.Places(versions...)
	for _, name := range slices.Sorted(maps.Keys(places)) {
		move, err := p.line().Parameter(ctx, turn, name, places[name])
		if err != nil || !move.IsDone() {
			return move, err
		}
	}
	return jobs.Done(), nil
}

// template gives each launch template that the versions publish a version with the AMI of what is current: groups on $Latest
// follow at once, those on $Default where the spec moves it.
func (p *program) template(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if m := p.progress.Moved; m.From == m.To {
		return jobs.Done(), nil
	}
	versions, err := p.involved(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	current := versions[0]
	region := p.job.Target.Region
	if region == "" {
		region = p.Region
	}
	for _, v := range versions {
		t := release.Of(v).Template
		if t == nil {
			continue
		}
		ami := current.Regions[region].AMI
		if ami == "" {
			turn.Warn("%s is current and has no AMI in %s; the launch template %s%s was left alone", current.Ref(), region, t.Name, t.ID)
			continue
		}
		if move, err := p.templateVersion(ctx, turn, region, *t, current.Ref(), ami); err != nil || !move.IsDone() {
			return move, err
		}
	}
	return p.line().StillCurrent(ctx, current.Number)
}

func (p *program) templateVersion(ctx context.Context, turn *jobs.Turn, region string, t release.Template, ref, ami string) (jobs.Move, error) {
	if p.progress.Templates == nil {
		p.progress.Templates = map[string]string{}
	}
	thing := fmt.Sprintf("%s%s of %s", t.Name, t.ID, ref)
	version, ready, err := jobs.Make(ctx, turn, jobs.Making[string]{
		Thing:    thing,
		Recorded: func() (string, bool) { v, ok := p.progress.Templates[thing]; return v, ok },
		Act: func(ctx context.Context, token string) (string, error) {
			return p.ec2(region).AddTemplateVersion(ctx, t.Reference(), t.Source(), ami, token, ref)
		},
		Record: func(version string) { p.progress.Templates[thing] = version },
	})
	if err != nil || !ready || !t.SetDefault {
		return jobs.Done(), err
	}
	return jobs.Done(), p.ec2(region).SetTemplateDefault(ctx, t.Reference(), version)
}
