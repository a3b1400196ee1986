// Package terminate is the kind that makes fleets smaller: it chooses servers, lets load balancers drain them, terminates
// them, and forgets them once EC2 says that they are gone.
//
// What is terminated cannot be taken back, so there is no undo: a cancel stops before the next step, and the result says
// what was done. A server that is being terminated is marked first, so that a fleet shows what is under way.
package terminate

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// KindName is the kind's name.
const KindName = "Terminate"

// Servers is EC2's instances.
type Servers interface {
	Instances(ctx context.Context, ids ...string) ([]cloud.Instance, error)
	Terminate(ctx context.Context, ids ...string) error
}

// TargetGroups is the load balancers' side.
type TargetGroups interface {
	Deregister(ctx context.Context, arn string, instanceIDs ...string) error
	Health(ctx context.Context, arn string, instanceIDs ...string) ([]cloud.TargetHealth, error)
}

// Fleets is the ledger of fleets.
type Fleets interface {
	GetFleet(ctx context.Context, name string) (ledger.Fleet, bool, error)
	Own(ctx context.Context, g jobs.Guard, fleet ledger.Fleet, job string) (as ledger.Fleet, owned bool, err error)
	PutFleet(ctx context.Context, g jobs.Guard, fleet ledger.Fleet) error
	Release(ctx context.Context, g jobs.Guard, fleet, job string) error
	DeleteFleet(ctx context.Context, g jobs.Guard, name string) error
}

// Holders is the ledger of a fleet's servers.
type Holders interface {
	Servers(ctx context.Context, fleet string) ([]ledger.Server, error)
	PutServers(ctx context.Context, g jobs.Guard, servers []ledger.Server) error
	DeleteServers(ctx context.Context, g jobs.Guard, fleet string, ordinals []int) error
}

// Ledger is both.
type Ledger interface {
	Fleets
	Holders
}

// Config is what the kind is made of.
type Config struct {
	EC2          func(jobs.Target) Servers
	TargetGroups func(jobs.Target) TargetGroups
	Ledger       Ledger
	Callback     notify.Callback
	// Budgets tell how EC2's buckets stand, for a plan's times; nil: full ones, of AWS's own size.
	Budgets preflight.Budgets
	// Region is the worker's own, for fleets that name none.
	Region string
}

// Kind is the kind Terminate.
type Kind struct{ config Config }

// New makes the kind.
func New(config Config) *Kind { return &Kind{config} }

// Name is Terminate.
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
	return &termination{Config: k.config, spec: s, priority: job.Priority, progress: kept}, nil
}

type termination struct {
	Config
	spec     Spec
	priority jobs.Priority
	progress progress
}

type progress struct {
	Run    int         `json:"run"`
	Target jobs.Target `json:"target,omitzero"` // the fleet's
	Owned  bool        `json:"owned,omitempty"`
	Wanted int         `json:"wanted,omitempty"` // the fleet's count when this job came to own it
	// Chosen are the servers to terminate, Sent those for which EC2 was asked, Gone those that are forgotten.
	Chosen  ordinals.Set `json:"chosen,omitzero"`
	Planned bool         `json:"planned,omitempty"`
	Sent    ordinals.Set `json:"sent,omitzero"`
	Gone    ordinals.Set `json:"gone,omitzero"`
	Left    int          `json:"left"`
	Notify  notify.State `json:"notify,omitzero"`
}

// Result tells what a finished job did.
type Result struct {
	Fleet string `json:"fleet"`
	// Terminated are the ordinals whose servers are gone; Pending those that were chosen and are not.
	Terminated ordinals.Set `json:"terminated,omitzero"`
	Pending    ordinals.Set `json:"pending,omitzero"`
	// Left is how many servers the fleet has.
	Left int `json:"left"`
}

// Steps are the same for every spec.
func (t *termination) Steps() []jobs.Step {
	return append([]jobs.Step{
		{Name: "own", Do: t.own},
		{Name: "choose", Do: t.choose},
		{Name: "deregister", Do: t.deregister},
		{Name: "drain", Looks: true, Do: t.drain},
		{Name: "terminate", Do: t.terminate},
		{Name: "gone", Do: t.gone},
		{Name: "record", Do: t.record},
		{Name: "release", Do: t.release},
	}, t.notification()...)
}

