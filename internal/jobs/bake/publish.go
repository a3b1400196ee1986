package bake

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/release"
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
		Spec: b.job.Spec, Created: b.job.Created.UTC(), Committed: now, Took: b.took(), Held: b.spec.Publish.Hold, Home: b.region, Content: b.progress.Content,
	}, b.job.Labels)
	if err != nil {
		return jobs.Move{}, err
	}
	b.progress.Committed, b.progress.Current = now, current
	turn.Note("published %s as %s; current is %d", b.progress.Image.ID, b.versionName(), current)
	if b.held() {
		turn.Note("it is held: `stampmill image promote %s` makes it current", b.versionName())
	}
	return jobs.Done(), nil
}

// parameter writes each region's AMI id into the parameter. It writes what is current, so that two bakes that end
// together leave the later version there, whichever writes last.
func (b *program) parameter(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.held() {
		return jobs.Done(), nil
	}
	return b.line().Parameter(ctx, turn, b.spec.Publish.Parameter, sortedKeys(b.regions()))
}

// held: the version is there and not current, as its spec wants; nothing makes it known before it is promoted.
func (b *program) held() bool { return b.spec.Publish.Hold && b.progress.Current != b.progress.Version }

// line is the image as what is made known of it; of this bake's own version nothing has to be read.
func (b *program) line() release.Line {
	return release.Line{Image: b.job.Name, Catalog: b.kind.Catalog, Pace: b.pace,
		SSM: func(region string) release.Parameters { return b.kind.SSM(b.job.Target.In(region)) },
		EC2: func(region string) release.Templates { return b.ec2In(region) },
		Own: l.Version{Image: b.job.Name, Number: b.progress.Version, Regions: b.regions()},
	}
}

// template adds a version to the launch template. Its default moves only where the spec says so, and never to a version
// that is not current.
func (b *program) template(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.held() {
		return jobs.Done(), nil
	}
	target := b.spec.Publish.LaunchTemplate
	at := c.LaunchTemplate{Name: target.Name, ID: target.ID}
	source := release.Template{SourceVersion: target.SourceVersion}.Source()
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
