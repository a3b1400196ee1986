package localaws

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// controlPath is where the endpoint itself is spoken to, in JSON:
//
//	GET    /_localaws/health    200 when it serves
//	GET    /_localaws/state     what each service holds, in short
//	GET    /_localaws/inspect   everything that the services hold that can be inspected, as it truly is
//	GET    /_localaws/calls     calls, errors and throttled answers by action; DELETE resets them
//	GET    /_localaws/faults    the fault rules; POST adds one (see Rule); DELETE removes all
//	GET    /_localaws/events    EventBridge's rules; POST makes a queue a target (see EventTarget); DELETE removes all rules
//	POST   /_localaws/NAME      what a service offers under that name (see api.Controls), such as capacity
const controlPath = "/_localaws/"

// Control does what POST /_localaws/NAME does for the services' controls.
func (s *Server) Control(name string, body json.RawMessage) (any, error) {
	controls := s.controls()
	if control, ok := controls[name]; ok {
		return control(body)
	}
	return nil, &api.Error{Code: "NotFound", Status: http.StatusNotFound,
		Message: "no control " + name + "; there are: " + strings.Join(slices.Sorted(maps.Keys(controls)), ", ")}
}

func (s *Server) controls() map[string]func(json.RawMessage) (any, error) {
	all := map[string]func(json.RawMessage) (any, error){}
	for _, service := range s.order {
		if offers, ok := service.(api.Controls); ok {
			maps.Copy(all, offers.Controls())
		}
	}
	return all
}

func (s *Server) control(w http.ResponseWriter, hr *http.Request, name string, body []byte) {
	var result any
	var err error
	switch hr.Method + " " + name {
	case "GET health":
		result = map[string]any{"status": "ok", "services": strings.Split(s.serviceNames(), ", ")}
	case "GET state":
		result = s.summary()
	case "GET inspect":
		result = s.inspection()
	case "GET calls":
		result = s.Calls()
	case "DELETE calls":
		s.ResetCalls()
	case "GET faults":
		result = s.Faults()
	case "POST faults":
		result, err = s.postFault(body)
	case "DELETE faults":
		s.ClearFaults()
	case "GET events":
		result = s.events.Rules()
	case "POST events":
		err = s.postEventTarget(body)
	case "DELETE events":
		s.events.Clear()
		err = s.store.Flush()
	default:
		if hr.Method != http.MethodPost {
			err = &api.Error{Code: "NotFound", Status: http.StatusNotFound,
				Message: "no " + hr.Method + " " + controlPath + name + "; there are: GET health, state, inspect, calls, faults, events; DELETE calls, faults, events; POST faults, events, " + strings.Join(slices.Sorted(maps.Keys(s.controls())), ", ")}
			break
		}
		result, err = s.Control(name, body)
		if flushErr := s.store.Flush(); err == nil {
			err = flushErr
		}
	}
	writeControl(w, result, err)
}

func (s *Server) postFault(body []byte) (any, error) {
	rule, err := decodeRule(body)
	if err != nil {
		return nil, err
	}
	id, err := s.AddFault(rule)
	return map[string]int{"id": id}, err
}

func (s *Server) postEventTarget(body []byte) error {
	var target EventTarget
	if err := api.DecodeJSON(body, &target); err != nil {
		return err
	}
	return s.SendEvents(target)
}

func (s *Server) summary() map[string]any {
	all := map[string]any{}
	for _, service := range s.order {
		if offers, ok := service.(api.Summarizer); ok {
			all[service.Name()] = offers.Summary()
		}
	}
	return all
}

func (s *Server) inspection() map[string]any {
	all := map[string]any{}
	for _, service := range s.order {
		if offers, ok := service.(api.Inspector); ok {
			all[service.Name()] = offers.Inspection()
		}
	}
	return all
}

func (s *Server) serviceNames() string {
	return strings.Join(slices.Sorted(maps.Keys(s.services)), ", ")
}

func writeControl(w http.ResponseWriter, result any, err error) {
	status := http.StatusOK
	if err != nil {
		status = http.StatusBadRequest
		code := "BadRequest"
		if e, ok := errors.AsType[*api.Error](err); ok {
			e = api.AsError(e)
			status, code = e.Status, e.Code
		}
		result = map[string]string{"error": code, "message": err.Error()}
	}
	if result == nil {
		result = map[string]string{"status": "ok"}
	}
	body, encodeErr := api.Marshal(result)
	if encodeErr != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"InternalFailure"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The writer is the endpoint's buffer: it does not fail.
	_, _ = w.Write(append(body, '\n'))
}
