package autoscaling

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// States of an instance refresh.
const (
	refreshPending     = "Pending"
	inProgress         = "InProgress"
	baking             = "Baking"
	successful         = "Successful"
	failed             = "Failed"
	cancelling         = "Cancelling"
	cancelled          = "Cancelled"
	rollbackInProgress = "RollbackInProgress"
	rollbackSuccessful = "RollbackSuccessful"
	rollbackFailed     = "RollbackFailed"
)

// refresh is an instance refresh.
type refresh struct {
	Group         string // its key
	Number        int
	ID            string
	Status        string
	Reason        string `json:",omitempty"`
	Preferences   preferences
	Desired       *desiredShape `json:",omitempty"`
	Target        template      // what instances are launched from; the version is a number
	Previous      template      // what the group used before, as it was said
	Start, End    time.Time
	phase                   // of the refresh, or of its rollback
	Rollback      *phase    `json:",omitempty"` // the refresh's own phase, once it is rolled back
	RollbackStart time.Time `json:",omitzero"`
	RollbackWhy   string    `json:",omitempty"`
}

// phase is the replacement of a set of instances.
type phase struct {
	Total      int // instances to replace
	Matching   int // instances that skip matching left alone when it began: checkpoints count them as new
	Done       int // replaced, healthy and warm
	Checkpoint int // how many checkpoints were passed
	// Until is when a checkpoint's delay or the bake time ends.
	Until time.Time `json:",omitzero"`
	// Moved is when something last went on: an hour without ends the refresh.
	Moved time.Time
}

func (f *refresh) key() string { return fmt.Sprintf("%s/%06d", f.Group, f.Number) }

func (f *refresh) over() bool {
	return slices.Contains([]string{successful, failed, cancelled, rollbackSuccessful, rollbackFailed}, f.Status)
}

// preferences are a refresh's, as they were given.
type preferences struct {
	Min          *int      `query:"MinHealthyPercentage" xml:"MinHealthyPercentage,omitempty" json:",omitempty"`
	Max          *int      `query:"MaxHealthyPercentage" xml:"MaxHealthyPercentage,omitempty" json:",omitempty"`
	Warmup       *int      `query:"InstanceWarmup" xml:"InstanceWarmup,omitempty" json:",omitempty"`
	Checkpoints  []int     `query:"CheckpointPercentages.member" xml:"CheckpointPercentages>member" json:",omitempty"`
	Delay        *int      `query:"CheckpointDelay" xml:"CheckpointDelay,omitempty" json:",omitempty"`
	SkipMatching *bool     `query:"SkipMatching" xml:"SkipMatching,omitempty" json:",omitempty"`
	AutoRollback *bool     `query:"AutoRollback" xml:"AutoRollback,omitempty" json:",omitempty"`
	Protected    string    `query:"ScaleInProtectedInstances" xml:"ScaleInProtectedInstances,omitempty" json:",omitempty"`
	Standby      string    `query:"StandbyInstances" xml:"StandbyInstances,omitempty" json:",omitempty"`
	Alarms       *alarmSet `query:"AlarmSpecification" xml:"AlarmSpecification,omitempty" json:",omitempty"`
	BakeTime     *int      `query:"BakeTime" xml:"BakeTime,omitempty" json:",omitempty"`
}

type alarmSet struct {
	Names []string `query:"Alarms.member" xml:"Alarms>member"`
}

type desiredShape struct {
	Template *templateShape `query:"LaunchTemplate" xml:"LaunchTemplate,omitempty" json:",omitempty"`
	Mixed    *mixedPolicy   `query:"MixedInstancesPolicy" xml:"MixedInstancesPolicy,omitempty" json:",omitempty"`
}

// template is the desired configuration's launch template.
func (d *desiredShape) template() *templateShape {
	switch {
	case d == nil:
		return nil
	case d.Mixed != nil:
		return &d.Mixed.LaunchTemplate.Specification
	}
	return d.Template
}

