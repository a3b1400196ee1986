package main

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/stage"
)

const (
	speed      = "60"
	workers    = 3
	lease      = "6s"
	visibility = "9s"
)

// show is what the story needs: the stage, the workers on it, and the SDK for the checks.
type show struct {
	*stage.Stage
	say *speaker

	workers []*worker
	aws     *clients.Regional
	kills   []kill
	before  map[string][]ledger.Server // the fleets before the patch day
}

// build compiles the three programs into the folder.
func (s *show) build(ctx context.Context) error {
	begun := time.Now()
	s.say.line(plain, "building stampmill, stampmill-worker and localaws into %s", s.Folder)
	if err := s.Build(ctx); err != nil {
		return err
	}
	s.say.line(plain, "built in %.1f s; the clock starts now", time.Since(begun).Seconds())
	s.say.restart()
	return nil
}

// open starts the endpoint, makes the installation and starts the workers.
func (s *show) open(ctx context.Context) error {
	s.say.act("An endpoint, an installation, three workers")
	if _, err := s.Open(ctx, "--listen", "127.0.0.1:0", "--speed", speed); err != nil {
		return err
	}
	s.say.line(plain, "localaws speaks AWS at %s; what takes AWS minutes takes it seconds (--speed %s)", s.URL, speed)
	s.aws = s.AWS.For(jobs.Target{})
	if _, err := s.Stampmill(ctx, "setup"); err != nil {
		return err
	}
	s.say.line(plain, "stampmill setup: queues, tables and a bucket are made")
	for i := range workers {
		if err := s.work(i + 1); err != nil {
			return err
		}
	}
	s.say.line(plain, "%d workers (lease %s, visibility %s); each is worth no more than the others", workers, lease, visibility)
	return nil
}
