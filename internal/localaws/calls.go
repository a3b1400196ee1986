package localaws

import (
	"maps"
	"sync"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// Count is how often an action was called, and how many of the calls were answered with an error.
type Count struct {
	Calls int64 `json:"calls"`
	// Errors holds all error answers, Throttled those among them by which AWS slows a caller down.
	Errors    int64 `json:"errors"`
	Throttled int64 `json:"throttled"`
	// Empty are receives that were answered without a message.
	Empty int64 `json:"empty,omitempty"`
}

// Calls is what was called since the start or the last ResetCalls, by IAM's name of the action, such as ec2:RunInstances.
func (s *Server) Calls() map[string]Count {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return maps.Clone(s.calls.counts)
}

// ResetCalls sets the counters to zero.
func (s *Server) ResetCalls() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	clear(s.calls.counts)
}

type calls struct {
	mu     sync.Mutex
	counts map[string]Count
}

// count counts the call when it begins: a long poll that still waits is one.
func (c *calls) count(r *api.Request) {
	c.change(r, func(n *Count) { n.Calls++ })
}

// answered counts an error's code; an empty one is success.
func (c *calls) answered(r *api.Request, code string) {
	if code == "" {
		return
	}
	c.change(r, func(n *Count) {
		n.Errors++
		if api.Throttles(code) {
			n.Throttled++
		}
	})
}

// empty counts an answer without a message.
func (c *calls) empty(r *api.Request) {
	c.change(r, func(n *Count) { n.Empty++ })
}

func (c *calls) change(r *api.Request, change func(*Count)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]Count{}
	}
	key := r.Service + ":" + r.Action
	n := c.counts[key]
	change(&n)
	c.counts[key] = n
}
