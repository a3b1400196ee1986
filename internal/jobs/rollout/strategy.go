package rollout

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// strategy is how servers come to run another image. The rollout decides which servers, when, and what follows a failure; the
// strategy keeps what it needs between deliveries in a field of its own in the progress.
//
// Each method is called again and again, a delivery at a time, until it answers Done: it looks, acts, records, and returns
// its wait or its children. What it makes must survive a worker that dies before and after each call.
type strategy interface {
	// prepare looks up, once, what all waves need. Its failure ends the rollout before anything is touched. It makes nothing.
	prepare(ctx context.Context, turn *jobs.Turn) (jobs.Move, error)
	// roll brings servers of the lot to the lot's image, some of them at a time. It calls passed and failed of the rollout as
	// the servers come through, and is Done when none of the lot is under way: at a safe point, where the rollout checks window,
	// pause and failure budget. The rollout calls it again with what is left of the lot.
	roll(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error)
	// abandon tidies what roll has under way, so that every server either runs the lot's image or serves as before. It
	// finds what there is from the ledger and from EC2, also after a delivery that recorded nothing, and with nothing under way
	// it is Done at once.
	abandon(ctx context.Context, turn *jobs.Turn) (jobs.Move, error)
	// finish removes what was kept until the fleet was done.
	finish(ctx context.Context, turn *jobs.Turn) (jobs.Move, error)
}

// lot is what a strategy is to roll next.
type lot struct {
	// Ordinals still run another image.
	Ordinals ordinals.Set
	// Image is what they are to run.
	Image image
	// Back: they are rolled back.
	Back bool
}

// image is a version of ours, or an AMI, as the servers' ledger names it.
type image struct {
	Ref      string `json:"ref"` // web@42, or the AMI
	AMI      string `json:"ami"`
	Platform string `json:"platform,omitempty"`
}
