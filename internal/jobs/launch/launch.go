// Package launch stamps servers from an image. It has two kinds.
//
// A Launch makes a fleet converge to a count: it looks up everything it needs, takes its place in the line for the fleet,
// finds the ordinals that have no living server, fans them out as batches of at most a hundred, watches the servers with
// few calls until they are healthy, attaches them to target groups, and reports. Ordinals that were not granted or whose
// servers died go into another round of batches. With fewer healthy servers than the spec accepts, and on a cancel,
// everything that this launch made is undone; servers that were there before stay.
//
// A Batch is one call's worth of servers and its repetitions: see batch.go.
package launch

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/capacity"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Config is what both kinds are made of.
type Config struct {
	EC2          func(jobs.Target) EC2
	TargetGroups func(jobs.Target) TargetGroups
	Parameters   func(jobs.Target) Parameters
	Commands     func(jobs.Target) Commands
	// Handing, if not nil, hands successors what only one server can hold.
	Handing func(jobs.Target) Handing
	// Quotas, if not nil, are asked before anything is made.
	Quotas func(jobs.Target) Quotas
	// Profiles, if not nil, are looked up likewise.
	Profiles func(jobs.Target) preflight.Profiles
	Ledger   Ledger
	// Capacity remembers pools without capacity.
	Capacity capacity.Memory
	Files    Files
	// Budgets tell how EC2's buckets stand, for a plan's times; nil: full ones, of AWS's own size.
	Budgets  preflight.Budgets
	Callback notify.Callback
	// Region is the worker's own, for targets that name none.
	Region string
	// Pace divides the first wait for servers to run; 1 if zero. It is for endpoints that run faster than AWS.
	Pace float64
}

// Names of the kinds.
const (
	KindName      = "Launch"
	BatchKindName = "Batch"
)

// Rounds is how often missing ordinals are fanned out, the first time included.
const Rounds = 3

// Kind is the kind Launch.
type Kind struct{ config Config }

// New makes the kind Launch.
func New(config Config) *Kind { return &Kind{config} }

// Name is Launch.
func (*Kind) Name() string { return KindName }

// Check says what is wrong with a spec.
func (*Kind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[Spec](raw)
	return err
}

// Program opens a launch.
func (k *Kind) Program(job *jobs.Job) (jobs.Program, error) {
	s, err := spec.Read[Spec](job.Spec)
	if err != nil {
		return nil, err
	}
	kept, err := jobs.Progress(job, func(p *progress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	return &launch{Config: k.config, spec: s, job: job, progress: kept}, nil
}

// launch is one Launch in one delivery's hands.
type launch struct {
	Config
	spec     Spec
	job      *jobs.Job
	progress progress
	anyone   bool // its servers are the fleet's, whoever launched them
}

func (l *launch) ec2() EC2 { return l.EC2(l.job.Target) }

// fleet is the fleet's name: the job's.
func (l *launch) fleet() string { return l.job.Name }

// Steps lists what the spec asks for.
func (l *launch) Steps() []jobs.Step {
	steps := []jobs.Step{
		{Name: "preflight", Looks: true, Do: l.preflight},
		{Name: "own", Do: l.own},
		{Name: "plan", Do: l.plan},
	}
	for round := 1; round <= Rounds; round++ {
		steps = append(steps,
			jobs.Step{Name: fmt.Sprintf("launch-%d", round), Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
				return l.fanOut(ctx, turn, round)
			}},
			jobs.Step{Name: fmt.Sprintf("running-%d", round), Looks: true, Do: l.watch},
		)
	}
	if l.spec.Healthy.StatusChecks {
		steps = append(steps, jobs.Step{Name: "status-checks", Looks: true, Do: l.statusChecks})
	}
	if l.spec.Healthy.asksServers() {
		steps = append(steps, jobs.Step{Name: "commands", Do: l.commands})
	}
	if len(l.spec.Attach.TargetGroups) > 0 {
		steps = append(steps, jobs.Step{Name: "attach", Do: l.attach})
		if l.spec.Healthy.TargetGroup {
			steps = append(steps, jobs.Step{Name: "target-health", Looks: true, Do: l.targetHealth})
		}
	}
	steps = append(steps,
		jobs.Step{Name: "accept", Do: l.accept},
		jobs.Step{Name: "report", Do: l.report},
		jobs.Step{Name: "release", Do: l.release},
	)
	return append(steps, l.notification()...)
}

// Undo lists what takes a launch back: its servers, then the fleet.
func (l *launch) Undo() []jobs.Step {
	steps := []jobs.Step{
		{Name: "terminate", Do: l.undoServers},
		{Name: "forget", Do: l.undoLedger},
		{Name: "release", Do: l.undoFleet},
	}
	return append(steps, l.notification()...)
}

func (l *launch) notification() []jobs.Step {
	return notify.Steps(l.spec.Notify, l.Callback, &l.progress.Notify, l.Result)
}

// Committed: enough servers are healthy, and those that are not have begun to go.
func (l *launch) Committed() bool { return l.progress.Settled }

// Data is the progress.
func (l *launch) Data() any { return l.progress }

// Result tells what the fleet has now.
func (l *launch) Result() any {
	p := &l.progress
	if p.Image.AMI == "" {
		return nil // it never got past looking things up
	}
	result := Result{Fleet: l.fleet(), Image: p.Image.Ref, AMI: p.Image.AMI, Count: l.spec.Count, Before: p.Existing.Len(),
		Shortage: p.Shortage, Report: p.Report}
	for _, failure := range p.Failures {
		if !p.Settled || !p.Up.Has(failure.Ordinal) { // else another server took its place
			result.Failures = append(result.Failures, failure)
		}
	}
	if p.Settled {
		result.Launched = p.Up
		result.Missing = p.Planned.Minus(p.Up)
	}
	return result
}
