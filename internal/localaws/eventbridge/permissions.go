package eventbridge

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

func busARN(account, region string) string {
	return "arn:aws:events:" + region + ":" + account + ":event-bus/default"
}

// admitsFrom reports whether the bus takes events of the account: its own's always, by a role's right.
func (s *Service) admitsFrom(from, account, region string) bool {
	if from == account {
		return true
	}
	permitted, _ := s.permissions.Get(account + "/" + region)
	return slices.Contains(slices.Collect(maps.Values(permitted)), from)
}

var (
	statementID   = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)
	accountNumber = regexp.MustCompile(`^\d{12}$`)
)

func (s *Service) putPermission(r *api.Request) (any, error) {
	var in struct{ EventBusName, Action, Principal, StatementID string }
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	if err := defaultBus(in.EventBusName); err != nil {
		return nil, err
	}
	if in.Action != "events:PutEvents" || !accountNumber.MatchString(in.Principal) || !statementID.MatchString(in.StatementID) {
		return nil, api.Errorf("ValidationException", "This endpoint's permissions have the action events:PutEvents, an account as principal, and a statement id.")
	}
	key := r.Account + "/" + r.Region
	old, _ := s.permissions.Get(key)
	permitted := map[string]string{}
	maps.Copy(permitted, old)
	permitted[in.StatementID] = in.Principal
	s.permissions.Put(key, permitted)
	return nil, nil
}

func (s *Service) removePermission(r *api.Request) (any, error) {
	var in struct{ EventBusName, StatementID string }
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	if err := defaultBus(in.EventBusName); err != nil {
		return nil, err
	}
	key := r.Account + "/" + r.Region
	old, _ := s.permissions.Get(key)
	if _, exists := old[in.StatementID]; !exists {
		return nil, api.Errorf("ResourceNotFoundException", "Statement with the provided id does not exist.")
	}
	permitted := maps.Clone(old)
	delete(permitted, in.StatementID)
	s.permissions.Put(key, permitted)
	return nil, nil
}

func (s *Service) describeBus(r *api.Request) (any, error) {
	var in struct{ Name string }
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	if err := defaultBus(in.Name); err != nil {
		return nil, err
	}
	type shown struct {
		Name, Arn string
		Policy    string `json:",omitempty"`
	}
	bus := shown{Name: "default", Arn: busARN(r.Account, r.Region)}
	permitted, _ := s.permissions.Get(r.Account + "/" + r.Region)
	if len(permitted) == 0 {
		return bus, nil
	}
	statements := []any{}
	for _, id := range slices.Sorted(maps.Keys(permitted)) {
		statements = append(statements, map[string]any{"Sid": id, "Effect": "Allow", "Action": "events:PutEvents", "Resource": bus.Arn,
			"Principal": map[string]any{"AWS": "arn:aws:iam::" + permitted[id] + ":root"}})
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	bus.Policy = string(policy)
	return bus, err
}
