package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Protocol is how a service writes its answers.
type Protocol interface {
	Write(w http.ResponseWriter, r *Request, v any)
	WriteError(w http.ResponseWriter, r *Request, err error)
}

// Actions are what a service can do, by the name that callers ask for.
type Actions struct {
	// Service is its name for a person.
	Service  string
	Protocol Protocol
	// Lock, if not nil, is held while an action runs.
	Lock sync.Locker
	Of   map[string]func(*Request) (any, error)
}

// Serve answers one call.
func (a Actions) Serve(w http.ResponseWriter, r *Request) {
	result, err := a.run(r)
	if err != nil {
		a.Protocol.WriteError(w, r, err)
		return
	}
	a.Protocol.Write(w, r, result)
}

func (a Actions) run(r *Request) (any, error) {
	action, ok := a.Of[r.Action]
	if !ok {
		code := "UnknownOperationException"
		if r.Form != nil { // the query protocol
			code = "InvalidAction"
		}
		return nil, Errorf(code, "this endpoint's %s does not serve %s; it serves %s", a.Service, r.Action,
			strings.Join(slices.Sorted(maps.Keys(a.Of)), ", "))
	}
	if a.Lock != nil {
		a.Lock.Lock()
		defer a.Lock.Unlock()
	}
	return action(r)
}
