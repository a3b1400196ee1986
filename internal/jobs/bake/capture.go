package bake

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	"github.com/stampmill/stampmill/internal/jobs/guest"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Tags of a version's AMIs and snapshots, besides those of every thing that Stampmill makes.
const (
	TagImage   = jobs.TagPrefix + "image"   // web
	TagVersion = jobs.TagPrefix + "version" // web@41
	TagDigest  = jobs.TagPrefix + "digest"  // of the spec
)

const (
	thingImage  = "image"
	thingSource = "source-image"
	stopLook    = 12 * time.Second
	stopLimit   = 30 * time.Minute
	freezeLimit = 2 * time.Minute
)

func (b *program) captureSteps() []jobs.Step {
	var steps []jobs.Step
	switch {
	case b.spec.direct(), b.spec.Capture.NoReboot != nil, b.spec.inUserData():
	default:
		steps = append(steps, jobs.Step{Name: "stop", Do: b.stop})
	}
	if b.spec.freezes() {
		steps = append(steps, jobs.Step{Name: "freeze", Do: b.freeze})
	}
	steps = append(steps, jobs.Step{Name: "capture", Do: b.captureAndGoOn})
	if b.spec.freezes() {
		steps = append(steps, jobs.Step{Name: "thaw", Do: b.thaw})
	}
	return append(steps, jobs.Step{Name: "available", Do: b.available})
}

// captured is the server whose image is taken.
func (b *program) captured() string {
	if b.spec.direct() {
		return b.spec.From.Server
	}
	return b.progress.Builder.ID
}

// stop stops the builder. A spot instance cannot be stopped: EC2 takes its image by a reboot. Sysprep stops it by itself.
func (b *program) stop(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	s := &b.progress.Builder
	if s.Spot {
		return jobs.Done(), nil
	}
	if !b.progress.Stopping {
		if !b.spec.generalizes() || !guest.StopsItself(b.shell()) {
			if err := b.ec2().Stop(ctx, s.ID); err != nil {
				return jobs.Move{}, err
			}
		}
		b.progress.Stopping = true
		return b.untilStopped(), nil
	}
	found, err := b.ec2().Instances(ctx, s.ID)
	if err != nil {
		return jobs.Move{}, err
	}
	if len(found) == 0 {
		return jobs.Fail("the builder %s is gone", s.ID), nil
	}
	switch i := found[0]; i.State {
	case "stopped":
		s.Volumes = i.Volumes // they stay: another look shows the same
		turn.OnlySaw()
		return jobs.Done(), nil
	case "terminated", "shutting-down":
		return jobs.Fail("the builder %s is %s: %s", s.ID, i.State, orUnknown(i.StateReason)), nil
	}
	if turn.Now().Sub(turn.StepSince()) > stopLimit {
		return jobs.Fail("the builder %s did not stop within %s", s.ID, stopLimit), nil
	}
	return b.untilStopped(), nil
}

func (b *program) untilStopped() jobs.Move {
	id := b.progress.Builder.ID
	return jobs.Look(b.pace(stopLook), "the builder %s to stop", id).Awaiting(jobs.Await{ID: id}).InCompany(b.pace(copies.EventCompany))
}

func (b *program) freeze(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if !b.progress.Frozen {
		b.progress.Frozen = true
		if err := turn.Save(ctx); err != nil { // from here on an undo thaws
			return jobs.Move{}, err
		}
	}
	return b.noRebootScript(ctx, turn, "freeze")
}

// thaw goes on once every snapshot has begun: from then on it is of that instant, however long it takes.
func (b *program) thaw(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if r := b.progress.Command; b.spec.Capture.NoReboot.Thaw != nil && r == nil && turn.Now().Sub(turn.StepSince()) < freezeLimit {
		begun, err := b.ec2().SnapshotsTagged(ctx, copies.OwnTags(turn))
		if err != nil {
			return jobs.Move{}, err
		}
		if len(begun) < max(len(b.includedVolumes()), 1) {
			return jobs.Wait(b.pace(3*time.Second), "the snapshots of %s to begin", b.captured()), nil
		}
	}
	if b.spec.Capture.NoReboot.Thaw == nil {
		b.progress.Frozen = false
		return jobs.Done(), nil
	}
	move, err := b.noRebootScript(ctx, turn, "thaw")
	if err == nil && move.IsDone() {
		b.progress.Frozen = false
	}
	return move, err
}

