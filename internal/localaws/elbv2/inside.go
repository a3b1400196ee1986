package elbv2

import (
	"slices"
	"time"
)

// Exists says whether the account has the target group.
func (s *Service) Exists(account, region, arn string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups.Get(arn)
	return ok && g.Account == account && g.Region == region
}

// Register makes a running server a target on the group's own port, as Auto Scaling does.
func (s *Service) Register(account, region, arn, instanceID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups.Get(arn)
	if !ok || g.Account != account || g.Region != region {
		return
	}
	key := targetKey(instanceID, g.Port)
	if old, held := g.Targets[key]; !held || !old.Draining.IsZero() {
		g.Targets[key] = target{ID: instanceID, Port: g.Port, Registered: time.Now()}
		s.groups.Put(arn, g)
	}
}

// Deregister lets the server drain; the time is when it has.
func (s *Service) Deregister(account, region, arn, instanceID string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	g, ok := s.groups.Get(arn)
	if !ok || g.Account != account || g.Region != region {
		return now
	}
	last := now
	for key, t := range g.Targets {
		if t.ID != instanceID {
			continue
		}
		if t.Draining.IsZero() {
			t.Draining = now.Add(s.env.Scale(g.delay()))
			g.Targets[key] = t
			s.groups.Put(arn, g)
		}
		last = slices.MaxFunc([]time.Time{last, t.Draining}, time.Time.Compare)
	}
	return last
}

// TargetState is the server's health in the target group as DescribeTargetHealth words it. The server is asked, which may take
// it a while: no lock may be held.
func (s *Service) TargetState(account, region, arn, instanceID string) string {
	s.mu.Lock()
	g, ok := s.groups.Get(arn)
	if !ok || g.Account != account || g.Region != region {
		s.mu.Unlock()
		return "unused"
	}
	copied, held := *g, g.Targets[targetKey(instanceID, g.Port)]
	s.mu.Unlock()
	if held.ID == "" {
		return "unused"
	}
	health, _ := s.health(&copied, held)
	return health.State
}