func (p *preferences) check() error {
	if err := checkPercentages(p.Min, p.Max); err != nil {
		return err
	}
	if p.Delay != nil && len(p.Checkpoints) == 0 {
		return invalid("CheckpointDelay cannot be specified without CheckpointPercentages")
	}
	last := 0
	for _, percent := range p.Checkpoints {
		if percent <= last || percent > 100 {
			return invalid("CheckpointPercentages must be unique, in ascending order and from 1 to 100")
		}
		last = percent
	}
	for name, bound := range map[string]struct {
		value *int
		most  int
	}{"CheckpointDelay": {p.Delay, 172800}, "BakeTime": {p.BakeTime, 172800}, "InstanceWarmup": {p.Warmup, 172800}} {
		if bound.value != nil && (*bound.value < 0 || *bound.value > bound.most) {
			return invalid("%s %d: expected 0 to %d", name, *bound.value, bound.most)
		}
	}
	if p.Protected != "" && !slices.Contains([]string{"Refresh", "Ignore", "Wait"}, p.Protected) {
		return invalid("Invalid value '%s' for ScaleInProtectedInstances: expected Refresh, Ignore or Wait", p.Protected)
	}
	if p.Standby != "" && !slices.Contains([]string{"Terminate", "Ignore", "Wait"}, p.Standby) {
		return invalid("Invalid value '%s' for StandbyInstances: expected Terminate, Ignore or Wait", p.Standby)
	}
	if p.Alarms != nil && (len(p.Alarms.Names) == 0 || len(p.Alarms.Names) > 10) {
		return invalid("AlarmSpecification takes 1 to 10 alarms")
	}
	return nil
}

type startInput struct {
	Name        string        `query:"AutoScalingGroupName"`
	Strategy    string        `query:"Strategy"`
	Desired     *desiredShape `query:"DesiredConfiguration"`
	Preferences preferences   `query:"Preferences"`
}

type refreshID struct {
	InstanceRefreshID string `xml:"InstanceRefreshId"`
}

