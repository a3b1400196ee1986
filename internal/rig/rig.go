// Package rig is a whole installation in one process: the embedded endpoint, any number of workers that can be killed
// at any call, and a user. Under testing/synctest it runs in virtual time, through the real SDK. Tests, benchmarks and
// the simulation are built on it; no binary that ships is.
package rig

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/workerd"
)

// Region is where a rig's installation stands.
const Region = "eu-west-1"

// Config is what a rig is made of; the zero value is an endpoint at AWS's pace and limits.
type Config struct {
	Endpoint localaws.Config
	// Worker changes the configuration of the workers.
	Worker func(*config.Worker)
	// Callback posts completion callbacks; nil posts none.
	Callback notify.Callback
	Log      *slog.Logger
	// NoEvents sets the installation up without EventBridge's rules.
	NoEvents bool
}

// Rig is a running installation.
type Rig struct {
	Config
	Endpoint *localaws.Server
	User     *app.App

	mu      sync.Mutex
	workers []*Worker
}

// New makes the endpoint and sets the installation up.
func New(c Config) (*Rig, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Endpoint.Log = c.Log
	endpoint, err := localaws.New(c.Endpoint)
	if err != nil {
		return nil, err
	}
	r := &Rig{Config: c, Endpoint: endpoint}
	options, err := r.options(endpoint.RoundTripper(), "")
	if err != nil {
		return nil, errors.Join(err, endpoint.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	in, err := app.Build(options).Installation(ctx)
	if c.NoEvents {
		in.Events = nil
	}
	if err == nil {
		err = in.Make(ctx)
	}
	if err == nil {
		r.User, err = app.Open(ctx, options)
	}
	if err != nil {
		return nil, errors.Join(err, endpoint.Close())
	}
	return r, nil
}

func (r *Rig) options(transport http.RoundTripper, key string) (app.Options, error) {
	if key == "" {
		key = "AKIAIOSFODNN7EXAMPLE"
	}
	sdk, err := clients.New(clients.Config{Region: Region, Endpoint: r.Endpoint.URL(), Transport: transport,
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", "")})
	if err != nil {
		return app.Options{}, err
	}
	return app.Options{Common: config.Common{Prefix: "stampmill", Installation: "stampmill"}, Clients: sdk, Visibility: r.worker().Visibility,
		Callback: r.Callback, Pace: max(r.Config.Endpoint.Speed, 1)}, nil
}

func (r *Rig) worker() config.Worker {
	c := config.Worker{Common: config.Common{Prefix: "stampmill", Installation: "stampmill"}, Slots: 64, Lease: time.Minute,
		Visibility: 90 * time.Second, Poll: 20 * time.Second, SweepInterval: time.Minute, ReapInterval: 10 * time.Minute,
		ReapGrace: 30 * time.Minute, Retention: 30 * 24 * time.Hour, Headroom: 10, Pace: 1}
	if r.Config.Worker != nil {
		r.Config.Worker(&c)
	}
	return c
}

// Worker is one worker of the rig.
type Worker struct {
	*Line
	cancel context.CancelFunc
	done   chan struct{}
}

// Start starts a worker with its own line to the endpoint.
func (r *Rig) Start(line *Line) (*Worker, error) {
	if line == nil {
		line = &Line{}
	}
	line.inner, line.frozen = r.Endpoint.RoundTripper(), make(chan struct{})
	options, err := r.options(line, line.Key)
	if err != nil {
		return nil, err
	}
	options.Clock = line.Clock
	worker := r.worker()
	limits, err := worker.Budget()
	if err != nil {
		return nil, err
	}
	options.Limits = &limits
	ctx, cancel := context.WithCancel(context.Background())
	w := &Worker{Line: line, cancel: cancel, done: make(chan struct{})}
	line.died = cancel
	r.mu.Lock()
	r.workers = append(r.workers, w)
	r.mu.Unlock()
	go func() {
		defer close(w.done)
		a, err := app.Open(ctx, options)
		if err != nil {
			r.Log.Warn("a worker cannot start", "error", err)
			return
		}
		process, err := workerd.New(a, r.worker(), r.Log)
		if err != nil {
			r.Log.Warn("a worker cannot start", "error", err)
			return
		}
		process.Run(ctx)
		a.Queue.Wait()
	}()
	return w, nil
}

// Drain lets the worker finish what it has begun, and waits for that.
func (w *Worker) Drain() {
	w.cancel()
	<-w.done
}

// Gone is closed when the worker has ended.
func (w *Worker) Gone() <-chan struct{} { return w.done }

// Close drains all workers and ends the endpoint.
func (r *Rig) Close() error {
	r.mu.Lock()
	workers := slices.Clone(r.workers)
	r.mu.Unlock()
	for _, w := range workers {
		w.cancel()
	}
	for _, w := range workers {
		<-w.done
		w.late.Wait()
	}
	return r.Endpoint.Close()
}

// Submit enqueues the documents of a spec and gives the jobs' ids. Paths in it are relative to folder.
func (r *Rig) Submit(ctx context.Context, text, folder, key string, vars map[string]string) ([]string, error) {
	documents, err := spec.Parse("spec.yaml", []byte(text), folder, vars, cli.Registry())
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, d := range documents {
		for _, upload := range d.Uploads {
			if err := r.User.Files.PutIfAbsent(ctx, upload.Key, upload.Content); err != nil {
				return nil, err
			}
		}
		m := &jobs.Message{Type: jobs.Submit, Kind: d.Kind, Name: d.Name, Role: d.Role, Region: d.Region, Key: key,
			Priority: jobs.Priority(d.Priority), Labels: d.Labels, Spec: d.Spec}
		if err := r.User.Queue.Send(ctx, jobs.SubmitLane(m.Priority), m, 0); err != nil {
			return nil, err
		}
		ids = append(ids, m.JobID(""))
	}
	return ids, nil
}

// EC2 is the endpoint's own truth.
func (r *Rig) EC2() *ec2.Service { return r.Endpoint.Service("ec2").(*ec2.Service) }
