package restamp

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Catalog is the ledger's images.
type Catalog interface {
	ListImages(ctx context.Context) ([]ledger.Image, error)
	GetImage(ctx context.Context, name string) (ledger.Image, bool, error)
	GetVersion(ctx context.Context, image string, number int) (ledger.Version, bool, error)
	// CurrentVersions are the current versions of those images that have one, by the image's name.
	CurrentVersions(ctx context.Context, images []ledger.Image) (map[string]ledger.Version, error)
}

// Servers is the ledger's fleets and their servers.
type Servers interface {
	ListFleets(ctx context.Context) ([]ledger.Fleet, error)
	Servers(ctx context.Context, fleet string) ([]ledger.Server, error)
}

// Restamps is what the ledger knows of the restamps that are under way.
type Restamps interface {
	// OpenRestamp says what the restamp works on; CloseRestamp forgets it, and all that is below its id.
	OpenRestamp(ctx context.Context, g jobs.Guard, r ledger.Restamp) error
	CloseRestamp(ctx context.Context, g jobs.Guard, id ledger.RestampID) error
	// OpenRestamps are those whose job has not ended.
	OpenRestamps(ctx context.Context) ([]ledger.Restamp, error)
	PutOutcomes(ctx context.Context, g jobs.Guard, id ledger.RestampID, outcomes []ledger.Outcome) error
	Outcomes(ctx context.Context, id ledger.RestampID) ([]ledger.Outcome, error)
}

// Slots bound how many bakes of a restamp are under way, and keep two restamps from baking one image at the same time.
// What a job holds that has ended is free.
type Slots interface {
	// TakeSlot gives the job one of so many slots. Asking again changes nothing.
	TakeSlot(ctx context.Context, g jobs.Guard, id ledger.RestampID, of int, job string) (taken bool, err error)
	FreeSlot(ctx context.Context, g jobs.Guard, id ledger.RestampID, job string) error
	// HoldImage makes the job the image's holder, or names the holder.
	HoldImage(ctx context.Context, g jobs.Guard, image, job string) (holder string, err error)
	DropImage(ctx context.Context, g jobs.Guard, image, job string) error
}

// Ledger is all of it.
type Ledger interface {
	Catalog
	Servers
	Restamps
	Slots
}

// Files is the installation's bucket.
type Files interface {
	Put(ctx context.Context, key string, content []byte) error
	Get(ctx context.Context, key string) (content []byte, found bool, err error)
	// Has reports whether something stands under the key.
	Has(ctx context.Context, key string) (bool, error)
}

// Pauses tells whether a job's last order was to pause.
type Pauses interface {
	Paused(ctx context.Context, job string) (bool, error)
}
