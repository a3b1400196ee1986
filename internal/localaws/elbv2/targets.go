package elbv2

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type targetShape struct {
	ID   string `query:"Id" xml:"Id"`
	Port *int   `query:"Port" xml:"Port,omitempty"`
}

type targetsInput struct {
	ARN     string        `query:"TargetGroupArn"`
	Targets []targetShape `query:"Targets.member"`
}

func (s *Service) registerTargets(r *api.Request) (any, error) {
	var in targetsInput
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	// The servers are asked without the lock: they may be busy.
	var unknown, off []string
	for _, t := range in.Targets {
		switch state, ok := s.servers.State(r.Account, r.Region, t.ID); {
		case !ok:
			unknown = append(unknown, t.ID)
		case state != "running":
			off = append(off, t.ID)
		}
	}
	if len(unknown) > 0 {
		return nil, api.Errorf("InvalidTarget", "The following targets do not exist or are not in the same VPC as the target group: '%s'", strings.Join(unknown, "', '"))
	}
	if len(off) > 0 {
		return nil, api.Errorf("InvalidTarget", "The following targets are not in a running state and cannot be registered: '%s'", strings.Join(off, "', '"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(r, in.ARN)
	if err != nil {
		return nil, err
	}
	if len(in.Targets) == 0 {
		return nil, invalid("At least one target must be specified")
	}
	now := time.Now()
	for _, t := range in.Targets {
		port := g.port(t)
		key := targetKey(t.ID, port)
		if old, ok := g.Targets[key]; !ok || !old.Draining.IsZero() {
			g.Targets[key] = target{ID: t.ID, Port: port, Registered: now}
		}
	}
	s.groups.Put(g.ARN, g)
	return struct{}{}, nil
}

func (s *Service) deregisterTargets(r *api.Request) (any, error) {
	var in targetsInput
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(r, in.ARN)
	if err != nil {
		return nil, err
	}
	ends := time.Now().Add(s.env.Scale(g.delay()))
	for _, asked := range in.Targets {
		for key, t := range g.Targets {
			// Without a port all of the server's targets go.
			if t.ID == asked.ID && (asked.Port == nil || *asked.Port == t.Port) && t.Draining.IsZero() {
				t.Draining = ends
				g.Targets[key] = t
			}
		}
	}
	s.groups.Put(g.ARN, g)
	return struct{}{}, nil
}

type healthShape struct {
	State       string
	Reason      string `xml:",omitempty"`
	Description string `xml:",omitempty"`
}

type healthDescription struct {
	HealthCheckPort string
	Target          targetShape
	TargetHealth    healthShape
}

func (s *Service) describeTargetHealth(r *api.Request) (any, error) {
	var in struct {
		targetsInput
		Include []string `query:"Include.member"`
	}
	if err := api.DecodeQuery(r.Form, &in); err != nil {
		return nil, err
	}
	g, targets, err := s.snapshot(r, &in.targetsInput)
	if err != nil {
		return nil, err
	}
	var result struct {
		Descriptions []healthDescription `xml:"TargetHealthDescriptions>member"`
	}
	var gone []string
	for _, t := range targets {
		health, exists := s.health(&g, t)
		if !exists {
			gone = append(gone, targetKey(t.ID, t.Port))
			if len(in.Targets) == 0 {
				continue
			}
		}
		result.Descriptions = append(result.Descriptions, healthDescription{strconv.Itoa(g.checkPort(t)), targetShape{t.ID, &t.Port}, health})
	}
	s.forget(g.ARN, gone)
	return result, nil
}

// snapshot copies the group and the targets that are asked for, so that servers can be asked without the lock.
func (s *Service) snapshot(r *api.Request, in *targetsInput) (group, []target, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(r, in.ARN)
	if err != nil {
		return group{}, nil, err
	}
	var targets []target
	if len(in.Targets) == 0 {
		for _, key := range slices.Sorted(maps.Keys(g.Targets)) {
			targets = append(targets, g.Targets[key])
		}
	}
	for _, asked := range in.Targets {
		port := g.port(asked)
		t, ok := g.Targets[targetKey(asked.ID, port)]
		if !ok {
			t = target{ID: asked.ID, Port: port}
		}
		targets = append(targets, t)
	}
	return *g, targets, nil
}

// forget drops targets that have drained or whose server is gone.
func (s *Service) forget(arn string, keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups.Get(arn)
	changed := false
	for _, key := range keys {
		if _, held := g.Targets[key]; ok && held {
			delete(g.Targets, key)
			changed = true
		}
	}
	if changed {
		s.groups.Put(arn, g)
	}
}

// health is how a target is now; false if it is no target of the group any more.
func (s *Service) health(g *group, t target) (healthShape, bool) {
	now := time.Now()
	state, exists := s.servers.State(g.Account, g.Region, t.ID)
	switch {
	case t.Registered.IsZero(), !t.Draining.IsZero() && !t.Draining.After(now), !exists, state == "terminated":
		return healthShape{"unused", "Target.NotRegistered", "Target is not registered to the target group"}, false
	case !t.Draining.IsZero():
		return healthShape{"draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"}, true
	case state != "running":
		return healthShape{"unused", "Target.InvalidState", "Target is in the " + state + " state"}, true
	case now.Before(t.Registered.Add(s.env.Scale(g.Health.Interval))):
		return healthShape{"initial", "Elb.RegistrationInProgress", "Target registration is in progress"}, true
	}
	status, err := s.servers.Get(g.Account, g.Region, t.ID, g.checkPort(t), g.Health.Path)
	switch {
	case err != nil:
		return healthShape{"unhealthy", "Target.FailedHealthChecks", "Health checks failed"}, true
	case g.Health.Protocol != "TCP" && !matches(g.Health.Matcher, status):
		return healthShape{"unhealthy", "Target.ResponseCodeMismatch", fmt.Sprintf("Health checks failed with these codes: [%d]", status)}, true
	}
	return healthShape{State: "healthy"}, true
}

func (g *group) port(t targetShape) int {
	if t.Port != nil {
		return *t.Port
	}
	return g.Port
}

func (g *group) checkPort(t target) int {
	if n, err := strconv.Atoi(g.Health.Port); err == nil {
		return n
	}
	return t.Port
}

func targetKey(id string, port int) string { return id + ":" + strconv.Itoa(port) }

// matches says whether the matcher, such as 200,301-302, takes the status.
func matches(matcher string, status int) bool {
	for part := range strings.SplitSeq(matcher, ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		// Checked when the group was made.
		from, _ := strconv.Atoi(low)
		to, _ := strconv.Atoi(high)
		if from <= status && status <= to {
			return true
		}
	}
	return false
}

func validMatcher(matcher string) bool {
	for part := range strings.SplitSeq(matcher, ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		from, errFrom := strconv.Atoi(low)
		to, errTo := strconv.Atoi(high)
		if errFrom != nil || errTo != nil || from < 200 || to > 499 || from > to {
			return false
		}
	}
	return true
}
