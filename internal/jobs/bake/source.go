package bake

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// resolve finds out what the builder is launched from and where, and refuses what could only fail later.
func (b *program) resolve(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.spec.From.Server != "" {
		if move, err := b.resolveServer(ctx); err != nil || move.IsFail() {
			return move, err
		}
	} else if move, err := b.resolveImage(ctx); err != nil || move.IsFail() {
		return move, err
	}
	if err := b.resolveNetwork(ctx); err != nil {
		return jobs.Move{}, err
	}
	if b.spec.Share != nil && b.spec.Share.Public {
		if move, err := b.mayBePublic(ctx, turn); err != nil || move.IsFail() {
			return move, err
		}
	}
	if move, err := b.mayCopy(ctx, turn); err != nil || move.IsFail() {
		return move, err
	}
	s := b.progress.Source
	if s.Platform == windows && b.spec.generalizes() && slices.Contains(b.spec.Builder.Market.Order, spot) {
		return jobs.Fail("sysprep stops the builder itself, which a spot instance cannot: use market on-demand or generalize false"), nil
	}
	turn.Note("from %s (%s, %s)", s.Parent, s.Architecture, s.Platform)
	if b.spec.resolvesNothing() {
		turn.OnlySaw()
	}
	return jobs.Done(), nil
}

const windows = "windows"

func (b *program) resolveImage(ctx context.Context) (jobs.Move, error) {
	id, parent, err := b.sourceAMI(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	found, err := b.ec2().Images(ctx, id)
	if err != nil {
		return jobs.Move{}, err
	}
	if len(found) == 0 {
		return jobs.Fail("the source %s is not there in %s, or not open to this account", id, b.region), nil
	}
	source := found[0]
	if source.State != "available" {
		return jobs.Fail("the source %s is %s; only an available AMI can be launched", id, source.State), nil
	}
	if source.Marketplace && b.spec.Share != nil && !b.spec.Share.isZero() {
		return jobs.Fail("the source %s carries a product code of AWS Marketplace: its images cannot be shared", id), nil
	}
	if len(source.Tags) > 0 && b.spec.From.AMI == "" && parent == id && source.Tags[TagVersion] != "" {
		parent = source.Tags[TagVersion]
	}
	b.progress.Source = imageSource(source, parent)
	return jobs.Done(), nil
}

func imageSource(i c.Image, parent string) source {
	s := source{AMI: i.ID, Parent: parent, Architecture: i.Architecture, Platform: i.Platform, RootDevice: i.RootDevice}
	if s.Platform == "" {
		s.Platform = "linux"
	}
	return s
}

// sourceAMI finds the AMI's id, and the name under which the version remembers its parent.
func (b *program) sourceAMI(ctx context.Context) (id, parent string, err error) {
	from := b.spec.From
	switch {
	case from.AMI != "":
		return from.AMI, from.AMI, nil
	case from.Parameter != "":
		value, ok, err := b.ssm().Parameter(ctx, from.Parameter)
		if err != nil {
			return "", "", err
		}
		if !ok || !strings.HasPrefix(value, "ami-") {
			return "", "", jobs.Fatalf("resolve", from.Parameter, fmt.Sprintf("the parameter holds %q, no AMI id", value), "check its name and region")
		}
		return value, value, nil
	case from.Newest != nil:
		found, ok, err := b.ec2().NewestImage(ctx, from.Newest.Owner, from.Newest.Name, from.Newest.Architecture)
		if err != nil {
			return "", "", err
		}
		if !ok {
			return "", "", jobs.Fatalf("resolve", from.Newest.Name, "no AMI of "+from.Newest.Owner+" has such a name in "+b.region, "check owner, name and architecture")
		}
		return found.ID, found.ID, nil
	}
	version, err := b.parentVersion(ctx, from.Image)
	if err != nil {
		return "", "", err
	}
	return version.For(b.job.Target, b.region).AMI, b.lineage(version), nil
}

// lineage is what the new version remembers as its parent. A version that is layered on one of its own image has that one's
// parent: a layer is no other line.
func (b *program) lineage(from l.Version) string {
	if from.Image == b.job.Name && from.Parent != "" {
		return from.Parent
	}
	return versionRef(from)
}

// parentVersion finds a version of an image of ours that can be launched in the bake's region.
func (b *program) parentVersion(ctx context.Context, name string) (l.Version, error) {
	image, numberText, pinned := strings.Cut(name, "@")
	fail := func(message, hint string) (l.Version, error) {
		return l.Version{}, jobs.Fatalf("resolve", name, message, hint)
	}
	var number int
	if pinned {
		n, err := strconv.Atoi(numberText)
		if err != nil {
			return fail("expected a number after the @", "write base@12")
		}
		number = n
	} else {
		line, ok, err := b.kind.Catalog.GetImage(ctx, image)
		if err != nil {
			return l.Version{}, err
		}
		if !ok || line.Current == 0 {
			return fail("there is no such image, or it has no current version", "bake it first, or see stampmill image list")
		}
		number = line.Current
	}
	version, ok, err := b.kind.Catalog.GetVersion(ctx, image, number)
	switch {
	case err != nil:
		return l.Version{}, err
	case !ok:
		return fail(fmt.Sprintf("version %d is not in the catalog", number), "see stampmill image show "+image)
	case version.State != l.Available:
		return fail(fmt.Sprintf("version %d is %s", number, version.State), "choose an available one")
	case version.For(b.job.Target, b.region).AMI == "":
		return fail(fmt.Sprintf("version %d has no AMI in %s", number, b.region), "copy it there first")
	}
	return version, nil
}

// resolveServer looks at the running server that is to be imaged. It is never changed.
func (b *program) resolveServer(ctx context.Context) (jobs.Move, error) {
	id := b.spec.From.Server
	found, err := b.ec2().Instances(ctx, id)
	if err != nil {
		return jobs.Move{}, err
	}
	if len(found) == 0 || (found[0].State != "running" && found[0].State != "stopped") {
		return jobs.Fail("the server %s is not running in %s", id, b.region), nil
	}
	i := found[0]
	b.progress.Source = source{AMI: i.ImageID, Parent: id, Architecture: i.Architecture, Platform: i.Platform, RootDevice: i.RootDevice}
	if b.spec.direct() {
		b.progress.Builder.Volumes = i.Volumes
	}
	return jobs.Done(), nil
}

// resolveNetwork looks up what the spec names by tag or by name.
func (b *program) resolveNetwork(ctx context.Context) error {
	builder, vpc := b.spec.Builder, ""
	b.progress.Subnets = builder.Subnets.IDs
	if len(builder.Subnets.Tag) > 0 || (len(builder.Subnets.IDs) > 0 && b.spec.namesGroups()) {
		found, err := b.ec2().Subnets(ctx, builder.Subnets.IDs, builder.Subnets.Tag)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return jobs.Fatalf("resolve", "builder.subnets", "no subnet carries these tags in "+b.region, "check the tags, region and account")
		}
		vpc = found[0].VpcID
		b.progress.Subnets = nil
		for _, s := range found {
			if s.VpcID == vpc {
				b.progress.Subnets = append(b.progress.Subnets, s.ID)
			}
		}
	}
	b.progress.Groups = builder.SecurityGroups
	if !b.spec.namesGroups() {
		return nil
	}
	ids, err := b.ec2().SecurityGroups(ctx, builder.SecurityGroups, vpc)
	if err == nil {
		b.progress.Groups = ids
	}
	return err
}

