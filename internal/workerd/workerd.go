// Package workerd is the worker's process: the loop, the sweeper, the reaper and the health endpoint, from start to drain.
package workerd

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/policy"
	"github.com/stampmill/stampmill/internal/version"
	"github.com/stampmill/stampmill/internal/webhook"
)

// Run works until the context ends, then drains. A drain that takes longer than its grace ends the process all the same:
// another worker carries on.
func Run(ctx context.Context, c config.Worker, log *slog.Logger) error {
	paceCollector()
	sdk, err := clients.New(clients.Config{Version: version.Number})
	if err != nil {
		return err
	}
	callback, err := webhook.New(webhook.Config{Secret: c.CallbackSecret, Allow: c.CallbackAllow, UserAgent: "stampmill/" + version.Number})
	if err != nil {
		return err
	}
	limits, err := c.Budget()
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, app.Options{Common: c.Common, Clients: sdk, Visibility: c.Visibility, Callback: callback, Limits: &limits, Pace: c.Pace})
	if err != nil {
		return err
	}
	p, err := New(a, c, log)
	if err != nil {
		return err
	}
	health, err := listen(ctx, c.Health, p, log)
	if err != nil {
		return err
	}
	defer health.close()
	log.Info("working", "version", version.Number, "prefix", c.Prefix, "region", sdk.Region(), "slots", c.Slots, "health", health.address)
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	<-ctx.Done()
	log.Info("draining")
	select {
	case <-done:
		log.Info("drained")
		return nil
	case <-time.After(c.DrainGrace):
		return fmt.Errorf("the drain took longer than STAMPMILL_DRAIN_GRACE (%s); other workers carry on what was running", c.DrainGrace)
	}
}

// Process is a worker with its sweeper and reaper.
type Process struct {
	Worker  *jobs.Worker
	Sweeper *jobs.Sweeper
	Reaper  *jobs.Reaper // nil: never reaps
	// Policies look at those that are due; nil: never.
	Policies *policy.Evaluator
}

// New wires the parts on an opened installation.
func New(a *app.App, c config.Worker, log *slog.Logger) (*Process, error) {
	targets, err := app.ParseTargets(c.Targets)
	if err != nil {
		return nil, err
	}
	times := jobs.Times{Lease: c.Lease, Visibility: c.Visibility, Poll: c.Poll, Propagation: propagation(c.Pace)}
	engine := a.Engine(times, c.Retention, log)
	owner := identity()
	p := &Process{
		Worker:  jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: a.Queue, Slots: c.Slots, Log: log}),
		Sweeper: jobs.NewSweeper(jobs.SweeperConfig{Store: a.Store, Queue: a.Queue, Owner: owner, Interval: c.SweepInterval, Clock: a.Clock, Log: log}),
	}
	if c.ReapInterval > 0 {
		p.Reaper = jobs.NewReaper(jobs.ReaperConfig{Estate: a.Estate, Rows: a.Store, Records: a.Store, Leases: a.Store, Installation: c.Installation, Owner: owner,
			Grace: c.ReapGrace, Interval: c.ReapInterval, Log: log, Targets: a.TargetsKnown(targets)})
	}
	if c.PolicyInterval > 0 {
		p.Policies = a.Policies(owner, c.PolicyInterval, log)
	}
	return p, nil
}

// leastPropagation is more than a late call of a worker that was frozen takes.
const leastPropagation = 20 * time.Second

// propagation is how long the endpoint may take to show what was made.
func propagation(pace float64) time.Duration {
	return max(time.Duration(float64(jobs.PropagationLimit)/max(pace, 1)), leastPropagation)
}

// Run works until the context ends and everything has finished.
func (p *Process) Run(ctx context.Context) {
	var parts sync.WaitGroup
	parts.Go(func() { p.Worker.Run(ctx) })
	parts.Go(func() { p.Sweeper.Run(ctx) })
	if p.Reaper != nil {
		parts.Go(func() { p.Reaper.Run(ctx) })
	}
	if p.Policies != nil {
		parts.Go(func() { p.Policies.Run(ctx) })
	}
	parts.Wait()
}

// identity tells this process from others in leases.
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), strings.ToLower(rand.Text()[:6]))
}
