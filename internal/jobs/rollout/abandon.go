package rollout

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// abandon ends successions under way, takes the successors back that hold no ordinal, sees the old servers gone whose
// successors do, and has parked servers serve again. The ledger says which is which.
func (r *replace) abandon(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if turn.Job.Fan != nil {
		open, err := turn.CancelChildren(ctx)
		if err != nil {
			return jobs.Move{}, err
		}
		if open > 0 {
			return jobs.Wait(powerPoll, "%d children to end", open), nil
		}
		turn.TookIn()
	}
	if r.state.Tidying.IsZero() {
		r.state.Tidying = turn.Now()
	}
	seconds, err := r.Ledger.Seconds(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	holders, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	r.takeStock(holders, seconds)
	if move, err := r.expel(ctx, turn, seconds); err != nil || !move.IsDone() {
		return move, err
	}
	if move, err := r.handBack(ctx, holders); err != nil || !move.IsDone() {
		return move, err
	}
	if move, err := r.restore(ctx, turn, holders, r.state.Tidying); err != nil || !move.IsDone() {
		return move, err
	}
	r.state.Chunk, r.state.Going = nil, ordinals.Set{}
	r.state.Pause, r.state.Tidying, r.state.Asked = time.Time{}, time.Time{}, 0
	return jobs.Done(), nil
}

// takeStock notes the chunk's servers whose swap was not recorded: the ledger says who holds an ordinal.
func (r *replace) takeStock(holders, seconds []ledger.Server) {
	c := r.state.Chunk
	if c == nil {
		return
	}
	left := map[int]bool{}
	for _, second := range seconds {
		left[second.Ordinal] = second.State == ledger.Leaving
	}
	var swapped []int
	for _, holder := range holders {
		if c.Ordinals.Has(holder.Ordinal) && left[holder.Ordinal] && holder.Image == r.progress.lot().Image.Ref {
			swapped = append(swapped, holder.Ordinal)
		}
	}
	r.passed(ordinals.Of(swapped...))
}

// expel has everything go that stands in second slots: successors that hold no ordinal, and old servers, which are drained
// first.
func (r *replace) expel(ctx context.Context, turn *jobs.Turn, seconds []ledger.Server) (jobs.Move, error) {
	if len(seconds) == 0 {
		return jobs.Done(), nil
	}
	if _, err := r.detach(ctx, seconds); err != nil {
		return jobs.Move{}, err
	}
	if move, err := r.drained(ctx, turn, seconds, r.state.Tidying); err != nil || !move.IsDone() {
		return move, err
	}
	return r.vacate(ctx, turn, seconds, r.state.Tidying)
}
