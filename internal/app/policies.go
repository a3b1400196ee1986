package app

import (
	"log/slog"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/policy"
)

// Policies makes what looks at policies; the owner is the worker's id in the lease.
func (a *App) Policies(owner string, interval time.Duration, log *slog.Logger) *policy.Evaluator {
	return policy.New(policy.Config{
		Store: a.Ledger, Leases: a.Store, Rows: a.Store, Sender: a.Queue, Catalog: a.Ledger, Fleets: a.Ledger,
		EC2:        func(t jobs.Target) policy.EC2 { return a.EC2.For(t) },
		Parameters: func(t jobs.Target) policy.Parameters { return a.SSM.For(t) },
		Restamps:   policy.Selections{},
		Region:     a.Clients.Region(), Owner: owner, Interval: interval, Clock: a.Clock, Log: log,
	})
}
