package rollout

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// handPoll is between looks at what goes back to a server.
const handPoll = 3 * time.Second

// allowStateful refuses servers with things that only one server can hold where none may be missing.
func (r *rollout) allowStateful() error {
	p := &r.progress
	what := fmt.Sprintf("ordinals %s have volumes, interfaces or addresses that only one server can hold", p.Stateful)
	switch {
	case p.Stateful.Empty():
		return nil
	case r.Belongings == nil:
		return jobs.Fatalf("plan the rollout", r.fleet(), what+", and they cannot be moved here", "")
	case p.Spare == 0:
		return jobs.Fatalf("plan the rollout", r.fleet(), what+": each is stopped before its successor takes them over, and none may be missing",
			"allow at least one: maxUnavailable: 1")
	}
	return nil
}

// estates are what the servers of the set have to hand over.
func (r *rollout) estates(ctx context.Context, servers []ledger.Server, set ordinals.Set) (map[int]launch.Estate, error) {
	if set.Empty() {
		return nil, nil
	}
	mine, _ := among(set)(append([]ledger.Server(nil), servers...), nil)
	found, err := r.Belongings(r.progress.Target).Of(ctx, mine)
	if err != nil {
		return nil, err
	}
	estates := map[int]launch.Estate{}
	for _, server := range mine {
		if things := found[server.Ordinal]; len(things) > 0 {
			estates[server.Ordinal] = launch.Estate{From: server.InstanceID, Things: things}
		}
	}
	return estates, nil
}

// handBack gives parked servers back what their successors were to take over. Those are terminated by now, or about to be.
func (r *replace) handBack(ctx context.Context, servers []ledger.Server) (jobs.Move, error) {
	c := r.state.Chunk
	if c == nil || len(c.Estates) == 0 {
		return jobs.Done(), nil
	}
	left := 0
	for _, server := range servers {
		estate, known := c.Estates[server.Ordinal]
		if !known || server.State != ledger.Parked || server.InstanceID != estate.From {
			continue
		}
		done, err := r.Belongings(r.progress.Target).Hand(ctx, estate.Things, "", server.InstanceID)
		if err != nil {
			return jobs.Move{}, err
		}
		if !done {
			left++
		}
	}
	if left > 0 {
		return jobs.Wait(handPoll, "%d old servers to get back what is theirs", left), nil
	}
	return jobs.Done(), nil
}
