package eventbridge

import (
	"encoding/json"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// Direct makes a queue a target of the events of its account and region, by a rule of its own that needs no policy. The
// same queue again changes what it gets. Empty lists match all.
func (s *Service) Direct(account, region, queue string, sources, detailTypes []string) error {
	pattern := map[string]any{"account": []string{account}}
	if len(sources) > 0 {
		pattern["source"] = sources
	}
	if len(detailTypes) > 0 {
		pattern["detail-type"] = detailTypes
	}
	text, err := json.Marshal(pattern)
	if err != nil {
		return err
	}
	made := rule{Account: account, Region: region, Name: "direct-" + queue, Pattern: string(text), Trusted: true,
		Targets: []target{{ID: "queue", ARN: "arn:aws:sqs:" + region + ":" + account + ":" + queue}}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules.Put(made.key(), made)
	return nil
}

// Clear removes all rules.
func (s *Service) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.sorted() {
		s.rules.Delete(r.key())
	}
}

// Rules lists all rules.
func (s *Service) Rules() any {
	type shown struct {
		Account string          `json:"account"`
		Region  string          `json:"region"`
		Name    string          `json:"name"`
		Pattern json.RawMessage `json:"pattern"`
		Targets []string        `json:"targets"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []shown{}
	for _, r := range s.sorted() {
		one := shown{Account: r.Account, Region: r.Region, Name: r.Name, Pattern: json.RawMessage(r.Pattern), Targets: []string{}}
		for _, t := range r.Targets {
			one.Targets = append(one.Targets, t.ARN)
		}
		all = append(all, one)
	}
	return all
}

var _ api.Service = (*Service)(nil)
