package sim

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/localaws/dynamodb"
)

// slots is what the ledger's two slots of each ordinal of a fleet hold, as they were last written.
type slots struct {
	holders, seconds map[string]ledger.Server // by sort key without its prefix
}

// watchSlots looks at a change of a server's slot:
//
//   - a holder that lives gives its ordinal up only to a successor that stood in the second slot and had passed;
//   - what lives leaves a second slot only as the holder;
//   - there are no more successors than the rollout may launch, and no fewer servers serve than it promised;
//   - nobody is rolled past a gate that fails.
func (s *schedule) watchSlots(c dynamodb.Change) {
	key, sort := text(c.Old, "pk")+text(c.New, "pk"), text(c.New, "sk")
	if c.Old != nil {
		key, sort = text(c.Old, "pk"), text(c.Old, "sk")
	}
	holder := strings.HasPrefix(sort, "s#")
	if !strings.HasPrefix(key, "fleet#") || !holder && !strings.HasPrefix(sort, "second#") {
		return
	}
	if w := s.plan.wheel; w != nil && w.group != nil && key == "fleet#"+wheelName {
		return // AWS chooses which of the group's instances go
	}
	s.mu.Lock()
	if s.slots == nil {
		s.slots = map[string]*slots{}
	}
	fleet := s.slots[key]
	if fleet == nil {
		fleet = &slots{map[string]ledger.Server{}, map[string]ledger.Server{}}
		s.slots[key] = fleet
	}
	_, ordinal, _ := strings.Cut(sort, "#")
	was, is := document[ledger.Server](c.Old), document[ledger.Server](c.New)
	if _, known := s.held[is.InstanceID]; !known {
		s.held[is.InstanceID] = s.now()
	}
	second, first := fleet.seconds[ordinal], fleet.holders[ordinal]
	if holder {
		fleet.holders[ordinal] = is
	} else {
		fleet.seconds[ordinal] = is
	}
	s.mu.Unlock()
	changed := was.InstanceID != "" && was.InstanceID != is.InstanceID && s.lives(was.InstanceID)
	switch {
	case holder && changed && s.plan.givenBack(is):
	case holder && changed && (second.InstanceID != is.InstanceID || second.State != ledger.Healthy):
		s.violate("ordinal %d of %s went from %s, which lives, to %q, which had not passed", was.Ordinal, was.Fleet, was.InstanceID, is.InstanceID)
	case !holder && changed && first.InstanceID != was.InstanceID:
		s.violate("%s, which lives, left the second slot of ordinal %d of %s to %q", was.InstanceID, was.Ordinal, was.Fleet, is.InstanceID)
	}
	if w := s.plan.wheel; w != nil && key == "fleet#"+wheelName && s.rollsNow() {
		s.watchWheel(w, fleet)
	}
}

// rollsNow: the wheel's rollout owns it.
func (s *schedule) rollsNow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rolls
}

// base is how many servers served, and ran the second version, when the rollout came to own the fleet.
type base struct{ serving, rolled int }

// baseOf counts; the caller holds the lock.
func (s *schedule) baseOf(key string) (b base) {
	fleet := s.slots[key]
	if fleet == nil {
		return b
	}
	for _, holder := range fleet.holders {
		if serves(holder) && !s.killed[holder.InstanceID] {
			b.serving++
		}
		if holder.Image == wheelName+"@2" {
			b.rolled++
		}
	}
	return b
}

// serves: nobody took it out, as far as the ledger knows.
func serves(holder ledger.Server) bool {
	return holder.State == ledger.Healthy || holder.State == ledger.Launched && holder.InstanceID != ""
}

// watchWheel counts.
func (s *schedule) watchWheel(w *wheel, fleet *slots) {
	s.mu.Lock()
	successors, rolled, base := 0, 0, s.base
	var serving []string
	for _, second := range fleet.seconds {
		if second.InstanceID != "" && second.State != ledger.Leaving {
			successors++
		}
	}
	for _, holder := range fleet.holders {
		if serves(holder) {
			serving = append(serving, holder.InstanceID)
		}
		if holder.Image == wheelName+"@2" {
			rolled++
		}
	}
	killed := maps.Clone(s.killed)
	s.mu.Unlock()
	n := 0
	for _, id := range serving {
		if killed[id] || s.lives(id) {
			n++
		}
	}
	share := float64(n-(base.serving-w.spare)) / float64(max(base.serving, 1))
	s.mu.Lock()
	if s.result.Rollouts == 0 || share < s.result.Floor {
		s.result.Floor = share
	}
	s.result.Rollouts = 1
	s.mu.Unlock()
	switch {
	case successors > max(w.surge, w.spare):
		s.violate("%d successors at a time, %d servers more and %d fewer may be", successors, w.surge, w.spare)
	case share < 0:
		s.violate("%d servers of %d serve while %d may be missing", n, base.serving, w.spare)
	case w.roll.mustFail && rolled > base.rolled+w.first:
		s.violate("%d servers were rolled, though the gate after the first %d fails", rolled, w.first)
	}
}

// watchEnding sees that EC2 is asked to end or stop no server that holds an ordinal and serves.
func (s *schedule) watchEnding(action string, ids []string, call string) {
	if action != "TerminateInstances" && action != "StopInstances" {
		return
	}
	s.mu.Lock()
	doomed := ""
	for key, fleet := range s.slots {
		for _, holder := range fleet.holders {
			for _, id := range ids {
				if id == holder.InstanceID && (holder.State == ledger.Healthy || holder.State == ledger.Parked && action == "TerminateInstances") {
					doomed = id + ", which holds an ordinal of " + key
				}
			}
		}
	}
	s.mu.Unlock()
	if doomed != "" {
		s.violate("%s of %s", call, doomed)
	}
}

// rolledAny: no gate is asked of a rollout that finds nothing to roll, since others launched or terminated what there was.
func (e *end) rolledAny(w *wish) bool {
	if e.plan.wheel == nil || w != e.plan.wheel.roll || e.plan.wheel.sort != meeting {
		return true
	}
	result := rollResult(e.ended[w.id])
	return !result.Rolled.Empty()
}

// rollResult is what a rollout told.
func rollResult(job *jobs.Job) (result rollout.Result) {
	if len(job.Result) > 0 {
		if err := json.Unmarshal(job.Result, &result); err != nil {
			panic("a rollout's result cannot be read: " + err.Error())
		}
	}
	return result
}

// judgeWheel: a rollout that succeeded leaves one image, one that was rolled back the other, and second slots are empty.
func (e *end) judgeWheel() {
	for name, seconds := range e.seconds {
		if len(seconds) > 0 {
			e.violate("the fleet %s still names %+v in second slots", name, seconds)
		}
	}
	w := e.plan.wheel
	if w == nil || w.roll.id == "" {
		return
	}
	job := e.ended[w.roll.id]
	result := rollResult(job)
	want := ""
	switch {
	case job.State == jobs.Succeeded:
		want = wheelName + "@2"
	case result.RolledBack != "" && job.State == jobs.Failed:
		want = wheelName + "@1"
	}
	if fleet, known := e.fleets[wheelName]; known && want != "" && fleet.Image != want && !w.joined {
		e.violate("%s %s, and the fleet's image is %s, want %s", job.ID, job.State, fleet.Image, want)
	}
	e.judgeRoots()
	e.judgeEstate(w)
	if w.joined {
		return
	}
	for _, server := range e.servers[wheelName] {
		if want != "" && server.Image != want && !result.Failed.Has(server.Ordinal) {
			e.violate("%s %s, and ordinal %d runs %s", job.ID, job.State, server.Ordinal, server.Image)
		}
	}
}