// mayBePublic asks whether the account blocks public images, before hours are spent on one.
func (b *program) mayBePublic(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	for _, region := range append([]string{b.region}, sortedKeys(b.spec.CopyTo)...) {
		state, err := b.ec2In(region).BlockPublicAccess(ctx)
		if err != nil {
			return jobs.Move{}, err
		}
		turn.Note("block public access for AMIs in %s: %s", region, state)
		if state != "unblocked" {
			return jobs.Fail("the account blocks public AMIs in %s (%s): unblock them, or do not share publicly", region, state), nil
		}
	}
	return jobs.Done(), nil
}

// imageSource takes an image of the named server, without a reboot, for the builder to be launched from.
func (b *program) imageSource(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	_, ready, err := jobs.Make(ctx, turn, b.making(turn, thingSource, &b.progress.Intermediate, func(ctx context.Context, name string) (string, error) {
		tags := b.tags(turn, thingSource)
		return b.ec2().Capture(ctx, c.CaptureRequest{InstanceID: b.spec.From.Server, Name: name, NoReboot: true,
			Description: "what " + b.job.Name + " is baked from", ImageTags: tags, SnapshotTags: tags})
	}))
	if err != nil || !ready {
		return jobs.Move{}, err
	}
	return jobs.Done(), nil
}

func (b *program) sourceAvailable(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	made := &b.progress.Intermediate
	if made.ID == "" { // an attempt before this one failed
		if move, err := b.imageSource(ctx, turn); err != nil || !move.IsDone() {
			return move, err
		}
	}
	found, move, err := b.awaitImage(ctx, turn, made, b.region, thingSource)
	if err != nil || found == nil {
		return move, err
	}
	parent := b.progress.Source.Parent
	b.progress.Source = imageSource(*found, parent)
	return jobs.Done(), nil
}

// sourceGone removes the intermediate image once the bake is done.
func (b *program) sourceGone(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	id := b.progress.Intermediate.ID
	if id == "" {
		return jobs.Done(), nil
	}
	if err := b.ec2().Deregister(ctx, id, true); err != nil {
		return jobs.Move{}, err
	}
	b.progress.Intermediate = image{}
	return jobs.Done(), nil
}

// bounded gives a step after the commit point an end: what fails for longer becomes a warning, and the bake goes on.
func bounded(step jobs.Step) jobs.Step {
	inner := step.Do
	step.Do = func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		move, err := inner(ctx, turn)
		if err == nil || turn.Now().Sub(turn.StepSince()) < patience {
			return move, err
		}
		return jobs.Fail("%v; given up after %s", err, patience), nil // past the commit point the engine warns and goes on
	}
	return step
}

const patience = 30 * time.Minute
