package eventbridge

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// Emit sends an event to each target whose rule it fits. Events are best effort: one for a queue that is not there, or
// that does not let EventBridge send, is lost.
func (s *Service) Emit(event api.Event) {
	if s.lose != nil && s.lose(event) {
		return
	}
	envelope := s.envelope(event)
	body, err := api.Marshal(envelope)
	if err != nil {
		// A service made an event that is no JSON: that is a mistake in the endpoint.
		panic("localaws: an event of " + event.Source + " cannot be encoded: " + err.Error())
	}
	var plain map[string]any
	if err := json.Unmarshal(body, &plain); err != nil {
		panic("localaws: an event of " + event.Source + " cannot be read: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carry(event.Account, event.Region, plain, string(body), true)
}

// carry sends an event on the default bus of a region. What came from another region's bus goes to no third one.
func (s *Service) carry(account, region string, event map[string]any, body string, own bool) {
	for _, r := range s.sorted() {
		var pattern map[string]any
		if r.Account != account || r.Region != region || r.Disabled || json.Unmarshal([]byte(r.Pattern), &pattern) != nil || !fits(pattern, event) {
			continue
		}
		for _, t := range r.Targets {
			part := strings.Split(t.ARN, ":") // arn:aws:sqs:REGION:ACCOUNT:NAME
			switch {
			case part[2] == "sqs" && (r.Trusted || admits(s.queues.Policy(part[4], part[3], part[5]), t.ARN, r.arn())):
				s.queues.Send(part[4], part[3], part[5], body)
			case part[2] == "events" && own && s.admitsFrom(r.Account, part[4], part[3]) && s.roles.May(t.Role, "events:PutEvents", t.ARN):
				s.carry(part[4], part[3], event, body, false)
			}
		}
	}
}

func (s *Service) sorted() []rule {
	var rules []rule
	for _, r := range s.rules.All() {
		rules = append(rules, r)
	}
	slices.SortFunc(rules, func(a, b rule) int { return strings.Compare(a.key(), b.key()) })
	return rules
}

func (s *Service) envelope(event api.Event) map[string]any {
	resources, detail := event.Resources, event.Detail
	if resources == nil {
		resources = []string{}
	}
	if detail == nil {
		detail = map[string]any{}
	}
	identity := append([]string{"events", event.Source, event.DetailType, event.Account, event.Region}, resources...)
	return map[string]any{
		"version": "0", "id": api.UUID(s.env.Rand(identity...)), "detail-type": event.DetailType, "source": event.Source, "account": event.Account,
		"time": time.Now().UTC().Format(time.RFC3339), "region": event.Region, "resources": resources, "detail": detail,
	}
}

// admits reports whether a queue's policy lets EventBridge send for the rule.
func admits(policy, queue, rule string) bool {
	var document struct {
		Statement []struct {
			Effect    string
			Principal struct{ Service any }
			Action    any
			Resource  any
			Condition map[string]map[string]any
		}
	}
	if json.Unmarshal([]byte(policy), &document) != nil {
		return false
	}
	for _, statement := range document.Statement {
		sources, conditional := any(nil), false
		for _, operator := range []string{"ArnEquals", "ArnLike"} {
			if source, ok := statement.Condition[operator]["aws:SourceArn"]; ok {
				sources, conditional = source, true
			}
		}
		if statement.Effect == "Allow" && among(statement.Principal.Service, "events.amazonaws.com") && among(statement.Action, "sqs:SendMessage") &&
			among(statement.Resource, queue) && (!conditional || among(sources, rule)) {
			return true
		}
	}
	return false
}

// among reports whether one text, or one of a list, is the value.
func among(texts any, value string) bool {
	if list, ok := texts.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return among(one, value) })
	}
	text, ok := texts.(string)
	if prefix, wild := strings.CutSuffix(text, "*"); ok && wild {
		return strings.HasPrefix(value, prefix)
	}
	return ok && text == value
}
