package app

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
)

// addRestamps adds the kinds Restamp and Renewal, whose plans ask the others.
func (a *App) addRestamps(all jobs.Kinds, files Files, now preflight.Budgets) {
	kind := restamp.New(restamp.Config{Ledger: a.Ledger, Files: files, Pauses: pauses{a}, Callback: a.Callback, Kinds: all, Budgets: now, Region: a.Clients.Region()})
	all[kind.Name()] = kind
	renewal := restamp.NewRenewal(kind)
	all[renewal.Name()] = renewal
}

// pauses tells of a job's orders, from its item.
type pauses struct{ app *App }

// Paused reports whether the job's last order of the two was to pause.
func (p pauses) Paused(ctx context.Context, job string) (bool, error) {
	row, err := p.app.Store.Load(ctx, job)
	if err != nil || row == nil || row.Job == nil || row.Job.Finished() {
		return false, err
	}
	return row.Job.Paused(), nil
}
