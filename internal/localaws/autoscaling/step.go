package autoscaling

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
)

// How often what nobody tells of is looked at, and how long launches that failed wait.
const (
	settle     = time.Second // changes of many instances are seen together
	checkEvery = 10 * time.Second
	retryAfter = 15 * time.Second
	standstill = time.Hour
)

// changed is called when some instance changed.
func (s *Service) changed() { s.clock.wake(time.Now().Add(s.env.Scale(settle))) }

// soon makes a pass right after the call that asks for it.
func (s *Service) soon() { s.clock.wake(time.Now()) }

// step is one pass over all groups. It tells when the next one is due.
func (s *Service) step() time.Time {
	health := s.targetHealth()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &pass{Service: s, now: time.Now(), health: health}
	for key, g := range s.groups.All() {
		p.dirty = false
		p.group(g)
		switch {
		case g.Deleting && len(g.Members) == 0:
			s.bury(g)
		case p.dirty:
			s.groups.Put(key, g)
		}
	}
	return p.next
}

// pass is one look at all groups. The service's lock is held.
type pass struct {
	*Service
	now    time.Time
	next   time.Time
	health map[string]string // target health by instance; only of groups with the health check ELB
	dirty  bool              // the group at hand changed
}

// at asks for a pass at the time.
func (p *pass) at(t time.Time) {
	if p.next.IsZero() || t.Before(p.next) {
		p.next = t
	}
}

func (p *pass) in(d time.Duration) { p.at(p.now.Add(p.env.Scale(d))) }

// targetHealth asks the target groups of all groups that are checked by them. The servers are asked, which may take them a
// while: so without the lock.
func (s *Service) targetHealth() map[string]string {
	type question struct{ account, region, arn, id string }
	var questions []question
	s.mu.RLock()
	for _, g := range s.groups.All() {
		if !strings.Contains(g.HealthCheckType, "ELB") {
			continue
		}
		for id, m := range g.Members {
			for _, arn := range g.TargetGroups {
				if m.State == inService {
					questions = append(questions, question{g.Account, g.Region, arn, id})
				}
			}
		}
	}
	s.mu.RUnlock()
	health := map[string]string{}
	for _, q := range questions {
		state := s.balancers.TargetState(q.account, q.region, q.arn, q.id)
		if worse(state, health[q.id]) {
			health[q.id] = state
		}
	}
	return health
}

// worse orders target health: unhealthy before all that is not yet or not known, healthy last.
func worse(a, b string) bool {
	rank := func(state string) int {
		return slices.Index([]string{"", "healthy", "initial", "unused", "draining", "unhealthy"}, state)
	}
	return rank(a) > rank(b)
}

func (p *pass) group(g *group) {
	for _, m := range g.inOrder() {
		p.member(g, m)
	}
	f := p.active(g)
	if f != nil {
		p.refresh(g, f)
		f = p.active(g)
	}
	p.capacity(g, f)
	if strings.Contains(g.HealthCheckType, "ELB") && len(g.Members) > 0 {
		p.in(checkEvery)
	}
}

// member sees what became of an instance.
func (p *pass) member(g *group, m *member) {
	i, exists := p.servers.Instance(g.Account, g.Region, m.ID)
	dead := !exists || i.State == "terminated"
	switch {
	case m.leaving() && dead:
		delete(g.Members, m.ID)
		g.note("Terminating EC2 instance: "+m.ID, "", "Successful", "", p.now)
		p.dirty = true
	case m.leaving() && !m.Ended && !p.now.Before(m.Gone):
		p.servers.TerminateForGroup(g.Account, g.Region, m.ID)
		m.Ended, p.dirty = true, true
	case m.leaving():
		if !m.Ended {
			p.at(m.Gone)
		}
	case m.State == pending && i.State == "running":
		m.State, m.Serving, m.Healthy, p.dirty = inService, p.now, true, true
		for _, arn := range g.TargetGroups {
			p.balancers.Register(g.Account, g.Region, arn, m.ID)
		}
	case dead || i.State != "running" && i.State != "pending":
		m.Healthy = false
		p.retire(g, m, "an EC2 health check indicating it has been terminated or stopped")
	case m.State == inService && p.health[m.ID] == "unhealthy" && !p.now.Before(m.Serving.Add(p.env.Scale(time.Duration(g.Grace)*time.Second))):
		m.Healthy = false
		p.retire(g, m, "an ELB system health check failure")
	}
}

// retire lets the instance drain, and then end.
func (p *pass) retire(g *group, m *member, why string) {
	m.State, m.Gone, p.dirty = terminating, p.now, true
	for _, arn := range g.TargetGroups {
		if ends := p.balancers.Deregister(g.Account, g.Region, arn, m.ID); ends.After(m.Gone) {
			m.Gone = ends
		}
	}
	i, exists := p.servers.Instance(g.Account, g.Region, m.ID)
	if !exists || i.State != "running" { // nothing there that could drain
		m.Gone = p.now
	}
	if !exists || i.State == "terminated" {
		p.at(p.now) // nobody will tell of its end
	}
	g.note("Terminating EC2 instance: "+m.ID, "an instance was taken out of service in response to "+why, "InProgress", "", p.now)
	if m.Gone.After(p.now) {
		p.at(m.Gone)
		return
	}
	p.servers.TerminateForGroup(g.Account, g.Region, m.ID)
	m.Ended = true
}

