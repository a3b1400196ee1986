package launch

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// Handing moves what only one server can hold from one server, which is stopped, to another one.
type Handing interface {
	// Hand takes one step of moving the things and is done when it finds all of them at to; asked again, it repeats nothing.
	Hand(ctx context.Context, things []cloud.Belonging, from, to string) (done bool, err error)
	// Reboot has servers find what was attached to them while they ran.
	Reboot(ctx context.Context, instanceIDs ...string) error
}

// Estate is what a successor takes over, and from which server.
type Estate struct {
	From   string            `json:"from"`
	Things []cloud.Belonging `json:"things"`
}

// handPoll is between looks at what is being attached or detached: seconds each.
const handPoll = 3 * time.Second

// hand gives the successors that run what they take over. They are rebooted with it, so that what they run finds it as it
// would at any boot; the checks come after that, and so does the time that they have for them.
func (s *succession) hand(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &s.progress
	servers, err := s.servers(ctx, p.Up.Minus(p.Handed))
	if err != nil {
		return jobs.Move{}, err
	}
	var complete []int
	var reboots []string
	left := 0
	for _, server := range servers {
		estate, inherits := p.Heirs.Estates[server.Ordinal]
		if !inherits {
			complete = append(complete, server.Ordinal)
			continue
		}
		if s.Handing == nil {
			return jobs.Fail("ordinal %d has %d things that only one server can hold, and they cannot be moved here", server.Ordinal, len(estate.Things)), nil
		}
		done, err := s.Handing(s.job.Target).Hand(ctx, estate.Things, estate.From, server.InstanceID)
		switch {
		case err != nil:
			return jobs.Move{}, err
		case done:
			complete, reboots = append(complete, server.Ordinal), append(reboots, server.InstanceID)
		default:
			left++
		}
	}
	if left > 0 {
		return jobs.Wait(handPoll, "%d successors to get what they take over", left), nil
	}
	if len(reboots) > 0 {
		if err := s.Handing(s.job.Target).Reboot(ctx, reboots...); err != nil {
			return jobs.Move{}, err
		}
		turn.Note("%d successors were rebooted with what they took over", len(reboots))
	}
	p.Handed, p.LaunchedAt = p.Handed.Plus(ordinals.Of(complete...)), turn.Now()
	return jobs.Done(), nil
}
