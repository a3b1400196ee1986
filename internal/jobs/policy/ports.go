package policy

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Leases lets one worker at a time look at the policies.
type Leases interface {
	Lease(ctx context.Context, name, owner string, now, until time.Time) (bool, error)
}

// Rows tells how jobs stand.
type Rows interface {
	Rows(ctx context.Context, ids []string) (map[string]*jobs.Row, error)
}

// Catalog is what is read of images.
type Catalog interface {
	ListImages(ctx context.Context) ([]ledger.Image, error)
	GetImage(ctx context.Context, name string) (ledger.Image, bool, error)
	GetVersion(ctx context.Context, image string, number int) (ledger.Version, bool, error)
	// CurrentVersions are the current versions of those images that have one, by the image's name.
	CurrentVersions(ctx context.Context, images []ledger.Image) (map[string]ledger.Version, error)
}

// Fleets is what is read of fleets.
type Fleets interface {
	ListFleets(ctx context.Context) ([]ledger.Fleet, error)
	GetFleet(ctx context.Context, name string) (ledger.Fleet, bool, error)
	Servers(ctx context.Context, fleet string) ([]ledger.Server, error)
}

// EC2 is what is asked of EC2 in one account and region.
type EC2 interface {
	NewestImage(ctx context.Context, owner, namePattern, architecture string) (cloud.Image, bool, error)
	InstancesTagged(ctx context.Context, tags map[string]string, states ...string) ([]cloud.Instance, error)
	Instances(ctx context.Context, ids ...string) ([]cloud.Instance, error)
}

// Parameters reads SSM parameters.
type Parameters interface {
	Parameter(ctx context.Context, name string) (value string, found bool, err error)
}

// Restamps knows what a Restamp's spec means.
type Restamps interface {
	// Images are the names of those images that the spec chooses: by name, label, and their current versions' age and parent.
	Images(restamp json.RawMessage, all []ledger.Image, current map[string]ledger.Version, now time.Time) ([]string, error)
	// Only is the spec, for these images alone.
	Only(restamp json.RawMessage, images []string) (json.RawMessage, error)
}