// staying counts the instances that do not leave.
func (g *group) staying() int {
	n := 0
	for _, m := range g.Members {
		if !m.leaving() && m.State != standby {
			n++
		}
	}
	return n
}

// capacity launches what is missing and ends what is too much. A refresh ends what it replaces itself.
func (p *pass) capacity(g *group, f *refresh) {
	for missing := g.Desired - g.staying(); missing > 0; missing-- {
		if !p.launch(g, f) {
			return
		}
	}
	excess := g.staying() - g.Desired
	if excess <= 0 || f != nil && f.Status != cancelling && !g.Deleting {
		return
	}
	for _, m := range g.leavers() {
		if excess == 0 {
			return
		}
		p.retire(g, m, "a difference between desired and actual capacity")
		excess--
	}
}

// leavers are the instances that may be scaled in, in the order of the default termination policy: those from other templates than
// the group's first, then the oldest.
func (g *group) leavers() []*member {
	var list []*member
	for _, m := range g.inOrder() {
		if !m.leaving() && (!m.Protected || g.Deleting) {
			list = append(list, m)
		}
	}
	own := func(m *member) int {
		if m.Template.ID == g.Template.ID && m.Template.Version == g.Template.Version {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b *member) int { return cmp.Compare(own(a), own(b)) })
	return list
}

// launch launches one instance in the zone that has the fewest; false if EC2 refuses.
func (p *pass) launch(g *group, f *refresh) bool {
	if p.now.Before(g.RetryAt) {
		p.at(g.RetryAt)
		return false
	}
	from := g.Template
	if f != nil && f.Status != cancelling {
		from = f.Target
	}
	version, err := p.servers.TemplateVersion(g.Account, g.Region, from.ID, "", from.Version)
	if err == nil {
		err = p.launchFrom(g, version)
	}
	if err != nil {
		g.RetryAt, p.dirty = p.now.Add(p.env.Scale(retryAfter)), true
		g.note("Launching a new EC2 instance.  Status Reason: "+api.AsError(err).Message, "", "Failed", api.AsError(err).Message, p.now)
		p.at(g.RetryAt)
		return false
	}
	p.dirty = true
	return true
}

func (p *pass) launchFrom(g *group, version ec2.TemplateVersion) error {
	g.LaunchedCount++
	launch := ec2.GroupLaunch{
		Account: g.Account, Region: g.Region, Group: g.Name, TemplateID: version.ID, Version: strconv.Itoa(version.Number),
		Token: strings.Split(g.ARN, ":")[6] + "-" + strconv.Itoa(g.LaunchedCount), Tags: map[string]string{},
	}
	if g.Mixed != nil && len(g.Mixed.LaunchTemplate.Overrides) > 0 {
		launch.InstanceType = g.Mixed.LaunchTemplate.Overrides[0].InstanceType
	}
	for key, tag := range g.Tags {
		if tag.Propagate {
			launch.Tags[key] = tag.Value
		}
	}
	launch.SubnetID, launch.Zone = p.place(g)
	id, err := p.servers.LaunchForGroup(launch)
	if err != nil {
		return err
	}
	p.take(g, id, template{version.ID, version.Name, strconv.Itoa(version.Number)})
	g.note("Launching a new EC2 instance: "+id, "", "Successful", "", p.now)
	return nil
}

// take makes the instance a member.
func (p *pass) take(g *group, id string, from template) {
	i, _ := p.servers.Instance(g.Account, g.Region, id)
	g.Members[id] = &member{ID: id, Zone: i.Zone, Type: i.Type, ImageID: i.ImageID, Template: from, State: pending, Healthy: true, Protected: g.NewProtected, Launched: p.now}
}

// place is the subnet, or the zone, that has the fewest of the group's instances.
func (p *pass) place(g *group) (subnet, zone string) {
	count := map[string]int{}
	for _, m := range g.Members {
		if !m.leaving() {
			count[m.Zone]++
		}
	}
	fewest := func(a, b string) int { return cmp.Compare(count[a], count[b]) }
	if len(g.Subnets) == 0 {
		return "", slices.MinFunc(g.Zones, fewest)
	}
	zoneOf := func(id string) string {
		zone, _ := p.servers.SubnetZone(g.Account, g.Region, id)
		return zone
	}
	return slices.MinFunc(g.Subnets, func(a, b string) int { return fewest(zoneOf(a), zoneOf(b)) }), ""
}

// adopt takes in the instances that were launched for a group, but not noted before a kill.
func (s *Service) adopt() {
	all := s.servers.Inspect().Instances
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &pass{Service: s, now: time.Now()}
	for _, i := range all {
		g, ok := s.groups.Get(groupKey(i.Account, i.Region, i.Tags[ec2.GroupTag]))
		if !ok || i.State == "terminated" || i.State == "shutting-down" || g.Members[i.ID] != nil {
			continue
		}
		p.take(g, i.ID, template{i.Tags["aws:ec2launchtemplate:id"], "", i.Tags["aws:ec2launchtemplate:version"]})
		s.groups.Put(g.key(), g)
	}
}
