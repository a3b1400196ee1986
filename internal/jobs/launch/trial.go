package launch

import (
	"context"
	"encoding/json"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// TrialKindName is the kind's name.
const TrialKindName = "Trial"

// TrialKind is the kind Trial: it asks servers that a fleet has whether they are healthy, the child of a Rollout. It changes
// nothing; its result says who passed.
type TrialKind struct{ config Config }

// NewTrial makes the kind Trial.
func NewTrial(config Config) *TrialKind { return &TrialKind{config} }

// Name is Trial.
func (*TrialKind) Name() string { return TrialKindName }

// Check says what is wrong with a spec.
func (*TrialKind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[HeirSpec](raw)
	return err
}

// Program opens a trial.
func (k *TrialKind) Program(job *jobs.Job) (jobs.Program, error) {
	h, err := openHeirs(k.config, job)
	if err != nil {
		return nil, err
	}
	h.anyone = true
	return &trial{h}, nil
}

// trial is one Trial in one delivery's hands.
type trial struct{ *heir }

// Steps are a launch's checks, of servers that are attached already.
func (t *trial) Steps() []jobs.Step {
	return []jobs.Step{
		{Name: "prepare", Looks: true, Do: t.prepare},
		{Name: "running", Looks: true, Do: t.begin},
		{Name: "status-checks", Looks: true, Do: t.where(func() bool { return t.spec.Healthy.StatusChecks }, t.statusChecks)},
		{Name: "commands", Do: t.where(func() bool { return t.spec.Healthy.asksServers() }, t.commands)},
		{Name: "target-health", Looks: true, Do: t.where(func() bool { return t.spec.Healthy.TargetGroup }, t.targetHealth)},
	}
}

// begin takes the servers in that run; one that does not has failed.
func (t *trial) begin(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &t.progress
	servers, err := t.servers(ctx, p.Planned)
	if err != nil {
		return jobs.Move{}, err
	}
	holding := held(servers)
	for ordinal := range p.Planned.Minus(holding).All() {
		p.fail(ordinal, "", "the ordinal has no server")
	}
	var now []ledger.Server
	if now, err = t.running(ctx, servers); err != nil {
		return jobs.Move{}, err
	}
	p.Up, p.Launched, p.Watched, p.LaunchedAt = held(now), p.Planned, true, turn.Now()
	return jobs.Done(), nil
}

// Undo has nothing to take back.
func (*trial) Undo() []jobs.Step { return nil }

// Committed is never true: a cancel ends the trial.
func (*trial) Committed() bool { return false }

// Result tells who passed.
func (t *trial) Result() any {
	p := &t.progress
	return HeirResult{Passed: p.Up, Failed: p.Failed, Failures: p.Failures}
}
