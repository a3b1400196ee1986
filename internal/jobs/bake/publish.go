package bake

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// publish is the commit point: the catalog write that makes the version available, and current unless a later one is.
func (b *program) publish(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.Committed() {
		return jobs.Done(), nil
	}
	s, now := b.progress.Source, turn.Now().UTC()
	current, err := b.kind.Catalog.Publish(ctx, turn.Guard(), l.Version{
		Image: b.job.Name, Number: b.progress.Version, State: l.Available, Job: b.job.ID, Incarnation: b.job.Incarnation, Run: b.job.Run,
		Regions: b.regions(), Parent: s.Parent, SourceAMI: s.AMI, Architecture: s.Architecture, Platform: s.Platform,
		Spec: b.job.Spec, Created: b.job.Created.UTC(), Committed: now, Took: b.took(),
	}, b.job.Labels)
	if err != nil {
		return jobs.Move{}, err
	}
	b.progress.Committed, b.progress.Current = now, current
	turn.Note("published %s as %s; current is %d", b.progress.Image.ID, b.versionName(), current)
	return jobs.Done(), nil
}

// readBack is how long a parameter may take to show what was written: a 200 alone does not prove it.
const readBack = 2 * time.Minute

// parameter writes each region's AMI id into the parameter. It writes what is current, so that two bakes that end
// together leave the later version there, whichever writes last.
func (b *program) parameter(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	version, err := b.currentVersion(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	name, waits := b.spec.Publish.Parameter, ""
	for _, ami := range b.amis() {
		want, ssm := version.Regions[ami.region].AMI, b.kind.SSM(b.job.Target.In(ami.region))
		if want == "" {
			turn.Warn("%s@%d is current and has no AMI in %s; the parameter %s there was left alone", b.job.Name, version.Number, ami.region, name)
			continue
		}
		value, found, err := ssm.Parameter(ctx, name)
		if err != nil {
			return jobs.Move{}, err
		}
		if found && value == want {
			continue
		}
		if err := ssm.PutParameter(ctx, name, want, "aws:ec2:image"); err != nil {
			return jobs.Move{}, err
		}
		waits = ami.region
	}
	if waits == "" {
		return b.stillCurrent(ctx, version.Number)
	}
	if turn.Now().Sub(turn.StepSince()) > readBack {
		return jobs.Fail("the parameter %s in %s does not show the AMI that was written", name, waits), nil
	}
	return jobs.Wait(b.pace(2*time.Second), "the parameter %s to show the AMI", name), nil
}

// stillCurrent goes on unless a later version became current meanwhile.
func (b *program) stillCurrent(ctx context.Context, written int) (jobs.Move, error) {
	line, _, err := b.kind.Catalog.GetImage(ctx, b.job.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	if line.Current != written {
		return jobs.Wait(time.Second, "the parameter of version %d", line.Current), nil
	}
	return jobs.Done(), nil
}

func (b *program) currentVersion(ctx context.Context) (l.Version, error) {
	line, _, err := b.kind.Catalog.GetImage(ctx, b.job.Name)
	if err != nil {
		return l.Version{}, err
	}
	number := line.Current
	if number == 0 || number == b.progress.Version {
		return l.Version{Image: b.job.Name, Number: b.progress.Version, Regions: b.regions()}, nil
	}
	version, ok, err := b.kind.Catalog.GetVersion(ctx, b.job.Name, number)
	if err == nil && !ok {
		err = fmt.Errorf("the current version %s@%d is not in the catalog", b.job.Name, number)
	}
	return version, err
}

// template adds a version to the launch template. Its default moves only where the spec says so, and never to a version
// that is not current.
func (b *program) template(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	target := b.spec.Publish.LaunchTemplate
	at := c.LaunchTemplate{Name: target.Name, ID: target.ID}
	source := target.SourceVersion
	if source == "" {
		source = "$Default"
	}
	_, ready, err := jobs.Make(ctx, turn, jobs.Making[string]{
		Thing:    "template",
		Recorded: func() (string, bool) { return b.progress.Template, b.progress.Template != "" },
		Act: func(ctx context.Context, token string) (string, error) {
			return b.ec2().AddTemplateVersion(ctx, at, source, b.progress.Image.ID, token, b.versionName())
		},
		Record: func(version string) { b.progress.Template = version },
	})
	if err != nil || !ready || !target.SetDefault {
		return jobs.Done(), err
	}
	line, _, err := b.kind.Catalog.GetImage(ctx, b.job.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	if line.Current != b.progress.Version {
		turn.Warn("version %d is current: the default of the launch template %s%s was left alone", line.Current, target.Name, target.ID)
		return jobs.Done(), nil
	}
	return jobs.Done(), b.ec2().SetTemplateDefault(ctx, at, b.progress.Template)
}
