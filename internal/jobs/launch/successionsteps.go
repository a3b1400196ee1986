package launch

import (
	"context"
	"fmt"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// succession is one Succession in one delivery's hands.
type succession struct{ *heir }

// Steps are a launch's; what the fleet's spec does not ask for passes at once.
func (s *succession) Steps() []jobs.Step {
	steps := []jobs.Step{{Name: "prepare", Looks: true, Do: s.prepare}}
	for round := 1; round <= SuccessionRounds; round++ {
		steps = append(steps,
			jobs.Step{Name: fmt.Sprintf("launch-%d", round), Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
				return s.fanOut(ctx, turn, round)
			}},
			jobs.Step{Name: fmt.Sprintf("running-%d", round), Looks: true, Do: s.watch},
		)
	}
	return append(steps,
		jobs.Step{Name: "hand", Do: s.where(func() bool { return s.progress.Heirs != nil && len(s.progress.Heirs.Estates) > 0 }, s.hand)},
		jobs.Step{Name: "status-checks", Looks: true, Do: s.where(func() bool { return s.spec.Healthy.StatusChecks }, s.statusChecks)},
		jobs.Step{Name: "commands", Do: s.where(func() bool { return s.spec.Healthy.asksServers() }, s.commands)},
		jobs.Step{Name: "attach", Do: s.where(func() bool { return len(s.progress.TargetGroups) > 0 }, s.attach)},
		jobs.Step{Name: "target-health", Looks: true, Do: s.where(func() bool { return s.spec.Healthy.TargetGroup }, s.targetHealth)},
		jobs.Step{Name: "settle", Do: s.settle},
	)
}

// where carries a step out that the fleet's spec asks for.
func (*heir) where(asked func() bool, do func(context.Context, *jobs.Turn) (jobs.Move, error)) func(context.Context, *jobs.Turn) (jobs.Move, error) {
	return func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		if !asked() {
			turn.OnlySaw()
			return jobs.Done(), nil
		}
		return do(ctx, turn)
	}
}

// Undo takes every successor of this job back. The holders are not its own.
func (s *succession) Undo() []jobs.Step {
	return []jobs.Step{{Name: "terminate", Do: s.undoServers}, {Name: "forget", Do: s.undoLedger}}
}

// settle marks those that passed, and terminates the others: their second slots are free.
func (s *succession) settle(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &s.progress
	servers, err := s.servers(ctx, p.Planned)
	if err != nil {
		return jobs.Move{}, err
	}
	var passed, bad []ledger.Server
	for _, server := range servers {
		switch {
		case !p.Up.Has(server.Ordinal):
			bad = append(bad, server)
		case server.State != ledger.Healthy:
			server.State = ledger.Healthy
			passed = append(passed, server)
		}
	}
	if len(passed) > 0 {
		if err := s.Ledger.PutServers(ctx, turn.Guard(), passed); err != nil {
			return jobs.Move{}, err
		}
	}
	p.Settled = true
	if len(bad) == 0 {
		return jobs.Done(), nil
	}
	if err := detach(ctx, s.TargetGroups(s.job.Target), p.TargetGroups, ids(bad)); err != nil {
		return jobs.Move{}, err
	}
	if err := terminate(ctx, s.ec2(), ids(bad)); err != nil {
		return jobs.Move{}, err
	}
	return jobs.Done(), s.Ledger.DeleteServers(ctx, turn.Guard(), s.fleet(), held(bad).List())
}

// Committed is never true: what a succession launched is undone until its rollout has taken it in.
func (s *succession) Committed() bool { return false }

// Result tells who passed. What is neither up nor failed was not granted, or died before anybody could tell why.
func (s *succession) Result() any {
	p := &s.progress
	result := HeirResult{Passed: p.Up, Failed: p.Failed, Failures: p.Failures, Missing: p.Planned.Minus(p.Up).Minus(p.Failed), Shortage: p.Shortage,
		Outliving: s.spec.Server.outliving()}
	if !p.Settled {
		result.Passed, result.Missing = ordinals.Set{}, p.Planned.Minus(p.Failed)
	}
	return result
}

// heirParts cuts successors into batches by the subnets of those that they replace, so that zones keep their shares.
func (l *launch) heirParts(todo ordinals.Set) []part {
	var parts []part
	rest := todo
	for _, place := range l.progress.Heirs.Places {
		for number, batch := range common(rest, place.Ordinals).Chunks(BatchSize) {
			parts = append(parts, part{ordinals: batch, number: number, subnet: place.Subnet})
		}
		rest = rest.Minus(place.Ordinals)
	}
	for number, batch := range rest.Chunks(BatchSize) {
		parts = append(parts, part{ordinals: batch, number: number})
	}
	return parts
}

func common(a, b ordinals.Set) ordinals.Set { return a.Minus(a.Minus(b)) }
