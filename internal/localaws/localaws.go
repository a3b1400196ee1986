// Package localaws is the embedded AWS endpoint: an http.Handler that speaks AWS's wire formats for the calls that
// Stampmill makes, so that the same binaries, SDK and code run on a laptop with nothing installed.
//
// A request is routed by its signature's credential scope (parsed, never verified) to one of the services in the
// packages below. The endpoint keeps each answer back until what the call changed is in the state log. Faults can be put
// around any call: an error instead of it, a lost answer, a delay, an effect that comes after the caller gave up.
//
// It runs in two ways: behind a socket, for demos and crash tests, and in process through RoundTripper, without sockets
// and under testing/synctest in virtual time, for simulation.
package localaws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/eventbridge"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/record"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// Config is how an endpoint behaves. The zero value keeps everything in memory, at AWS's pace, with throttling.
type Config struct {
	// StatePath is the state log's file; empty keeps nothing.
	StatePath string
	// Speed divides the durations that take AWS minutes; 0 is 1.
	Speed float64
	// Seed makes ids, durations and faults repeatable.
	Seed int64
	// Unlimited switches the throttling buckets off.
	Unlimited bool
	// URL is the endpoint's own address, which queue URLs and presigned addresses begin with; empty is http://127.0.0.1:4567.
	URL string
	// BodyLimit is the largest body of a request in bytes; 0 is 256 MiB.
	BodyLimit int64
	// SQS lets messages come late, in another order and more than once.
	SQS sqs.Options
	// EC2 sets what the EC2 service does beside AWS's defaults; its Buckets follow Unlimited.
	EC2 ec2.Options
	// Machines changes how the servers behave.
	Machines []machine.HostOption
	// LoseEvent is asked for each event whether it gets lost; nil: none does. It may be called concurrently.
	LoseEvent func(api.Event) bool
	// Intercept is asked before each call for the fault to put around it. It may be called concurrently.
	Intercept func(*api.Request) Fault
	// Log receives what the endpoint cannot tell its callers; nil is slog.Default().
	Log *slog.Logger
}

// Server is a running endpoint.
type Server struct {
	config   Config
	log      *slog.Logger
	env      *api.Env
	store    *state.Store
	services map[string]api.Service
	order    []api.Service
	calls    calls
	faults   faultRules
	events   *eventbridge.Service
	recorder *record.Recorder

	closing context.Context
	cancel  context.CancelFunc
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// New reads the state and starts the services. Close ends them.
func New(config Config) (*Server, error) {
	if config.Speed == 0 {
		config.Speed = 1
	}
	if config.Speed < 1 {
		return nil, fmt.Errorf("localaws: speed %g: expected 1 or more", config.Speed)
	}
	if config.URL == "" {
		config.URL = "http://127.0.0.1:4567"
	}
	if config.BodyLimit == 0 {
		config.BodyLimit = 256 << 20
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	store, err := state.Open(config.StatePath)
	if err != nil {
		return nil, fmt.Errorf("localaws: the state cannot be opened: %w", err)
	}
	s := &Server{config: config, log: config.Log, store: store, services: map[string]api.Service{}, recorder: record.New()}
	s.closing, s.cancel = context.WithCancel(context.Background())
	if err := s.build(); err != nil {
		s.cancel()
		return nil, fmt.Errorf("localaws: %w", errors.Join(err, store.Close()))
	}
	for _, service := range s.order {
		service.Start()
	}
	return s, nil
}

// build makes the environment and the services, and rewrites the log without its history.
func (s *Server) build() error {
	epochs, err := state.NewTable[int64](s.store, "localaws")
	if err != nil {
		return err
	}
	epoch, _ := epochs.Get("epoch")
	s.env = &api.Env{
		Store:     s.store,
		Speed:     s.config.Speed,
		Seed:      s.config.Seed,
		Epoch:     epoch,
		Unlimited: s.config.Unlimited,
		URL:       func() string { return s.config.URL },
		Roundtrip: inside{s},
	}
	services, err := s.newServices()
	if err != nil {
		return err
	}
	for _, service := range services {
		s.services[service.Name()] = service
		s.order = append(s.order, service)
	}
	if err := s.store.Compact(); err != nil {
		return err
	}
	epochs.Put("epoch", epoch+1)
	return s.store.Flush()
}

// Service is the service with that signing name, or nil.
func (s *Server) Service(name string) api.Service { return s.services[name] }

// URL is the endpoint's own address.
func (s *Server) URL() string { return s.config.URL }

// Close ends long polls and delayed acts, waits for running calls, stops the services and closes the state. Calls that
// come later find no connection. It may be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
	for _, service := range slices.Backward(s.order) {
		service.Close()
	}
	return s.store.Close()
}

// begin counts a running call in; it is false when the endpoint is closed.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

var _ http.Handler = (*Server)(nil)
