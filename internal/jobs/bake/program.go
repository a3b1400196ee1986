package bake

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/guest"
	"github.com/stampmill/stampmill/internal/jobs/notify"
)

// Markets.
const (
	onDemand = "on-demand"
	spot     = "spot"
)

// program is a bake opened for one delivery.
type program struct {
	kind     *Kind
	job      *jobs.Job
	spec     Spec
	region   string
	progress *progress
}

// Data is the progress to keep.
func (b *program) Data() any { return b.progress }

// Result is what a finished bake tells.
func (b *program) Result() any { return b.result() }

// Committed reports whether the version is published.
func (b *program) Committed() bool { return !b.progress.Committed.IsZero() }

// Steps are the forward steps that the spec asks for.
func (b *program) Steps() []jobs.Step {
	s := b.spec
	steps := []jobs.Step{{Name: "resolve", Looks: s.resolvesNothing(), Do: b.resolve}}
	switch {
	case s.direct():
	default:
		if s.From.Server != "" {
			steps = append(steps, jobs.Step{Name: "source-image", Do: b.imageSource}, jobs.Step{Name: "source-available", Do: b.sourceAvailable})
		}
		steps = append(steps, jobs.Step{Name: "builder", Do: b.launchBuilder})
		if s.inUserData() {
			steps = append(steps, jobs.Step{Name: "provision", Looks: true, Do: b.provisioned})
		} else {
			steps = append(steps, b.provisionSteps()...)
		}
	}
	steps = append(steps, b.captureSteps()...)
	if s.bootTests() {
		steps = append(steps, b.testSteps()...)
	}
	if len(s.CopyTo) > 0 {
		steps = append(steps, jobs.Step{Name: "copies", Do: b.copies})
	}
	if s.Share != nil && !s.Share.isZero() {
		steps = append(steps, jobs.Step{Name: "share", Do: b.share})
	}
	if s.DeprecateAfter > 0 {
		steps = append(steps, jobs.Step{Name: "deprecate", Do: b.deprecate})
	}
	if s.Protect != nil {
		steps = append(steps, jobs.Step{Name: "protect", Do: b.protect})
	}
	steps = append(steps, jobs.Step{Name: "publish", Do: b.publish})
	return append(steps, b.afterPublish()...)
}

// afterPublish are the steps after the commit point.
func (b *program) afterPublish() []jobs.Step {
	var steps []jobs.Step
	if b.spec.Publish.Parameter != "" {
		steps = append(steps, bounded(jobs.Step{Name: "parameter", Do: b.parameter}))
	}
	if b.spec.Publish.LaunchTemplate != nil {
		steps = append(steps, bounded(jobs.Step{Name: "launch-template", Do: b.template}))
	}
	if !b.spec.Keep.keep().IsZero() {
		steps = append(steps, bounded(jobs.Step{Name: "retire", Do: b.retire}))
	}
	if !b.spec.direct() || b.spec.bootTests() {
		steps = append(steps, jobs.Step{Name: "gone", Do: b.serversGone})
	}
	if b.spec.From.Server != "" && !b.spec.direct() {
		steps = append(steps, bounded(jobs.Step{Name: "source-gone", Do: b.sourceGone}))
	}
	return append(steps, b.notify()...)
}

// Undo takes back what a failed or cancelled bake made.
func (b *program) Undo() []jobs.Step {
	steps := []jobs.Step{{Name: "undo-check", Do: b.undoCheck}}
	if b.spec.OnFailure.KeepBuilder > 0 && !b.spec.direct() {
		steps = append(steps, jobs.Step{Name: "keep-builder", Do: b.keepBuilder})
	}
	if b.spec.direct() && b.spec.freezes() {
		steps = append(steps, jobs.Step{Name: "undo-freeze", Do: b.undoFreeze})
	}
	steps = append(steps,
		jobs.Step{Name: "undo-servers", Do: b.undoServers},
		jobs.Step{Name: "undo-images", Do: b.undoImages},
		jobs.Step{Name: "undo-version", Do: b.undoVersion})
	return append(steps, b.notify()...)
}

func (b *program) notify() []jobs.Step {
	return notify.Steps(b.spec.Notify, b.kind.Callback, &b.progress.Notify, b.Result)
}

// direct: the named server itself is imaged; there is no builder.
func (s *Spec) direct() bool {
	return s.From.Server != "" && len(s.Steps) == 0 && (s.Capture.Generalize == nil || !*s.Capture.Generalize)
}

func (s *Spec) inUserData() bool { return s.Builder.Provision == "userData" }

func (s *Spec) generalizes() bool {
	return !s.direct() && (s.Capture.Generalize == nil || *s.Capture.Generalize)
}

func (s *Spec) freezes() bool { return s.Capture.NoReboot != nil && s.Capture.NoReboot.Freeze != nil }

func (s *Spec) bootTests() bool {
	return len(s.Verify) > 0 && (s.BootTest == nil || *s.BootTest) && !s.inUserData()
}

// captures reports whether a data volume is part of the image.
func (s *Spec) captures(device string) bool {
	if include := s.Capture.Volumes.Include; len(include) > 0 {
		return slices.Contains(include, device)
	}
	return !slices.Contains(s.Capture.Volumes.Exclude, device)
}

// resolvesNothing: every parameter of the launch stands in the spec, so that a later delivery comes to the same.
func (s *Spec) resolvesNothing() bool {
	return s.From.AMI != "" && len(s.Builder.Subnets.Tag) == 0 && !s.namesGroups()
}

func (s *Spec) namesGroups() bool {
	return slices.ContainsFunc(s.Builder.SecurityGroups, func(g string) bool { return len(g) < 3 || g[:3] != "sg-" })
}

func (b *program) ec2() EC2                { return b.kind.EC2(b.job.Target) }
func (b *program) ec2In(region string) EC2 { return b.kind.EC2(b.job.Target.In(region)) }
func (b *program) ssm() SSM                { return b.kind.SSM(b.job.Target) }
func (b *program) shell() string           { return guest.ShellOf(b.progress.Source.Platform) }
func (b *program) versionName() string     { return fmt.Sprintf("%s@%d", b.job.Name, b.progress.Version) }
func (b *program) pace(d time.Duration) time.Duration {
	return time.Duration(float64(d) / b.kind.Pace)
}

// tags are the user's tags with ours over them.
func (b *program) tags(turn *jobs.Turn, thing string) map[string]string {
	tags := maps.Clone(b.spec.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, turn.Tags(thing))
	return tags
}

// environment is what every script gets.
func (b *program) environment(own map[string]string) map[string]string {
	env := map[string]string{}
	maps.Copy(env, b.spec.Vars)
	maps.Copy(env, b.spec.Env)
	maps.Copy(env, own)
	return env
}
