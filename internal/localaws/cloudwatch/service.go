// Package cloudwatch is the embedded endpoint's CloudWatch, as far as gates need it: metric alarms. There are no metrics: an alarm
// is in the state that SetAlarmState gave it, and has insufficient data until then.
package cloudwatch

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

var query = api.QueryProtocol{Namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/"}

// States of an alarm.
const (
	ok           = "OK"
	alarmed      = "ALARM"
	insufficient = "INSUFFICIENT_DATA"
)

// Service is CloudWatch.
type Service struct {
	mu     state.RWMutex
	alarms *state.Table[*alarm] // by account/region/name
}

// alarm is a metric alarm.
type alarm struct {
	Account, Region string
	Settings        settings
	State, Reason   string
	Data            string
	Updated         time.Time // the state
	Configured      time.Time
}

// New reads the alarms.
func New(env *api.Env) (*Service, error) {
	alarms, err := state.NewTable[*alarm](env.Store, "monitoring.alarms")
	if err != nil {
		return nil, err
	}
	s := &Service{alarms: alarms}
	s.mu.Keep(env.Store, "monitoring")
	return s, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "monitoring" }

// Start does nothing.
func (s *Service) Start() {}

// Close does nothing.
func (s *Service) Close() {}

// ServeAWS answers one call, by RPC v2 CBOR or by the older query protocol.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	var protocol api.Protocol = query
	if r.Form == nil {
		protocol = api.CBORProtocol{}
	}
	api.Actions{Service: "CloudWatch", Protocol: protocol, Of: map[string]func(*api.Request) (any, error){
		"PutMetricAlarm": locked(s, s.put), "DescribeAlarms": locked(s, s.describe),
		"SetAlarmState": locked(s, s.setState), "DeleteAlarms": locked(s, s.remove),
	}}.Serve(w, r)
}

func locked[In any](s *Service, act func(*api.Request, *In) (any, error)) func(*api.Request) (any, error) {
	return func(r *api.Request) (any, error) {
		in := new(In)
		decode := func() error { return api.DecodeQuery(r.Form, in) }
		if r.Form == nil {
			decode = func() error { return api.DecodeCBOR(r.Body, in) }
		}
		if err := decode(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return act(r, in)
	}
}

// State is the alarm's state; false if there is no such alarm.
func (s *Service) State(account, region, name string) (string, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a, found := s.alarms.Get(key(account, region, name))
	if !found {
		return "", false
	}
	return a.State, true
}

// Summary tells each alarm's state.
func (s *Service) Summary() any {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := map[string]string{}
	for key, a := range s.alarms.All() {
		all[key] = a.State
	}
	return all
}

func key(account, region, name string) string { return account + "/" + region + "/" + name }

func (s *Service) setState(r *api.Request, in *struct {
	AlarmName       string `query:"AlarmName"`
	StateValue      string `query:"StateValue"`
	StateReason     string `query:"StateReason"`
	StateReasonData string `query:"StateReasonData"`
}) (any, error) {
	a, found := s.alarms.Get(key(r.Account, r.Region, in.AlarmName))
	switch {
	case !slices.Contains([]string{ok, alarmed, insufficient}, in.StateValue):
		return nil, api.Errorf("ValidationError", "1 validation error detected: Value '%s' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]", in.StateValue)
	case in.StateReason == "":
		return nil, api.Errorf("ValidationError", "1 validation error detected: Value null at 'stateReason' failed to satisfy constraint: Member must not be null")
	case !found:
		return nil, &api.Error{Code: "ResourceNotFound", Status: http.StatusNotFound, Message: "Unknown"}
	}
	a.State, a.Reason, a.Data, a.Updated = in.StateValue, in.StateReason, in.StateReasonData, time.Now()
	s.alarms.Put(key(r.Account, r.Region, in.AlarmName), a)
	return nil, nil
}

func (s *Service) remove(r *api.Request, in *struct {
	AlarmNames []string `query:"AlarmNames.member"`
}) (any, error) {
	if len(in.AlarmNames) == 0 || len(in.AlarmNames) > 100 {
		return nil, api.Errorf("ValidationError", "DeleteAlarms takes 1 to 100 names, got %d", len(in.AlarmNames))
	}
	var missing []string
	for _, name := range in.AlarmNames {
		if _, found := s.alarms.Get(key(r.Account, r.Region, name)); !found {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, &api.Error{Code: "ResourceNotFound", Status: http.StatusNotFound, Message: "Alarms " + strings.Join(missing, ", ") + " do not exist"}
	}
	for _, name := range in.AlarmNames {
		s.alarms.Delete(key(r.Account, r.Region, name))
	}
	return nil, nil
}
