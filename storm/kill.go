package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// leaseTime is lease, to be frozen for longer than that.
const leaseTime = 6 * time.Second

// What is done to whom, and how often of a hundred.
const (
	byKill     = "kill -9"
	byTerm     = "SIGTERM"
	byStop     = "SIGSTOP"
	onEndpoint = "kill -9 localaws"
)

var odds = []struct {
	what  string
	share int
}{{byKill, 54}, {byTerm, 18}, {byStop, 20}, {onEndpoint, 8}}

// kill kills until enough is killed. All that was frozen is thawed when it returns.
func (s *storm) kill(ctx context.Context) error {
	dice := s.dice("kill")
	var thaws sync.WaitGroup
	defer thaws.Wait()
	if err := pause(ctx, 3*time.Second); err != nil { // let there be something to kill
		return err
	}
	for n := 0; n < s.kills; {
		if err := pause(ctx, 300*time.Millisecond+time.Duration(dice.Int64N(int64(1700*time.Millisecond)))); err != nil {
			return err
		}
		what := draw(dice)
		done, err := s.strike(ctx, dice, what, &thaws)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if done {
			n++
			s.mu.Lock()
			s.killed[what]++
			s.mu.Unlock()
		}
	}
	thaws.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calm = true
	return nil
}

func draw(dice *rand.Rand) string {
	at := dice.IntN(100)
	for _, o := range odds {
		if at -= o.share; at < 0 {
			return o.what
		}
	}
	return byKill
}

func (s *storm) strike(ctx context.Context, dice *rand.Rand, what string, thaws *sync.WaitGroup) (bool, error) {
	stays := leaseTime + time.Duration(dice.Int64N(int64(6*time.Second))) + 500*time.Millisecond
	switch what {
	case onEndpoint:
		return true, s.restart(ctx)
	case byStop:
		m := s.pool.pick(dice, func(m *member) bool { return !m.frozen && !m.leaving })
		if m == nil {
			return false, nil
		}
		thaws.Go(func() {
			_ = pause(ctx, stays) // when all ends, it is thawed at once
			if err := s.pool.strike(m, syscall.SIGCONT, func() { m.frozen = false }); err != nil {
				s.say("cannot start a worker: %v", err)
			}
		})
		return true, s.pool.strike(m, syscall.SIGSTOP, func() { m.frozen = true })
	case byTerm:
		m := s.pool.pick(dice, func(m *member) bool { return !m.frozen && !m.leaving })
		if m == nil {
			return false, nil
		}
		return true, s.pool.strike(m, syscall.SIGTERM, func() { m.leaving = true })
	}
	m := s.pool.pick(dice, func(*member) bool { return true }) // frozen and draining ones too
	if m == nil {
		return false, nil
	}
	return true, s.pool.strike(m, syscall.SIGKILL, func() { m.leaving = true })
}

// restart kills the endpoint, and starts it again on its state file at the same address.
func (s *storm) restart(ctx context.Context) error {
	at, err := url.Parse(s.URL)
	if err != nil {
		return err
	}
	s.pool.endpoint.Signal(syscall.SIGKILL)
	<-s.pool.endpoint.Gone()
	begun := time.Now()
	endpoint, err := s.Open(ctx, s.endpointFlags(at.Host)...)
	if err != nil {
		return fmt.Errorf("the endpoint does not come back: %w", err)
	}
	s.pool.endpoint = endpoint
	if err := s.slow(ctx); err != nil {
		return err
	}
	if took := time.Since(begun); took > 3*time.Second {
		s.say("the endpoint took %.1f s to come back", took.Seconds())
	}
	return nil
}
