package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/stage"
)

const (
	prefix = "stampmill"
	speed  = "60"
	fleets = 4
	lines  = 3 // of images
	// patience is how long after the last kill the jobs may take to end.
	patience = 5 * time.Minute
)

type options struct {
	kills, jobs int
	seed        uint64
}

func (o options) withDefaults() options {
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) + 1
	}
	if o.jobs == 0 {
		o.jobs = max(20, o.kills/5)
	}
	return o
}

// storm is one run: the stage, the workers on it, what was asked for, and what was seen.
type storm struct {
	*stage.Stage
	options
	out   io.Writer
	begun time.Time
	app   *app.App
	pool  *pool
	seen  *sightings

	mu       sync.Mutex
	requests []*request
	killed   map[string]int           // by what was done to whom
	fleets   map[string]expectedFleet // as the jobs that have ended leave them
	findings []finding                // of the run itself: a worker that died by itself, a fleet that never came to be
	calm     bool                     // all kills are done
	reaped   int                      // orphans that the reaper removed
}

func newStorm(o options, folder string, out io.Writer) *storm {
	s := &storm{Stage: &stage.Stage{Folder: folder}, options: o, out: out, begun: time.Now(), seen: newSightings(),
		killed: map[string]int{}, fleets: map[string]expectedFleet{}}
	s.pool = &pool{storm: s}
	return s
}

// weather is the whole story.
func (s *storm) weather(ctx context.Context) error {
	s.say("seed %d: %d kills, at least %d jobs; building into %s", s.seed, s.kills, s.jobs, s.Folder)
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.firstImage(ctx); err != nil {
		return err
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go s.watch(watching)
	working, giveUp := context.WithCancel(ctx)
	defer giveUp()
	users, working := errgroup.WithContext(working)
	for n := range fleets {
		users.Go(func() error { return s.fleetUser(working, fmt.Sprintf("fleet-%d", n)) })
	}
	for n := range lines {
		users.Go(func() error { return s.imageUser(working, fmt.Sprintf("image-%d", n), n) })
	}
	if err := s.kill(working); err != nil {
		giveUp()
		if userErr := users.Wait(); userErr != nil && !errors.Is(userErr, context.Canceled) {
			return userErr // a user that cannot go on ends the storm
		}
		return err
	}
	s.say("the last kill is done after %s; waiting for what is open", s.elapsed())
	timer := time.AfterFunc(patience, giveUp)
	defer timer.Stop()
	if err := users.Wait(); err != nil && (ctx.Err() != nil || !errors.Is(err, context.Canceled)) {
		return err
	}
	return s.conclude(ctx)
}

// open builds, starts the endpoint, makes the installation and starts the workers.
func (s *storm) open(ctx context.Context) error {
	if err := s.Build(ctx); err != nil {
		return err
	}
	endpoint, err := s.Open(ctx, s.endpointFlags("127.0.0.1:0")...)
	if err != nil {
		return err
	}
	s.pool.endpoint = endpoint
	if _, err := s.Stampmill(ctx, "setup"); err != nil {
		return err
	}
	s.app, err = app.Open(ctx, app.Options{Common: config.Common{Prefix: prefix, Installation: prefix}, Clients: s.AWS})
	if err != nil {
		return err
	}
	if err := s.slow(ctx); err != nil {
		return err
	}
	s.say("open after %s at %s", s.elapsed(), s.URL)
	return s.pool.fill()
}

func (s *storm) endpointFlags(address string) []string {
	return []string{"--listen", address, "--speed", speed, "--seed", fmt.Sprint(s.seed)}
}

// end ends every process.
func (s *storm) end() {
	s.pool.close()
	s.Processes.End()
}

// enough: the users need not begin anything more.
func (s *storm) enough() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calm && len(s.requests) >= s.jobs
}

// dice are a user's own: what one draws does not depend on when the others do.
func (s *storm) dice(user string) *rand.Rand {
	var stream uint64
	for _, b := range []byte(user) {
		stream = stream*31 + uint64(b)
	}
	return rand.New(rand.NewPCG(s.seed, stream))
}

func (s *storm) elapsed() time.Duration { return time.Since(s.begun).Round(100 * time.Millisecond) }

func (s *storm) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, "%7.1fs  %s\n", time.Since(s.begun).Seconds(), fmt.Sprintf(format, args...)) // nobody reads: the verdict still counts
}

// find notes what is wrong as it is seen.
func (s *storm) find(f finding) {
	s.say("FOUND %s", f)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.findings = append(s.findings, f)
}

// insist repeats what fails while the endpoint is down, until it works or the context ends.
func insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		if ctxErr := pause(ctx, 300*time.Millisecond); ctxErr != nil {
			return errors.Join(ctxErr, err)
		}
	}
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