// Undo forgets what is terminated, which stays so, takes the other marks back and gives the fleet up.
func (t *termination) Undo() []jobs.Step {
	return append([]jobs.Step{{Name: "forget", Do: t.forget}, {Name: "unmark", Do: t.unmark}, {Name: "release", Do: t.leave}}, t.notification()...)
}

func (t *termination) notification() []jobs.Step {
	return notify.Steps(t.spec.Notify, t.Callback, &t.progress.Notify, t.Result)
}

// Committed is never true: a cancel stops before the next step.
func (t *termination) Committed() bool { return false }

// Data is the progress.
func (t *termination) Data() any { return t.progress }

// Result tells what was done so far.
func (t *termination) Result() any {
	p := t.progress
	if !p.Planned {
		return nil
	}
	return Result{Fleet: t.spec.Fleet, Terminated: p.Gone, Pending: p.Chosen.Minus(p.Gone), Left: p.Left}
}

// own waits in line for a fleet that there is.
func (t *termination) own(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	fleet, known, err := t.Ledger.GetFleet(ctx, t.spec.Fleet)
	if err != nil {
		return jobs.Move{}, err
	}
	if !known {
		return jobs.Fail("there is no fleet %s; see `stampmill fleet list`", t.spec.Fleet), nil
	}
	if fleet.Group != "" {
		return jobs.Fail("the fleet %s is the Auto Scaling group %s, which would replace what goes; change the group's desired capacity, or give the fleet back: stampmill import fleet %s --undo",
			t.spec.Fleet, fleet.Group, t.spec.Fleet), nil
	}
	t.progress.Target = fleet.Target
	fleet, owned, err := t.Ledger.Own(ctx, turn.Guard(), fleet, turn.Job.ID)
	if err != nil {
		return jobs.Move{}, err
	}
	if !owned {
		return jobs.Wait(10*time.Second, "the fleet %s: %s works on it", t.spec.Fleet, fleet.Owner), nil
	}
	t.progress.Owned, t.progress.Wanted = true, fleet.Count
	return jobs.Done(), nil
}

// choose fixes which servers go, and marks them. Those that EC2 says are gone go in any case, and do not count among those
// that stay.
func (t *termination) choose(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	servers, err := t.Ledger.Servers(ctx, t.spec.Fleet)
	if err != nil {
		return jobs.Move{}, err
	}
	if !t.progress.Planned {
		states, err := t.states(ctx, servers)
		if err != nil {
			return jobs.Move{}, err
		}
		t.progress.Chosen, t.progress.Planned = t.spec.choice(servers, states), true
		t.progress.Left = len(servers)
		turn.Note("%d of %d servers go: %s", t.progress.Chosen.Len(), len(servers), t.progress.Chosen)
		if err := turn.Save(ctx); err != nil {
			return jobs.Move{}, err
		}
	}
	var marked []ledger.Server
	for _, server := range servers {
		if t.progress.Chosen.Has(server.Ordinal) && server.State != ledger.Leaving {
			server.State = ledger.Leaving
			marked = append(marked, server)
		}
	}
	if len(marked) > 0 {
		if err := t.Ledger.PutServers(ctx, turn.Guard(), marked); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

// choice is the ordinals that the spec means, of those that have servers, by the instances' states.
func (s Spec) choice(servers []ledger.Server, states map[string]string) ordinals.Set {
	var held, dead []int
	for _, server := range servers {
		if state := states[server.InstanceID]; state == "terminated" || state == "shutting-down" {
			dead = append(dead, server.Ordinal)
		} else {
			held = append(held, server.Ordinal)
		}
	}
	slices.Sort(held)
	switch {
	case s.All:
		return ordinals.Of(append(held, dead...)...)
	case s.To != nil:
		return ordinals.Of(append(dead, held[min(*s.To, len(held)):]...)...)
	}
	held = append(held, dead...)
	wanted := s.ordinals()
	held = slices.DeleteFunc(held, func(ordinal int) bool { return !wanted.Has(ordinal) })
	return ordinals.Of(held...)
}
