package app

import (
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/catalog"
	"github.com/stampmill/stampmill/internal/jobs/distribute"
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

// catalogKinds are the kinds that work on images that are there.
func (a *App) catalogKinds(region string) []jobs.Kind {
	return append(catalog.New(catalog.Config{
		EC2:    func(t jobs.Target) catalog.EC2 { return a.EC2.For(t) },
		SSM:    func(t jobs.Target) release.Parameters { return a.SSM.For(t) },
		Ledger: a.Ledger, Callback: a.Callback, Region: region, Pace: a.Pace,
	}), lifecycle.New(lifecycle.Config{
		EC2: func(t jobs.Target) lifecycle.EC2 { return a.EC2.For(t) }, Catalog: a.Ledger, Callback: a.Callback,
	}), distribute.New(distribute.Config{
		EC2:    func(t jobs.Target) distribute.EC2 { return a.EC2.For(t) },
		SSM:    func(t jobs.Target) distribute.Parameters { return a.SSM.For(t) },
		Ledger: a.Ledger, Callback: a.Callback, Region: region, Pace: a.Pace,
	}))
}
