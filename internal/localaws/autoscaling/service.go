// Package autoscaling is the embedded endpoint's EC2 Auto Scaling, as far as fleets that are groups need it: groups that keep
// their capacity, and instance refreshes.
//
// A group is a record with its instances; an instance refresh is another one. One loop looks at all groups whenever an instance
// changed or something is due (see step): it sees what became of the instances, replaces those that died, and carries each
// refresh one bit on. After a restart the same records go on. Instances are EC2's own, launched from launch templates.
package autoscaling

import (
	"net/http"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

var protocol = api.QueryProtocol{Namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/"}

// Servers is what groups ask of EC2.
type Servers interface {
	LaunchForGroup(ec2.GroupLaunch) (instanceID string, err error)
	TerminateForGroup(account, region string, ids ...string)
	TemplateVersion(account, region, id, name, version string) (ec2.TemplateVersion, error)
	SubnetZone(account, region, id string) (string, bool)
	Zones(account, region string) []string
	Instance(account, region, id string) (ec2.Instance, bool)
	Inspect() ec2.Inspection
	OnChange(func())
}

// Balancers is what groups ask of load balancing.
type Balancers interface {
	Exists(account, region, arn string) bool
	Register(account, region, arn, instanceID string)
	Deregister(account, region, arn, instanceID string) time.Time
	TargetState(account, region, arn, instanceID string) string
}

// Alarms is what refreshes ask of CloudWatch.
type Alarms interface {
	// State is OK, ALARM or INSUFFICIENT_DATA; false if there is no such alarm.
	State(account, region, name string) (string, bool)
}

// Service is EC2 Auto Scaling.
type Service struct {
	env       *api.Env
	servers   Servers
	balancers Balancers
	alarms    Alarms

	mu        state.RWMutex
	groups    *state.Table[*group]   // by account/region/name
	refreshes *state.Table[*refresh] // by their group's key and the number of the refresh
	clock     clock
}

// New reads the groups.
func New(env *api.Env, servers Servers, balancers Balancers, alarms Alarms) (*Service, error) {
	s := &Service{env: env, servers: servers, balancers: balancers, alarms: alarms}
	s.mu.Keep(env.Store, "autoscaling")
	var err error
	if s.groups, err = state.NewTable[*group](env.Store, "autoscaling.groups"); err != nil {
		return nil, err
	}
	if s.refreshes, err = state.NewTable[*refresh](env.Store, "autoscaling.refreshes"); err != nil {
		return nil, err
	}
	s.clock.run = s.step
	servers.OnChange(s.changed)
	return s, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "autoscaling" }

// Start takes in what was launched for a group just before a kill, and goes on with what was under way.
func (s *Service) Start() {
	s.adopt()
	s.clock.start()
	s.changed()
}

// Close ends the loop.
func (s *Service) Close() { s.clock.close() }

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	api.Actions{Service: "Auto Scaling", Protocol: protocol, Of: map[string]func(*api.Request) (any, error){
		"CreateAutoScalingGroup": locked(s, s.createGroup), "UpdateAutoScalingGroup": locked(s, s.updateGroup),
		"DeleteAutoScalingGroup": locked(s, s.deleteGroup), "DescribeAutoScalingGroups": locked(s, s.describeGroups),
		"SetDesiredCapacity": locked(s, s.setDesiredCapacity), "DescribeAutoScalingInstances": locked(s, s.describeInstances),
		"SetInstanceProtection": locked(s, s.setProtection), "CreateOrUpdateTags": locked(s, s.putTags),
		"DescribeTags": locked(s, s.describeTags), "DeleteTags": locked(s, s.deleteTags),
		"StartInstanceRefresh": locked(s, s.startRefresh), "DescribeInstanceRefreshes": locked(s, s.describeRefreshes),
		"CancelInstanceRefresh": locked(s, s.cancelRefresh), "RollbackInstanceRefresh": locked(s, s.rollbackRefresh),
		"DescribeScalingActivities": locked(s, s.describeActivities),
	}}.Serve(w, r)
}

// locked decodes the call's parameters and serves it under the lock.
func locked[In any](s *Service, act func(*api.Request, *In) (any, error)) func(*api.Request) (any, error) {
	return func(r *api.Request) (any, error) {
		in := new(In)
		if err := api.DecodeQuery(r.Form, in); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return act(r, in)
	}
}

// Summary tells how many instances each group has, and how its last refresh stands.
func (s *Service) Summary() any {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := map[string]any{}
	for key, g := range s.groups.All() {
		status := ""
		if f := s.last(g); f != nil {
			status = f.Status
		}
		all[key] = map[string]any{"desired": g.Desired, "instances": len(g.Members), "refresh": status}
	}
	return all
}

func invalid(format string, args ...any) error { return api.Errorf("ValidationError", format, args...) }

// stamp is a time as the query protocol writes it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
