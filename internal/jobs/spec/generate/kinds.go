package main

import (
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/catalog"
	"github.com/stampmill/stampmill/internal/jobs/distribute"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ping"
	"github.com/stampmill/stampmill/internal/jobs/policy"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/jobs/terminate"
)

// kinds are the kinds that are documented.
func kinds() spec.Registry {
	all := spec.Registry{}
	all.Register("Bake", bake.Spec{})
	all.Register(distribute.KindName, distribute.Spec{})
	all.Register("Launch", launch.Spec{})
	all.Register("Ping", ping.Spec{})
	all.Register("Policy", policy.Spec{})
	all.Register("Rollout", rollout.Spec{})
	all.Register("Restamp", restamp.Spec{})
	all.Register("Terminate", terminate.Spec{})
	catalog.Register(all)
	return all
}
