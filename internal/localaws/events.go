package localaws

import (
	"cmp"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// EventTarget is a queue that gets the events of its account and region without a rule of its own making.
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
	if target.Queue == "" {
		return api.Errorf("ValidationException", "the target has no queue: give its name")
	}
	err := s.events.Direct(cmp.Or(target.Account, api.DefaultAccount), cmp.Or(target.Region, defaultRegion), target.Queue, target.Sources, target.DetailTypes)
	if err != nil {
		return err
	}
	return s.store.Flush()
}
