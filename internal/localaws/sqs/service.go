// Package sqs is the embedded endpoint's queue service: standard queues with delays, visibility timeouts, long polls,
// dead-letter queues and fair delivery between message groups, over the JSON and the query protocol.
//
// A message is in one of three places. Visible messages stand in their group's line, and receives take from the groups in
// turn. Delayed and in-flight messages stand in a heap by the instant at which they become visible again. Nothing scans a
// queue, however deep it is, and nothing runs in the background: whoever receives first moves what is due.
package sqs

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// Service is SQS.
type Service struct {
	env     *api.Env
	options Options

	mu     state.RWMutex
	queues map[string]*queue // by account/region/name
	// settings, messages and deliveries are the durable side: a message's content is logged once, its delivery each time
	// that it changes.
	settings   *state.Table[*settings]
	messages   *state.Table[*message]
	deliveries *state.Table[delivery]
	moves      map[string]*moveTask
	deleted    map[string]time.Time // queues by key, and when they were deleted
	turns      turns
	sequence   uint64 // the order of messages that become visible at one instant
	closed     chan struct{}
	closing    sync.Once
	movers     sync.WaitGroup
}

// New reads the queues and their messages.
func New(env *api.Env, options Options) (*Service, error) {
	s := &Service{
		env: env, options: options, queues: map[string]*queue{}, moves: map[string]*moveTask{}, deleted: map[string]time.Time{}, closed: make(chan struct{}),
	}
	s.mu.Keep(env.Store, "sqs")
	var err error
	if s.settings, err = state.NewTable[*settings](env.Store, "sqs.queues"); err != nil {
		return nil, err
	}
	if s.messages, err = state.NewTable[*message](env.Store, "sqs.messages"); err != nil {
		return nil, err
	}
	if s.deliveries, err = state.NewTable[delivery](env.Store, "sqs.deliveries"); err != nil {
		return nil, err
	}
	for key, stored := range s.settings.All() {
		s.queues[key] = newQueue(s, stored)
	}
	s.restore()
	return s, nil
}

// restore puts the messages to their places in the order in which they were sent.
func (s *Service) restore() {
	var all []*message
	for _, m := range s.messages.All() {
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b *message) int { return a.Sent.Compare(b.Sent) })
	now := time.Now()
	for _, m := range all {
		q := s.queues[m.Queue]
		if q == nil {
			// Its queue was deleted, and the kill came before the messages were.
			s.messages.Delete(m.key())
			s.deliveries.Delete(m.key())
			continue
		}
		if stored, ok := s.deliveries.Get(m.key()); ok {
			m.delivery = stored
		}
		q.restore(m, now)
	}
}

// Name is the signing name.
func (s *Service) Name() string { return "sqs" }

// Start does nothing: time is looked at when somebody receives.
func (s *Service) Start() {}

// Close ends long polls and move tasks.
func (s *Service) Close() {
	s.closing.Do(func() { close(s.closed) })
	s.movers.Wait()
}

// Summary tells each queue's depth.
func (s *Service) Summary() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	type depth struct {
		Visible  int `json:"visible"`
		InFlight int `json:"inFlight"`
		Delayed  int `json:"delayed"`
	}
	all := map[string]depth{}
	for key, q := range s.queues {
		q.settle(time.Now())
		q.expire(time.Now())
		all[key] = depth{q.visible, q.inFlight, q.delayed}
	}
	return all
}

// Send puts a message into a queue as a service of AWS would, such as EventBridge. It is false if there is no such queue.
func (s *Service) Send(account, region, name, body string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[account+"/"+region+"/"+name]
	if q == nil {
		return false
	}
	q.send(&sendInput{MessageBody: body}, "AIDAISDELIVERY", time.Now())
	return true
}

// Policy is a queue's resource policy; empty: it has none, or there is no such queue.
func (s *Service) Policy(account, region, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[account+"/"+region+"/"+name]; q != nil {
		return q.Attributes["Policy"]
	}
	return ""
}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	action, ok := actions[r.Action]
	if !ok {
		writeError(w, r, &api.Error{Code: unknownOperation(r), Message: "the action " + r.Action + " is not one that this endpoint's SQS serves"})
		return
	}
	result, err := action(s, r)
	if err != nil {
		writeError(w, r, err)
		return
	}
	write(w, r, result)
}
