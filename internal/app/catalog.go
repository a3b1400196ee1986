package app

import (
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/catalog"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

// catalogKinds are the kinds that work on images that are there.
func (a *App) catalogKinds(region string) []jobs.Kind {
	return catalog.New(catalog.Config{
		EC2:    func(t jobs.Target) catalog.EC2 { return a.EC2.For(t) },
		SSM:    func(t jobs.Target) release.Parameters { return a.SSM.For(t) },
		Ledger: a.Ledger, Callback: a.Callback, Region: region, Pace: a.Pace,
	})
}
