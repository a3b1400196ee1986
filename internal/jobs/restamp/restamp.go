// Package restamp renews images and rolls the fleets that run them, in one request: the patch day. It has two kinds.
//
// A Restamp evaluates its selection once, keeps what that came to in the bucket, and fans out one Renewal for each image whose
// parent is not renewed too, together with the Rollouts of those fleets whose image is not renewed at all.
//
//	select → renew → report → close → verdict → notify
//
// A Renewal bakes one image, and then fans out the Renewals of the images that are baked from it, together with the Rollouts of
// the fleets that run it: see renewal.go. So a bake that fails stops what is below it and the fleets of that, and nothing else.
//
// A Restamp fails where anything in it failed, when all else has ended; its report tells both.
package restamp

import (
	"encoding/json"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Names of the kinds.
const (
	KindName        = "Restamp"
	RenewalKindName = "Renewal"
)

// Config is what both kinds are made of.
type Config struct {
	Ledger   Ledger
	Files    Files
	Pauses   Pauses
	Callback notify.Callback
	// Kinds are the kinds that plans ask: what a restamp would fan out.
	Kinds jobs.Kinds
	// Budgets tell how EC2's buckets stand, for a plan's times; nil: full ones, of AWS's own size.
	Budgets preflight.Budgets
	// Region is the worker's own, for targets that name none.
	Region string
}

// Kind is the kind Restamp.
type Kind struct {
	Config
	works *works
}

// New makes the kind Restamp.
func New(config Config) *Kind { return &Kind{Config: config, works: &works{}} }

// Name is Restamp.
func (*Kind) Name() string { return KindName }

// Check says what is wrong with a spec.
func (*Kind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[Spec](raw)
	return err
}

// Program opens a job.
func (k *Kind) Program(job *jobs.Job) (jobs.Program, error) {
	s, err := spec.Read[Spec](job.Spec)
	if err != nil {
		return nil, err
	}
	kept, err := jobs.Progress(job, func(p *progress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	return &restamp{Kind: k, spec: s, job: job, progress: kept}, nil
}

// restamp is one Restamp in one delivery's hands.
type restamp struct {
	*Kind
	spec     Spec
	job      *jobs.Job
	progress progress
}

type progress struct {
	Run int `json:"run"`
	// Work is the key of what was selected, Before that of the servers as they were then.
	Work   string `json:"work,omitempty"`
	Before string `json:"before,omitempty"`
	Images int    `json:"images,omitempty"`
	Fleets int    `json:"fleets,omitempty"`
	// Totals are what came of it, once the report is written.
	Totals *Totals      `json:"totals,omitempty"`
	Closed bool         `json:"closed,omitempty"`
	Notify notify.State `json:"notify,omitzero"`
}

// Result is what a finished restamp tells.
type Result struct {
	Images int `json:"images"` // selected
	Fleets int `json:"fleets"`
	Totals
}

// Steps are the same for every spec.
func (r *restamp) Steps() []jobs.Step {
	return append([]jobs.Step{
		{Name: "select", Do: r.choose},
		{Name: "renew", Do: r.renew},
		{Name: "report", Do: r.report},
		{Name: "close", Do: r.close},
		{Name: "verdict", Do: r.verdict},
	}, r.notification()...)
}

// Undo takes nothing back: images that were renewed stay, and each rollout undoes its own. It tells what there is.
func (r *restamp) Undo() []jobs.Step {
	return append([]jobs.Step{{Name: "report", Do: r.report}, {Name: "close", Do: r.close}}, r.notification()...)
}

func (r *restamp) notification() []jobs.Step {
	return notify.Steps(r.spec.Notify, r.Callback, &r.progress.Notify, r.Result)
}

// PassesOn lets renewals and rollouts pause and go on with their restamp.
func (r *restamp) PassesOn(child string, verb jobs.Verb) bool { return passesOn(child, verb) }

func passesOn(child string, verb jobs.Verb) bool {
	return (child == RenewalKindName || child == rollout.KindName) && (verb == jobs.Pause || verb == jobs.Resume)
}

// Committed is never true: a cancel stops what has not ended yet.
func (r *restamp) Committed() bool { return false }

// Data is the progress.
func (r *restamp) Data() any { return r.progress }

// Result tells what came of it.
func (r *restamp) Result() any {
	if r.progress.Work == "" {
		return nil // it never got past looking
	}
	result := Result{Images: r.progress.Images, Fleets: r.progress.Fleets}
	if r.progress.Totals != nil {
		result.Totals = *r.progress.Totals
	}
	return result
}

func (r *restamp) id() ledger.RestampID {
	return ledger.RestampID{Job: r.job.ID, Incarnation: r.job.Incarnation, Run: r.job.Run}
}
