package distribute

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

// EC2 is what the kind asks of EC2 in one account and region.
type EC2 interface {
	copies.EC2
	copies.Remains
	copies.Snapshots
	lifecycle.EC2
	copies.Lender
	preflight.Places
	Sharing
}

// Sharing tells what stands in the way of opening AMIs, and protects them.
type Sharing interface {
	BlockPublicAccess(ctx context.Context) (state string, err error)
	Protect(ctx context.Context, imageID string, withCooldown bool) error
}

// Parameters is one region's Parameter Store.
type Parameters interface {
	release.Parameters
	DeleteParameter(ctx context.Context, name string) error
}

// Ledger is the catalog, and the fleets that run what is in it.
type Ledger interface {
	lifecycle.Catalog
	GetVersion(ctx context.Context, image string, number int) (l.Version, bool, error)
	// OwnVersion makes the job the one that changes where the version is, unless another one that has not ended is.
	OwnVersion(ctx context.Context, g jobs.Guard, image string, number int, job string) (v l.Version, owned bool, err error)
}
