// Package eventbridge is the embedded endpoint's EventBridge: the default bus of each account and region, its rules, and
// their targets. What the other services tell of goes to each target whose rule's pattern fits.
//
// Targets are queues of the region, and the default buses of other regions and accounts. A queue takes what its policy lets
// EventBridge send. A bus takes what comes by a role that trusts EventBridge and may put events on it, and from another
// account what a permission of the bus admits besides. What is refused is lost, and nobody is told, as at AWS.
package eventbridge

import (
	"net/http"
	"regexp"
	"sync"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

var protocol = api.JSONProtocol{Version: "1.1"}

// Queues is what the bus asks of SQS.
type Queues interface {
	Send(account, region, name, body string) bool
	Policy(account, region, name string) string
}

// Roles is what the bus asks of IAM.
type Roles interface {
	Assumable(role, service string) bool
	May(role, action, resource string) bool
}

// Service is EventBridge.
type Service struct {
	env    *api.Env
	queues Queues
	roles  Roles
	lose   func(api.Event) bool

	mu    sync.Mutex
	rules *state.Table[rule] // by account/region/name
	// permissions are the accounts that may put events on a bus, by account/region and the statement's id.
	permissions *state.Table[map[string]string]
}

// New reads the rules. Events for which lose is true are lost; it may be nil.
func New(env *api.Env, queues Queues, roles Roles, lose func(api.Event) bool) (*Service, error) {
	rules, err := state.NewTable[rule](env.Store, "eventbridge.rules")
	if err != nil {
		return nil, err
	}
	permissions, err := state.NewTable[map[string]string](env.Store, "eventbridge.permissions")
	if err != nil {
		return nil, err
	}
	return &Service{env: env, queues: queues, roles: roles, lose: lose, rules: rules, permissions: permissions}, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "events" }

// Start does nothing.
func (s *Service) Start() {}

// Close does nothing.
func (s *Service) Close() {}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	api.Actions{Service: "EventBridge", Protocol: protocol, Lock: &s.mu, Of: map[string]func(*api.Request) (any, error){
		"PutRule": s.putRule, "DescribeRule": s.describeRule, "DeleteRule": s.deleteRule,
		"PutTargets": s.putTargets, "ListTargetsByRule": s.listTargets, "RemoveTargets": s.removeTargets,
		"PutPermission": s.putPermission, "RemovePermission": s.removePermission, "DescribeEventBus": s.describeBus,
		"PutEvents": s.putEvents,
	}}.Serve(w, r)
}

// rule is one rule of a default bus.
type rule struct {
	Account, Region, Name, Description string
	Pattern                            string
	Disabled                           bool
	Targets                            []target
	// Trusted: its queues need no policy.
	Trusted bool
}

type target struct {
	ID  string `json:"Id"`
	ARN string `json:"Arn"`
	// Role is whom EventBridge acts as; queues need none.
	Role string `json:"RoleArn,omitempty"`
}

func (r *rule) arn() string {
	return "arn:aws:events:" + r.Region + ":" + r.Account + ":rule/" + r.Name
}

func (r *rule) key() string { return r.Account + "/" + r.Region + "/" + r.Name }

var ruleName = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)

type named struct {
	Name, EventBusName string
}

func (s *Service) find(r *api.Request, name, bus string) (rule, error) {
	if err := defaultBus(bus); err != nil {
		return rule{}, err
	}
	found, ok := s.rules.Get(r.Account + "/" + r.Region + "/" + name)
	if !ok {
		return rule{}, api.Errorf("ResourceNotFoundException", "Rule %s does not exist on EventBus default.", name)
	}
	return found, nil
}

func defaultBus(name string) error {
	if name != "" && name != "default" {
		return api.Errorf("ResourceNotFoundException", "Event bus %s does not exist: this endpoint has the default bus only.", name)
	}
	return nil
}

func (s *Service) putRule(r *api.Request) (any, error) {
	var in struct {
		named
		EventPattern, State, Description string
		ScheduleExpression, RoleArn      string
		Tags                             []struct{ Key, Value string }
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	if err := defaultBus(in.EventBusName); err != nil {
		return nil, err
	}
	switch {
	case !ruleName.MatchString(in.Name):
		return nil, api.Errorf("ValidationException", "Invalid rule name %q: expected 1 to 64 letters, digits and . - _", in.Name)
	case in.ScheduleExpression != "" || in.EventPattern == "":
		return nil, api.Errorf("ValidationException", "Parameter EventPattern is not valid: this endpoint's rules have one, and no schedule.")
	}
	if err := checkPattern(in.EventPattern); err != nil {
		return nil, err
	}
	made := rule{Account: r.Account, Region: r.Region, Name: in.Name, Description: in.Description, Pattern: in.EventPattern, Disabled: in.State == "DISABLED"}
	old, _ := s.rules.Get(made.key())
	made.Targets = old.Targets
	s.rules.Put(made.key(), made)
	return struct{ RuleArn string }{made.arn()}, nil
}

func (s *Service) describeRule(r *api.Request) (any, error) {
	var in named
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	found, err := s.find(r, in.Name, in.EventBusName)
	if err != nil {
		return nil, err
	}
	enabled := "ENABLED"
	if found.Disabled {
		enabled = "DISABLED"
	}
	return struct{ Arn, Name, Description, EventBusName, EventPattern, State string }{
		found.arn(), found.Name, found.Description, "default", found.Pattern, enabled}, nil
}

func (s *Service) deleteRule(r *api.Request) (any, error) {
	var in struct {
		named
		Force bool
	}
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	found, err := s.find(r, in.Name, in.EventBusName)
	if err != nil {
		return nil, nil //nolint:nilerr // deleting what is not there is no error
	}
	if len(found.Targets) > 0 {
		return nil, api.Errorf("ValidationException", "Rule can't be deleted since it has targets.")
	}
	s.rules.Delete(found.key())
	return nil, nil
}