func (b *program) noRebootScript(ctx context.Context, turn *jobs.Turn, step string) (jobs.Move, error) {
	script := b.spec.Capture.NoReboot.Freeze
	if step != "freeze" {
		script = b.spec.Capture.NoReboot.Thaw
	}
	outcome, ended, move, err := b.carryOut(ctx, turn, order{step: step, server: b.captured(), shell: b.shell(), timeout: systemTimeout,
		command: func(ctx context.Context, token string) (string, error) {
			s, err := b.script(ctx, token, script, nil, nil, systemTimeout)
			if err != nil {
				return "", err
			}
			s.Repeatable = true // the server may be somebody's: nothing of it outlives the next boot
			return wrap(b.shell(), s)
		}})
	if !ended || err != nil {
		return move, err
	}
	if !outcome.OK() {
		return b.failed(turn, step, label("", script), outcome), nil
	}
	return jobs.Done(), nil
}

func (b *program) includedVolumes() []string {
	return slices.DeleteFunc(sortedKeys(b.progress.Builder.Volumes), func(device string) bool {
		return device != b.progress.Source.RootDevice && !b.spec.captures(device)
	})
}

// captureAndGoOn lets the next step wait for the AMI that was begun.
func (b *program) captureAndGoOn(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	move, err := b.capture(ctx, turn)
	if b.progress.Image.ID != "" {
		move = move.Onward()
	}
	return move, err
}

// capture reserves the version's number, so that name and tags carry it, and begins the AMI.
func (b *program) capture(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.progress.Image.ID != "" {
		turn.OnlySaw()
		return jobs.Done(), nil
	}
	if err := b.reserve(ctx, turn); err != nil {
		return jobs.Move{}, err
	}
	if err := b.seeVolumes(ctx); err != nil {
		return jobs.Move{}, err
	}
	_, ready, err := jobs.Make(ctx, turn, b.making(turn, thingImage, &b.progress.Image, func(ctx context.Context, name string) (string, error) {
		tags := b.versionTags(turn)
		return b.ec2().Capture(ctx, c.CaptureRequest{
			InstanceID: b.captured(), Name: name, Description: b.description(), Volumes: b.excluded(),
			NoReboot: b.spec.direct() || b.spec.Capture.NoReboot != nil, ImageTags: tags, SnapshotTags: tags,
		})
	}))
	if err != nil || !ready {
		return jobs.Move{}, err
	}
	if b.spec.freezes() {
		return jobs.Done(), nil // the thaw must not wait
	}
	return b.untilImage(turn, &b.progress.Image, b.region), nil // one save holds both
}

func (b *program) reserve(ctx context.Context, turn *jobs.Turn) error {
	if b.progress.Version > 0 {
		return nil
	}
	s := b.progress.Source
	v, err := b.kind.Catalog.ReserveVersion(ctx, turn.Guard(),
		l.Image{Name: b.job.Name, Role: b.job.Target.Role, Labels: b.job.Labels},
		l.Version{Image: b.job.Name, State: l.Candidate, Job: b.job.ID, Incarnation: b.job.Incarnation, Run: b.job.Run, Parent: s.Parent,
			SourceAMI: s.AMI, Architecture: s.Architecture, Platform: s.Platform, Spec: b.job.Spec, Created: turn.Now().UTC()})
	if err != nil {
		return err
	}
	b.progress.Version, b.progress.Usual = v.Number, v.Usual
	turn.Note("this is %s", b.versionName())
	return nil
}

// seeVolumes looks at the builder's volumes where the spec chooses some of them and nobody looked yet.
func (b *program) seeVolumes(ctx context.Context) error {
	if len(b.progress.Builder.Volumes) > 0 || (len(b.spec.Capture.Volumes.Include) == 0 && !b.spec.freezes()) {
		return nil
	}
	found, err := b.ec2().Instances(ctx, b.captured())
	if err == nil && len(found) > 0 {
		b.progress.Builder.Volumes = found[0].Volumes
	}
	return err
}

func (b *program) excluded() []c.Volume {
	var out []c.Volume
	for _, device := range b.spec.Capture.Volumes.Exclude {
		out = append(out, c.Volume{Device: device, Exclude: true})
	}
	if len(b.spec.Capture.Volumes.Include) == 0 {
		return out
	}
	included := b.includedVolumes()
	for _, device := range sortedKeys(b.progress.Builder.Volumes) {
		if !slices.Contains(included, device) {
			out = append(out, c.Volume{Device: device, Exclude: true})
		}
	}
	return out
}

func (b *program) description() string {
	if b.spec.Description != "" {
		return jobs.Clip(b.spec.Description, 250)
	}
	return jobs.Clip(fmt.Sprintf("%s from %s", b.versionName(), b.progress.Source.Parent), 250)
}

func (b *program) versionTags(turn *jobs.Turn) map[string]string {
	tags := b.tags(turn, thingImage)
	tags[TagImage], tags[TagVersion], tags[TagDigest] = b.job.Name, b.versionName(), jobs.Clip(b.job.Digest, 250)
	if tags["Name"] == "" {
		tags["Name"] = b.versionName()
	}
	return tags
}

