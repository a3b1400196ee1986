package rollout

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// strategy is how servers come to run another image. The rollout decides which servers, when, and what follows a failure; the
// strategy keeps what it needs between deliveries in a field of its own in the progress.
//
// roll, abandon, conclude and finish are called again and again, a delivery at a time, until they answer Done: each looks, acts,
// records, and returns its wait or its children. What they make must survive a worker that dies before and after each call.
type strategy interface {
	// prepare looks up all that is needed to bring servers to an image, a version of ours or an AMI, before the first of them is
	// touched: for the rollout, and again for its way back. It makes nothing. Findings that are no warnings end it there.
	prepare(ctx context.Context, turn *jobs.Turn, ref string) (image, []jobs.Finding, error)
	// busy tells whether roll has servers under way. The rollout looks at window, pause and failure budget between.
	busy() bool
	// roll brings servers of the lot to its image, some of them at a time, and calls the rollout's passed and failed as they
	// come through. It is Done when none are under way; the rollout calls it again with what is left of the lot.
	roll(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error)
	// abandon tidies what roll has under way, so that every server either runs the lot's image or serves as before. It finds
	// what there is from the ledger and from EC2, also after a delivery that recorded nothing; with nothing under way it is
	// Done at once.
	abandon(ctx context.Context, turn *jobs.Turn) (jobs.Move, error)
	// conclude comes when all servers of the waves run the image, or all that were rolled are back: it has what is launched from now
	// on run the same. Where that fails it stops the rollout: then another call follows once a person resumed it.
	conclude(ctx context.Context, turn *jobs.Turn) (jobs.Move, error)
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

// strategy gives the one that the fleet is rolled by.
func (r *rollout) strategy() strategy {
	if r.spec.Strategy == InPlace {
		return &inPlace{&replace{r, &r.progress.Replace}, &r.progress.InPlace}
	}
	if r.spec.Strategy == Refresh || r.spec.Strategy == "" && r.progress.Group != "" {
		return &refresh{r, &r.progress.Refresh}
	}
	return &replace{r, &r.progress.Replace}
}
