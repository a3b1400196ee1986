// Package elbv2 is the embedded endpoint's load balancer service, as far as workers use it: target groups, their targets,
// and the health of these. There are no load balancers; every target group counts as in use by one.
//
// Nothing checks health in the background. When somebody asks, the target's own server is asked at that instant; before the
// first check after its registration would have ended, a target is initial.
package elbv2

import (
	"net/http"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

var protocol = api.QueryProtocol{Namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"}

// Targets are the servers that can be targets.
type Targets interface {
	// State is the instance's state; false if there is no such instance.
	State(account, region, instanceID string) (state string, ok bool)
	// Get asks the server's own service; an error is a refused connection.
	Get(account, region, instanceID string, port int, path string) (status int, err error)
}

// Service is Elastic Load Balancing v2.
type Service struct {
	env     *api.Env
	servers Targets

	mu     sync.Mutex
	groups *state.Table[*group] // by ARN
}

// group is a target group.
type group struct {
	ARN, Name, Account, Region           string
	Protocol, TargetType, VPC            string
	Port                                 int
	Health                               healthCheck
	Attributes                           map[string]string
	Targets                              map[string]target // by id and port
	HealthyThreshold, UnhealthyThreshold int
}

type healthCheck struct {
	Protocol, Path, Port, Matcher string
	Enabled                       bool
	Interval, Timeout             time.Duration
}

// target is a registered or draining target.
type target struct {
	ID         string
	Port       int
	Registered time.Time
	// Draining is when draining ends; zero while the target is registered.
	Draining time.Time
}

// New reads the target groups.
func New(env *api.Env, servers Targets) (*Service, error) {
	groups, err := state.NewTable[*group](env.Store, "elbv2.targetgroups")
	if err != nil {
		return nil, err
	}
	return &Service{env: env, servers: servers, groups: groups}, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "elasticloadbalancing" }

// Start does nothing.
func (s *Service) Start() {}

// Close does nothing.
func (s *Service) Close() {}

// Summary tells how many targets each group has.
func (s *Service) Summary() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]int{}
	for arn, g := range s.groups.All() {
		all[arn] = len(g.Targets)
	}
	return all
}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	api.Actions{Service: "load balancing", Protocol: protocol, Of: map[string]func(*api.Request) (any, error){
		"CreateTargetGroup": s.createTargetGroup, "DescribeTargetGroups": s.describeTargetGroups, "DeleteTargetGroup": s.deleteTargetGroup,
		"RegisterTargets": s.registerTargets, "DeregisterTargets": s.deregisterTargets, "DescribeTargetHealth": s.describeTargetHealth,
		"ModifyTargetGroupAttributes": s.modifyAttributes, "DescribeTargetGroupAttributes": s.describeAttributes,
	}}.Serve(w, r)
}

// find is the target group with that ARN, of the caller's account and region. The lock is held.
func (s *Service) find(r *api.Request, arn string) (*group, error) {
	g, ok := s.groups.Get(arn)
	if !ok || g.Account != r.Account || g.Region != r.Region {
		return nil, api.Errorf("TargetGroupNotFound", "One or more target groups not found: %q", arn)
	}
	return g, nil
}

// delay is how long a deregistered target drains.
func (g *group) delay() time.Duration {
	// Checked when it was set.
	d, _ := time.ParseDuration(g.Attributes["deregistration_delay.timeout_seconds"] + "s")
	return d
}
