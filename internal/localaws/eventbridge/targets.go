package eventbridge

import (
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// maxTargets is EventBridge's quota of targets a rule.
const maxTargets = 5

type failures struct {
	FailedEntryCount int
	FailedEntries    []struct{}
}

func (s *Service) putTargets(r *api.Request) (any, error) {
	var in struct {
		Rule, EventBusName string
		Targets            []target
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	found, err := s.find(r, in.Rule, in.EventBusName)
	if err != nil {
		return nil, err
	}
	targets := slices.Clone(found.Targets)
	for _, t := range in.Targets {
		queue := strings.HasPrefix(t.ARN, "arn:aws:sqs:"+r.Region+":")
		bus := strings.HasPrefix(t.ARN, "arn:aws:events:") && strings.HasSuffix(t.ARN, ":event-bus/default") && t.ARN != busARN(r.Account, r.Region)
		if t.ID == "" || (!queue && !bus) || len(strings.Split(t.ARN, ":")) != 6 {
			return nil, api.Errorf("ValidationException", "Parameter %s is not valid. Reason: expected a queue of %s or another default event bus, with an Id.", t.ARN, r.Region)
		}
		switch {
		case bus && t.Role == "":
			return nil, api.Errorf("ValidationException", "RoleArn is required for target %s.", t.ARN)
		case bus && !strings.HasPrefix(t.Role, "arn:aws:iam::"+r.Account+":role/"), bus && !s.roles.Assumable(t.Role, "events.amazonaws.com"):
			return nil, api.Errorf("ValidationException", "Provided role '%s' cannot be assumed by principal 'events.amazonaws.com'.", t.Role)
		}
		targets = slices.DeleteFunc(targets, func(old target) bool { return old.ID == t.ID })
		targets = append(targets, t)
	}
	if len(targets) > maxTargets {
		return nil, api.Errorf("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
	}
	found.Targets = targets
	s.rules.Put(found.key(), found)
	return failures{FailedEntries: []struct{}{}}, nil
}

func (s *Service) listTargets(r *api.Request) (any, error) {
	var in struct {
		Rule, EventBusName, NextToken string
		Limit                         int
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	found, err := s.find(r, in.Rule, in.EventBusName)
	if err != nil {
		return nil, err
	}
	return struct{ Targets []target }{append([]target{}, found.Targets...)}, nil
}

func (s *Service) removeTargets(r *api.Request) (any, error) {
	var in struct {
		Rule, EventBusName string
		IDs                []string `json:"Ids"`
		Force              bool
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	found, err := s.find(r, in.Rule, in.EventBusName)
	if err != nil {
		return nil, err
	}
	found.Targets = slices.DeleteFunc(slices.Clone(found.Targets), func(t target) bool { return slices.Contains(in.IDs, t.ID) })
	s.rules.Put(found.key(), found)
	return failures{FailedEntries: []struct{}{}}, nil
}