func (s *Service) startRefresh(r *api.Request, in *startInput) (any, error) {
	g, err := s.find(r, in.Name)
	if err != nil {
		return nil, err
	}
	if in.Strategy != "" && in.Strategy != "Rolling" {
		return nil, invalid("Strategy '%s': this endpoint serves Rolling", in.Strategy)
	}
	if err := in.Preferences.check(); err != nil {
		return nil, err
	}
	said := g.Template
	if shape := in.Desired.template(); shape != nil {
		if said, err = s.resolve(g.Account, g.Region, *shape); err != nil {
			return nil, err
		}
	}
	target, err := s.pin(g, said)
	if err != nil {
		return nil, err
	}
	if isTrue(in.Preferences.AutoRollback) {
		if err := s.reversible(g, in.Desired, said); err != nil {
			return nil, invalid("AutoRollback cannot be enabled: %s", err)
		}
	}
	if s.active(g) != nil {
		return nil, api.Errorf("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	}
	now := time.Now()
	g.Refreshes++
	f := &refresh{
		Group: g.key(), Number: g.Refreshes, ID: api.UUID(s.env.Rand("autoscaling-refresh", g.key())), Status: refreshPending,
		Preferences: in.Preferences, Desired: in.Desired, Target: target, Previous: g.Template, Start: now,
	}
	f.Moved = now
	for _, m := range g.Members {
		switch {
		case f.concerns(m):
			f.Total++
		case !m.leaving() && m.State != standby && f.matches(m):
			f.Matching++
		}
	}
	s.refreshes.Put(f.key(), f)
	s.groups.Put(g.key(), g)
	s.soon()
	return refreshID{f.ID}, nil
}

// pin gives the template with its version as a number.
func (s *Service) pin(g *group, said template) (template, error) {
	found, err := s.servers.TemplateVersion(g.Account, g.Region, said.ID, "", said.Version)
	if err != nil {
		return template{}, invalid("You must use a valid fully-formed launch template. %s", api.AsError(err).Message)
	}
	return template{ID: found.ID, Name: found.Name, Version: fmt.Sprint(found.Number)}, nil
}

// reversible says why AWS could not roll such a refresh back; nil if it can.
func (s *Service) reversible(g *group, desired *desiredShape, said template) error {
	if desired.template() == nil {
		return fmt.Errorf("the instance refresh has no desired configuration")
	}
	for _, t := range []template{g.Template, said} {
		if strings.HasPrefix(t.Version, "$") {
			return fmt.Errorf("the launch template's version is %s", t.Version)
		}
		found, err := s.servers.TemplateVersion(g.Account, g.Region, t.ID, "", t.Version)
		if err != nil {
			return err
		}
		if strings.HasPrefix(found.ImageID, "resolve:ssm:") {
			return fmt.Errorf("the launch template's image is a Systems Manager parameter")
		}
	}
	return nil
}

// concerns says whether the refresh, or its rollback, has to replace the instance.
func (f *refresh) concerns(m *member) bool {
	since := f.Start
	switch {
	case m.leaving():
		return false
	case f.Status == rollbackInProgress:
		// What the refresh launched goes; what the rollback launched stays.
		return !m.Launched.Before(f.Start) && m.Launched.Before(f.RollbackStart)
	case !m.Launched.Before(since):
		return false
	case f.matches(m):
		return false
	case m.State == standby && f.Preferences.Standby == "Ignore", m.Protected && f.Preferences.Protected == "Ignore":
		return false
	}
	return true
}

// matches says whether skip matching leaves the instance alone.
func (f *refresh) matches(m *member) bool {
	return isTrue(f.Preferences.SkipMatching) && m.Template.ID == f.Target.ID && m.Template.Version == f.Target.Version
}

func isTrue(b *bool) bool { return b != nil && *b }

type refreshInput struct {
	Name string `query:"AutoScalingGroupName"`
	Wait *bool  `query:"WaitForTransitioningInstances"`
}

func (s *Service) cancelRefresh(r *api.Request, in *refreshInput) (any, error) {
	g, err := s.find(r, in.Name)
	if err != nil {
		return nil, err
	}
	f := s.active(g)
	if f == nil {
		return nil, noActive(g)
	}
	if f.Status == refreshPending || in.Wait != nil && !*in.Wait {
		s.end(f, cancelled, "Cancelled due to user request.")
	} else if f.Status != cancelling {
		f.Status, f.Reason, f.Until = cancelling, "Cancelling due to user request.", time.Time{}
		s.refreshes.Put(f.key(), f)
	}
	s.soon()
	return refreshID{f.ID}, nil
}

type rollbackInput struct {
	Name string `query:"AutoScalingGroupName"`
}

func (s *Service) rollbackRefresh(r *api.Request, in *rollbackInput) (any, error) {
	g, err := s.find(r, in.Name)
	if err != nil {
		return nil, err
	}
	f := s.active(g)
	switch {
	case f == nil:
		return nil, noActive(g)
	case f.Status == cancelling:
		return nil, api.Errorf("ResourceContention", "You already have a pending update to an Amazon EC2 Auto Scaling resource (for example, an Auto Scaling group, instance, or load balancer).")
	case f.Status == rollbackInProgress:
		return refreshID{f.ID}, nil
	}
	if err := s.reversible(g, f.Desired, f.Target); err != nil {
		return nil, api.Errorf("IrreversibleInstanceRefresh", "The instance refresh cannot be rolled back: %s", err)
	}
	s.rollBack(g, f, "Rolled back due to user request.")
	s.soon()
	return refreshID{f.ID}, nil
}

func noActive(g *group) error {
	return api.Errorf("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", g.Name)
}

// rollBack turns the refresh around: what it launched is replaced from the group's own template.
func (s *Service) rollBack(g *group, f *refresh, why string) {
	forward := f.phase
	now := time.Now()
	f.Rollback, f.RollbackStart, f.RollbackWhy = &forward, now, why
	f.Status, f.Reason, f.phase = rollbackInProgress, "", phase{Moved: now}
	if pinned, err := s.pin(g, f.Previous); err == nil {
		f.Target = pinned
	}
	for _, m := range g.Members {
		if f.concerns(m) {
			f.Total++
		}
	}
	s.refreshes.Put(f.key(), f)
}

// end closes the refresh.
func (s *Service) end(f *refresh, status, reason string) {
	f.Status, f.Reason, f.End, f.Until = status, reason, time.Now(), time.Time{}
	s.refreshes.Put(f.key(), f)
}

// refreshesOf are the group's refreshes, oldest first.
func (s *Service) refreshesOf(g *group) []*refresh {
	var list []*refresh
	for n := max(1, g.Refreshes-99); n <= g.Refreshes; n++ {
		if f, ok := s.refreshes.Get((&refresh{Group: g.key(), Number: n}).key()); ok {
			list = append(list, f)
		}
	}
	return list
}

// last is the group's newest refresh, or nil.
func (s *Service) last(g *group) *refresh {
	f, _ := s.refreshes.Get((&refresh{Group: g.key(), Number: g.Refreshes}).key())
	return f
}

// active is the refresh that is under way, or nil.
func (s *Service) active(g *group) *refresh {
	if f := s.last(g); f != nil && !f.over() {
		return f
	}
	return nil
}
