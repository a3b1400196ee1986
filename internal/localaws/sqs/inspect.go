package sqs

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Held is a message that a queue holds, whether it is visible, in flight or delayed.
type Held struct {
	Account, Region, Queue string
	ID, Body               string
	Attributes             map[string]string // those that are strings
	Receives               int
	Sent, VisibleAt        time.Time
}

// Inspection is every message of every queue, in the order in which they were sent.
func (s *Service) Inspection() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Held{}
	for _, m := range s.messages.All() {
		place := strings.SplitN(m.Queue, "/", 3)
		held := Held{Account: place[0], Region: place[1], Queue: place[2], ID: m.ID, Body: m.Body, Attributes: map[string]string{},
			Receives: m.Receives, Sent: m.Sent, VisibleAt: m.VisibleAt}
		for name, value := range m.Attributes {
			if value.StringValue != nil {
				held.Attributes[name] = *value.StringValue
			}
		}
		all = append(all, held)
	}
	slices.SortStableFunc(all, func(a, b Held) int { return cmp.Or(a.Sent.Compare(b.Sent), strings.Compare(a.ID, b.ID)) })
	return all
}
