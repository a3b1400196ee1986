package bake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/capacity"
)

// capacityWithin is how long a server may wait for a pool with capacity.
const capacityWithin = 30 * time.Minute

// pool is one place where a server may be launched.
type pool struct {
	Type, Subnet string
	Spot         bool
}

func (p pool) String() string {
	parts := []string{p.Type, p.Subnet}
	if p.Spot {
		parts = append(parts, spot)
	}
	text := strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
	if text == "" {
		return "the launch template's pool"
	}
	return text
}

// pools are markets × types × subnets, in the order in which they are tried.
func (b *program) pools() []pool {
	markets, types, subnets := b.spec.Builder.Market.Order, b.spec.Builder.Types, b.progress.Subnets
	if len(markets) == 0 {
		markets = []string{onDemand}
	}
	if len(types) == 0 {
		types = []string{b.defaultType()}
	}
	if len(subnets) == 0 {
		subnets = []string{""}
	}
	var all []pool
	for _, market := range markets {
		for _, t := range types {
			for _, subnet := range subnets {
				all = append(all, pool{Type: t, Subnet: subnet, Spot: market == spot})
			}
		}
	}
	return all
}

// places are the pools as the memory of capacity knows them.
func (b *program) places() []capacity.Pool {
	target := b.job.Target
	target.Region = b.region
	var places []capacity.Pool
	for _, p := range b.pools() {
		place := capacity.Pool{Target: target, Type: p.Type, Subnet: p.Subnet, Spot: p.Spot}
		if t := b.spec.Builder.LaunchTemplate.cloud(); t != nil && (p.Type == "" || p.Subnet == "") {
			place.Template = fmt.Sprintf("%s%s:%s", t.Name, t.ID, t.Version)
		}
		places = append(places, place)
	}
	return places
}

func (b *program) asker(turn *jobs.Turn) capacity.Asker {
	return capacity.Asker{Memory: b.kind.Capacity, Job: turn.Job.ID, Now: turn.Now(), Pace: b.kind.Pace}
}

// mayAsk passes over a pool that was refused lately, to this bake or to any job. While a call may have been lost the pool
// stays as it is: only the token's repetition tells what it made.
func (b *program) mayAsk(ctx context.Context, turn *jobs.Turn, thing string, s *server) (capacity.Refusal, jobs.Move, error) {
	if s.ID != "" || !turn.Job.Lost.IsZero() {
		return capacity.Refusal{}, jobs.Done(), nil
	}
	places := b.places()
	may, known, err := b.asker(turn).May(ctx, places[s.Pool%len(places)])
	if err != nil || may {
		return known, jobs.Done(), err
	}
	return b.choosePool(ctx, turn, thing, s, false)
}

// refusal is why a pool gives no server, what was remembered of it, and when the call began that told.
type refusal struct {
	reason string
	known  capacity.Refusal
	begun  time.Time
}

// nextPool goes on to the next pool that is worth asking.
func (b *program) nextPool(ctx context.Context, turn *jobs.Turn, thing string, s *server, why refusal) (capacity.Refusal, jobs.Move, error) {
	pools, places := b.pools(), b.places()
	at := s.Pool % len(pools)
	if err := b.asker(turn).Refuse(ctx, places[at], why.known, why.begun); err != nil {
		return capacity.Refusal{}, jobs.Move{}, err
	}
	turn.Note("no %s in %s: %s", thing, pools[at], jobs.Clip(why.reason, 300))
	*s = server{Pool: at, Refused: jobs.Clip(why.reason, 300)}
	return b.choosePool(ctx, turn, thing, s, true)
}

// choosePool takes the first pool that is worth asking, as a new attempt, or waits until one is. The token of an attempt
// that was asked for in vain is spent.
func (b *program) choosePool(ctx context.Context, turn *jobs.Turn, thing string, s *server, spent bool) (capacity.Refusal, jobs.Move, error) {
	places := b.places()
	choice, err := b.asker(turn).Choose(ctx, places, func(int) bool { return false })
	if err != nil {
		return capacity.Refusal{}, jobs.Move{}, err
	}
	limit := b.pace(capacityWithin)
	if choice.Pool < 0 && turn.Now().Sub(turn.StepSince()) >= limit {
		return capacity.Refusal{}, jobs.Fail("no pool had capacity for the %s within %s%s", thing, limit, because(s.Refused)), nil
	}
	if choice.Pool >= 0 {
		s.Pool = choice.Pool
	}
	if spent || choice.Pool >= 0 {
		if err := turn.NewAttempt(ctx, thing); err != nil {
			return capacity.Refusal{}, jobs.Move{}, err
		}
	}
	if choice.Pool < 0 {
		return capacity.Refusal{}, jobs.Wait(choice.Wait, "capacity for the %s in any of %s", thing, plural(len(places))), nil
	}
	return choice.Refused, jobs.Done(), nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func plural(pools int) string {
	if pools == 1 {
		return "1 pool"
	}
	return fmt.Sprintf("%d pools", pools)
}
