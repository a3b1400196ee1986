package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/policy"
	"github.com/stampmill/stampmill/internal/localaws/dynamodb"
)

const (
	healer = "kind: Policy\nname: heal-all\nspec: {when: {every: 2m}, do: {heal: {all: true}}}\n"
	// healed is by when a fleet whose launches kept failing in the storm is tried once more and whole.
	healed = 20 * time.Hour
)

// drawHealing lets workers heal all fleets in some schedules, and servers die in them.
func (p *plan) drawHealing(d dice) {
	r := d.at("healing")
	if !r.chance(0.35) || p.wheel != nil || p.quarry != nil { // a rollout's servers are counted against its floor: nobody else may kill any
		return
	}
	p.healing(r)
	if len(p.kills) > 0 {
		for _, w := range p.wishes {
			w.mayFail = true
		}
	}
}

// healing draws when the policy is applied, servers die and tick messages are sent.
func (p *plan) healing(r *draw) {
	p.heals = r.between(0, 5*time.Minute) + time.Second
	for range r.IntN(4) {
		p.kills = append(p.kills, r.between(3*time.Minute, 25*time.Minute))
	}
	for range r.IntN(4) {
		p.ticks = append(p.ticks, r.between(0, 25*time.Minute))
	}
	slices.Sort(p.kills)
	slices.Sort(p.ticks)
}

// healing keeps the policy, kills servers and sends tick messages, twice each.
func (s *schedule) healing(ctx context.Context) error {
	var orders []order
	orders = append(orders, order{s.plan.heals, func() error {
		s.tell("the user applies heal-all")
		return s.rig.Apply(ctx, healer, ".")
	}})
	for i, at := range s.plan.kills {
		orders = append(orders, order{at, func() error { return s.kill(s.at("kill", fmt.Sprint(i))) }})
	}
	for _, at := range s.plan.ticks {
		orders = append(orders, order{at, func() error {
			m := &jobs.Message{Type: jobs.Tick, Policy: "heal-all", At: time.Now()}
			for range 2 {
				if err := s.rig.User.Queue.Send(ctx, jobs.LaneNormal, m, 0); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	slices.SortStableFunc(orders, func(a, b order) int { return int(a.at - b.at) })
	for _, o := range orders {
		time.Sleep(max(o.at-s.now(), 0))
		if err := o.do(); err != nil {
			return err
		}
	}
	return nil
}

// kill lets EC2 end one server of a fleet.
func (s *schedule) kill(d *draw) error {
	var ids []string
	for _, i := range s.rig.EC2().Inspect().Instances {
		if i.State == "running" && i.Tags[launch.TagFleet] != "" && !s.foreign[i.ID] {
			ids = append(ids, i.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	id := ids[d.IntN(len(ids))]
	s.tell("EC2 ends %s", id)
	s.mu.Lock()
	s.killed[id] = true
	s.mu.Unlock()
	_, err := s.rig.Endpoint.Control("kill-instance", json.RawMessage(fmt.Sprintf(`{"instance":%q}`, id)))
	return err
}

// heal waits until the policy has made all fleets whole, and forgets it then.
func (s *schedule) heal(ctx context.Context) error {
	book := s.rig.User.Ledger
	for end := time.Now().Add(healed); ; time.Sleep(time.Minute) {
		lacking, err := s.lacking(ctx)
		if err != nil {
			return err
		}
		if lacking == "" {
			break
		}
		if time.Now().After(end) {
			p, _, err := book.Policy(ctx, "heal-all")
			s.violate("not healed: %s; the policy's note is %q (%v)", lacking, p.Note, err)
			break
		}
	}
	return s.forget(ctx, "heal-all")
}

// lacking says which fleet has fewer running servers than it is to have, or is worked on.
func (s *schedule) lacking(ctx context.Context) (string, error) {
	fleets, err := s.rig.User.Ledger.ListFleets(ctx)
	if err != nil {
		return "", err
	}
	for _, f := range fleets {
		servers, err := s.rig.User.Ledger.Servers(ctx, f.Name)
		if err != nil {
			return "", err
		}
		lives := 0
		for _, server := range servers {
			if s.lives(server.InstanceID) {
				lives++
			}
		}
		if f.Owner != "" || len(f.Line) > 0 || len(f.Spec) > 0 && (lives < f.Count || lives < len(servers)) {
			return fmt.Sprintf("%s has %d of %d servers, its owner is %q", f.Name, lives, f.Count, f.Owner), nil
		}
	}
	return "", nil
}

// watchPolicy sees that each write of a policy follows the one that it read, and that no instant is acted on again.
func (s *schedule) watchPolicy(old, new dynamodb.Item) {
	was, is := document[policy.Head](old), document[policy.Head](new)
	if old == nil || was.Incarnation != is.Incarnation {
		return
	}
	if is.Revision != was.Revision+1 {
		s.violate("the policy %s went from revision %d to %d", is.Name, was.Revision, is.Revision)
	}
	if is.Ticked.Before(was.Ticked) {
		s.violate("the policy %s went back from the tick of %s to that of %s", is.Name, was.Ticked, is.Ticked)
	}
	for i, run := range is.Runs {
		for _, other := range is.Runs[:i] {
			for _, sent := range run.Jobs {
				if slices.Contains(other.Jobs, sent) {
					s.violate("the policy %s submitted %s twice", is.Name, sent.Job)
				}
			}
		}
	}
}

// writesPolicy says whether a transaction writes a policy alone, on condition of what was read of it: no job holds policies.
func writesPolicy(body []byte) bool {
	type attribute struct{ S string }
	type action struct {
		Item, Key           map[string]attribute
		ConditionExpression string
	}
	var in struct {
		TransactItems []struct{ Put, Delete *action }
	}
	if json.Unmarshal(body, &in) != nil {
		return false
	}
	conditional := false
	for _, item := range in.TransactItems {
		a := item.Put
		if a == nil {
			a = item.Delete
		}
		if a == nil {
			return false
		}
		pk := a.Item["pk"].S + a.Key["pk"].S
		conditional = conditional || pk == "policies" && a.ConditionExpression != ""
		if pk != "policies" && !strings.HasPrefix(pk, "policy#") {
			return false
		}
	}
	return conditional
}
