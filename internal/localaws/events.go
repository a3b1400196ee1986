package localaws

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// EventTarget is a queue that gets the events of its account and region, as an EventBridge rule would send them.
type EventTarget struct {
	// Account is the default account if empty, Region us-east-1.
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
	Queue   string `json:"queue"`
	// Sources and DetailTypes are as in a rule's pattern; empty ones match all.
	Sources     []string `json:"sources,omitempty"`
	DetailTypes []string `json:"detailTypes,omitempty"`
}

// SendEvents makes a queue a target of events; the same queue again changes what it gets.
func (s *Server) SendEvents(target EventTarget) error {
	target.Account, target.Region = cmp.Or(target.Account, api.DefaultAccount), cmp.Or(target.Region, defaultRegion)
	if target.Queue == "" {
		return api.Errorf("ValidationException", "the target has no queue: give its name")
	}
	s.events.add(target)
	return s.store.Flush()
}

// events stands in for EventBridge's default bus and its rules.
type events struct {
	env    *api.Env
	queues *sqs.Service

	mu      sync.Mutex
	targets *state.Table[EventTarget]
}

func newEvents(env *api.Env, queues *sqs.Service) (*events, error) {
	targets, err := state.NewTable[EventTarget](env.Store, "events.targets")
	return &events{env: env, queues: queues, targets: targets}, err
}

func (e *events) add(target EventTarget) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.targets.Put(target.Account+"/"+target.Region+"/"+target.Queue, target)
}

func (e *events) clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, target := range e.all() {
		e.targets.Delete(target.Account + "/" + target.Region + "/" + target.Queue)
	}
}

func (e *events) list() []EventTarget {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all()
}

// all needs the lock.
func (e *events) all() []EventTarget {
	targets := []EventTarget{}
	for _, target := range e.targets.All() {
		targets = append(targets, target)
	}
	return targets
}

// emit sends an event to each queue that wants it. Events are best effort: one for a queue that is not there is lost.
func (e *events) emit(event api.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, target := range e.all() {
		if target.wants(event) {
			e.deliver(target.Queue, event)
		}
	}
}

func (target EventTarget) wants(event api.Event) bool {
	among := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	return target.Account == event.Account && target.Region == event.Region && among(target.Sources, event.Source) && among(target.DetailTypes, event.DetailType)
}

func (e *events) deliver(queue string, event api.Event) {
	resources, detail := event.Resources, event.Detail
	if resources == nil {
		resources = []string{}
	}
	if detail == nil {
		detail = map[string]any{}
	}
	identity := append([]string{"events", event.Source, event.DetailType, event.Account, event.Region, queue}, resources...)
	body, err := api.Marshal(map[string]any{
		"version": "0", "id": api.UUID(e.env.Rand(identity...)), "detail-type": event.DetailType, "source": event.Source, "account": event.Account,
		"time": time.Now().UTC().Format(time.RFC3339), "region": event.Region, "resources": resources, "detail": detail,
	})
	if err != nil {
		// A service made an event that is no JSON: that is a mistake in the endpoint.
		panic("localaws: an event of " + event.Source + " cannot be encoded: " + err.Error())
	}
	e.queues.Send(event.Account, event.Region, queue, string(body))
}