// amiName is deterministic, since CreateImage has no token: image, version, incarnation, run, and the attempt if there
// were several.
func (b *program) amiName(turn *jobs.Turn, thing string) string {
	name := b.job.Name + "@" + strconv.Itoa(b.progress.Version)
	if thing != thingImage {
		name = b.job.Name + "-" + thing
	}
	name += "-" + b.job.Incarnation + "-r" + strconv.Itoa(b.job.Run)
	if n := turn.Attempt(thing); n > 1 {
		name += "-a" + strconv.Itoa(n)
	}
	return name
}

// making is one AMI by its deterministic name.
func (b *program) making(turn *jobs.Turn, thing string, into *image, begin func(ctx context.Context, name string) (string, error)) jobs.Making[string] {
	name := b.amiName(turn, thing)
	return jobs.Making[string]{
		Thing: thing,
		// The name itself makes a second call fail with Duplicate, which is adopted.
		SkipFirstLook: true,
		Recorded:      func() (string, bool) { return into.ID, into.ID != "" },
		Look: func(ctx context.Context) (string, bool, error) {
			found, err := b.ec2().ImagesNamed(ctx, name)
			if err != nil {
				return "", false, err
			}
			for _, i := range found {
				if copies.Ours(turn, i.Tags) && i.State != "deregistered" {
					return i.ID, true, nil
				}
			}
			return "", false, nil
		},
		Act:        func(ctx context.Context, _ string) (string, error) { return begin(ctx, name) },
		Record:     func(id string) { *into = image{ID: id, Begun: turn.Now()} },
		SharesSave: true, // the name finds it again
	}
}

// available waits for the AMI. One that EC2 gave up is removed and taken anew.
func (b *program) available(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.progress.Image.ID == "" { // an attempt before this one failed
		if b.spec.freezes() {
			return jobs.Fail("EC2 could not make the AMI, and the freeze is over"), nil
		}
		if move, err := b.capture(ctx, turn); err != nil || !move.IsDone() {
			return move, err
		}
	}
	found, move, err := b.awaitImage(ctx, turn, &b.progress.Image, b.region, thingImage)
	if err != nil || found == nil {
		return move, err
	}
	b.progress.Image.Snapshots = found.Snapshots()
	return jobs.Done(), nil
}

// awaitImage looks at an AMI that is being made in the region. A nil image: return the move or the error.
func (b *program) awaitImage(ctx context.Context, turn *jobs.Turn, made *image, region, thing string) (*c.Image, jobs.Move, error) {
	now := turn.Now()
	if !b.looks().Due(ctx, now, *made, captureIn(region), firstImageLook) {
		return nil, b.untilImage(turn, made, region), nil
	}
	ec2 := b.ec2In(region)
	found, err := ec2.Images(ctx, made.ID)
	if err != nil {
		return nil, jobs.Move{}, err
	}
	if len(found) == 0 {
		return nil, jobs.Move{}, &jobs.Error{Class: jobs.Propagating, Op: "await the AMI", Thing: made.ID, Message: "it is not there"}
	}
	switch i := found[0]; i.State {
	case "available":
		made.Available, made.Took = true, copies.Took(ctx, now, made.Begun, made.Looked)
		return &i, jobs.Move{}, nil
	case "pending", "transient":
		made.Looked = now
		return nil, b.untilImage(turn, made, region), nil
	case "failed", "error", "invalid":
		return nil, jobs.Move{}, b.again(ctx, turn, ec2, made, thing, i)
	default:
		return nil, jobs.Fail("the AMI %s is %s", made.ID, i.State), nil
	}
}

// untilImage waits for the next look at an AMI that is being made, or for its event.
func (b *program) untilImage(turn *jobs.Turn, made *image, region string) jobs.Move {
	return jobs.Look(b.looks().Until(turn.Now(), *made, captureIn(region), firstImageLook), "the AMI %s to be available", made.ID).
		Awaiting(jobs.Await{Region: region, ID: made.ID}).InCompany(b.pace(copies.EventCompany))
}

// again removes an AMI that failed and begins another attempt.
func (b *program) again(ctx context.Context, turn *jobs.Turn, ec2 EC2, made *image, thing string, failed c.Image) error {
	if turn.Attempt(thing) >= copies.Attempts {
		return jobs.Fatalf("make the AMI", failed.ID, fmt.Sprintf("it is %s: %s", failed.State, orUnknown(failed.StateReason)), "")
	}
	turn.Note("the AMI %s is %s: %s; it is begun anew", failed.ID, failed.State, orUnknown(failed.StateReason))
	if err := ec2.Deregister(ctx, failed.ID, true); err != nil {
		return err
	}
	*made = image{}
	if err := turn.NewAttempt(ctx, thing); err != nil {
		return err
	}
	return &jobs.Error{Class: jobs.Retry, Op: "make the AMI", Thing: thing, Message: "EC2 gave up " + failed.ID}
}
