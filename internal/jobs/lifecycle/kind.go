package lifecycle

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// KindName is the kind's name.
const KindName = "Retire"

// Spec says which versions of an image stay; the document's name is the image's. It does what a Bake's keep does, without a bake.
type Spec struct {
	// Versions is how many of the newest versions stay.
	Versions int `json:"versions,omitempty" min:"0" max:"1000" example:"5"`
	// Age keeps versions that are younger, however many there are.
	Age spec.Duration `json:"age,omitempty" example:"90d"`
	// Deprecated is for how long a version that goes is marked as deprecated before the next stage; it can be launched meanwhile.
	Deprecated spec.Duration `json:"deprecated,omitempty" example:"7d"`
	// Disabled is for how long it is disabled before it is deregistered: nothing can be launched from it, and
	// `stampmill image restore` brings it back.
	Disabled spec.Duration `json:"disabled,omitempty" example:"14d"`
	// Notify is called when the job has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if s.Versions == 0 && s.Age == 0 {
		p.Add("expected versions or age: what stays", "write versions: 5, or age: 90d, or both")
	}
}

// Config is what the kind works with.
type Config struct {
	EC2      func(jobs.Target) EC2
	Catalog  Catalog
	Callback notify.Callback
}

// Kind is the kind Retire.
type Kind struct{ Config }

// New makes the kind.
func New(config Config) *Kind { return &Kind{config} }

// Name is Retire.
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
	return &program{Config: k.Config, job: job, spec: s, progress: kept}, nil
}

type program struct {
	Config
	job      *jobs.Job
	spec     Spec
	progress progress
}

type progress struct {
	Run     int          `json:"run"`
	Outcome Outcome      `json:"outcome"`
	Notify  notify.State `json:"notify,omitzero"`
}

func (p *program) line() Line {
	return Line{Image: p.job.Name, Catalog: p.Catalog,
		Keep: Keep{p.spec.Versions, time.Duration(p.spec.Age), time.Duration(p.spec.Deprecated), time.Duration(p.spec.Disabled)},
		EC2: func(role, region string) EC2 {
			return p.EC2(jobs.Target{Role: cmp.Or(role, p.job.Target.Role), Region: region})
		}}
}

// Steps are the same for every spec.
func (p *program) Steps() []jobs.Step {
	return append([]jobs.Step{{Name: "retire", Do: p.retire}}, p.notify()...)
}

// Undo has nothing to take back: what is gone is gone, and what is disabled can be restored.
func (p *program) Undo() []jobs.Step { return p.notify() }

func (p *program) notify() []jobs.Step {
	return notify.Steps(p.spec.Notify, p.Callback, &p.progress.Notify, p.Result)
}

// Committed is never true: a cancel stops before the next step.
func (p *program) Committed() bool { return false }

// Data is the progress to keep.
func (p *program) Data() any { return p.progress }

// Result tells what was done.
func (p *program) Result() any { return p.progress.Outcome }

func (p *program) retire(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	_, found, err := p.Catalog.GetImage(ctx, p.job.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	if !found {
		return jobs.Fail("there is no image %s; see `stampmill image list`", p.job.Name), nil
	}
	out, err := p.line().Retire(ctx, turn)
	if err != nil {
		return jobs.Move{}, err
	}
	p.progress.Outcome = out
	return jobs.Done(), nil
}

var _ jobs.Planner = (*program)(nil)

// Plan tells which versions are surplus, and what keeps them.
func (p *program) Plan(ctx context.Context, _ jobs.Foreseen) (jobs.Plan, error) {
	var plan jobs.Plan
	var out Outcome
	old, err := p.line().Surplus(ctx, time.Now())
	if err != nil {
		return plan, err
	}
	users, err := p.line().Users(ctx, old)
	if err != nil {
		return plan, err
	}
	var goes []string
	for _, v := range old {
		if by := users[v.Ref()]; by != "" {
			out.Stay = append(out.Stay, Stay{v.Ref(), by})
			continue
		}
		out.Retired, goes = append(out.Retired, v.Number), append(goes, v.Ref())
	}
	if len(goes) == 0 {
		goes = []string{"nothing"}
	}
	plan.Say("next stage", "%s", strings.Join(goes, ", "))
	if err := p.planReports(ctx, &plan, old, users); err != nil {
		return plan, err
	}
	for _, s := range out.Stay {
		plan.Say("stays", "%s: %s", s.Version, s.Because)
	}
	plan.Details = out
	return plan, nil
}

// planReports tells which versions go only once EC2 has reported that the accounts to which they are open do not use them.
func (p *program) planReports(ctx context.Context, plan *jobs.Plan, old []l.Version, users map[string]string) error {
	about := "asked before"
	for _, v := range old {
		if users[v.Ref()] != "" {
			continue
		}
		amis, to, err := p.line().opened(ctx, v)
		if err := jobs.Gather(&plan.Findings, err); err != nil {
			return err
		}
		if len(amis) > 0 {
			plan.Say(about, "what %s do with %s, by EC2's usage reports on %d AMIs: it stays until they say nothing", strings.Join(to, ", "), v.Ref(), len(amis))
			about = ""
		}
	}
	return nil
}
