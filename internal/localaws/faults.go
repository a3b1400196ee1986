package localaws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// Fault is what happens around one call. The zero value is nothing. Refuse and Late exclude the rest; Code answers
// instead of the act.
type Fault struct {
	// Refuse breaks the connection before the act.
	Refuse bool
	// Late breaks the connection at once and carries the act out after this long.
	Late time.Duration
	// Delay passes before the act.
	Delay time.Duration
	// Code is the error that is answered instead of the act, with Message (may be empty) and Status (0 is 400).
	Code, Message string
	Status        int
	// Drop breaks the connection after the act.
	Drop bool
	// DelayAnswer passes between the act and its answer.
	DelayAnswer time.Duration
}

func (f Fault) message() string {
	if f.Message != "" {
		return f.Message
	}
	return "a fault that was asked for (" + f.Code + ")"
}

// Rule is a fault with the calls that it meets, as POST /_localaws/faults takes it.
type Rule struct {
	ID int `json:"id"`
	// Service, Action, Account and Region match whole; empty matches all. Contains matches a part of the body or, for
	// calls without one, of the address.
	Service  string `json:"service,omitempty"`
	Action   string `json:"action,omitempty"`
	Account  string `json:"account,omitempty"`
	Region   string `json:"region,omitempty"`
	Contains string `json:"contains,omitempty"`
	// Skip lets the first matching calls pass; Times ends the rule after so many faults, 0 never.
	Skip  int `json:"skip,omitempty"`
	Times int `json:"times,omitempty"`
	// Probability is the share of matching calls that are met, by the seed and the call; 0 is all.
	Probability float64 `json:"probability,omitempty"`

	Refuse      bool     `json:"refuse,omitempty"`
	Late        duration `json:"late,omitempty"`
	Delay       duration `json:"delay,omitempty"`
	Code        string   `json:"code,omitempty"`
	Message     string   `json:"message,omitempty"`
	Status      int      `json:"status,omitempty"`
	Drop        bool     `json:"drop,omitempty"`
	DelayAnswer duration `json:"delayAnswer,omitempty"`

	// Met counts the faults made.
	Met int `json:"met"`
}

// duration is a time.Duration that JSON writes as 1.5s.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil && parsed < 0 {
		err = fmt.Errorf("%s: expected a duration that is not negative", text)
	}
	*d = duration(parsed)
	return err
}

type faultRules struct {
	mu    sync.Mutex
	next  int
	rules []*Rule
}

// faultFor asks the interceptor first, then the rules in their order; the first fault counts.
func (s *Server) faultFor(r *api.Request) Fault {
	if s.config.Intercept != nil {
		if f := s.config.Intercept(r); f != (Fault{}) {
			return f
		}
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, rule := range s.faults.rules {
		if !rule.matches(r) || rule.Times > 0 && rule.Met >= rule.Times {
			continue
		}
		if rule.Skip > 0 {
			rule.Skip--
			continue
		}
		if rule.Probability > 0 && s.chance(rule, r) >= rule.Probability {
			continue
		}
		rule.Met++
		return rule.fault()
	}
	return Fault{}
}

// chance is a function of the seed and of what the call says, not of when it arrives.
func (s *Server) chance(rule *Rule, r *api.Request) float64 {
	return s.env.Rand("fault", fmt.Sprint(rule.ID), r.Service, r.Action, r.Account, r.Region, r.HTTP.URL.Path, string(r.Body)).Float64()
}

func (rule *Rule) matches(r *api.Request) bool {
	equal := func(want, got string) bool { return want == "" || want == got }
	if !equal(rule.Service, r.Service) || !equal(rule.Action, r.Action) || !equal(rule.Account, r.Account) || !equal(rule.Region, r.Region) {
		return false
	}
	return rule.Contains == "" || bytes.Contains(r.Body, []byte(rule.Contains)) || strings.Contains(r.HTTP.URL.RequestURI(), rule.Contains)
}

func (rule *Rule) fault() Fault {
	return Fault{
		Refuse: rule.Refuse, Late: time.Duration(rule.Late), Delay: time.Duration(rule.Delay), Code: rule.Code, Message: rule.Message,
		Status: rule.Status, Drop: rule.Drop, DelayAnswer: time.Duration(rule.DelayAnswer),
	}
}

// AddFault adds a rule and returns its id.
func (s *Server) AddFault(rule Rule) (int, error) {
	if rule.Probability < 0 || rule.Probability > 1 {
		return 0, api.Errorf("ValidationException", "probability %g: expected 0 to 1", rule.Probability)
	}
	if rule.fault() == (Fault{}) {
		return 0, api.Errorf("ValidationException", "the rule has no fault: give refuse, late, delay, code, drop or delayAnswer")
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.next++
	rule.ID, rule.Met = s.faults.next, 0
	s.faults.rules = append(s.faults.rules, &rule)
	return rule.ID, nil
}

// Faults lists the rules.
func (s *Server) Faults() []Rule {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	rules := make([]Rule, 0, len(s.faults.rules))
	for _, rule := range s.faults.rules {
		rules = append(rules, *rule)
	}
	return rules
}

// ClearFaults removes all rules.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = nil
}

func decodeRule(raw json.RawMessage) (Rule, error) {
	var rule Rule
	err := api.DecodeJSON(raw, &rule)
	return rule, err
}
