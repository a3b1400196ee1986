package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
)

// rolled is a calm world whose fleet was rolled last, and whose newest version came of a Restamp.
func rolled() *scene {
	s := calm()
	s.seconds = map[string][]ledger.Server{}
	roll := &request{id: "rollout-1", kind: "Rollout", name: "fleet", change: change{roll: byRollout}, ended: map[int]jobs.State{1: succeeded}}
	s.job(roll, succeeded, 1)
	s.fleets["fleet"] = expectedFleet{ordinals: s.fleets["fleet"].ordinals, round: []*request{roll}}
	s.job(&request{id: "restamp-1", kind: "Restamp", name: "day", change: change{roll: byRestamp}}, succeeded, 1)
	s.requests = slices.DeleteFunc(s.requests, func(r *request) bool { return r.id == "bake-3" })
	s.jobs["renewal-1"] = &jobs.Job{ID: "renewal-1", Kind: "Renewal", State: succeeded, Parent: &jobs.Parent{ID: "restamp-1"}}
	s.jobs["bake-3"].Parent = &jobs.Parent{ID: "renewal-1"}
	return s
}

func TestAWorldThatWasRolledAndRestampedIsFoundRight(t *testing.T) {
	t.Parallel()
	if found := rolled().judged(); len(found) > 0 {
		t.Error(found)
	}
}

func TestTheDamageOfARollIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		damage string
		class  class
		says   string
		do     func(s *scene)
	}{
		{"a server in a second slot", wrong, "second slot of ordinal 1 of fleet", func(s *scene) {
			s.seconds["fleet"] = []ledger.Server{{Fleet: "fleet", Ordinal: 1, InstanceID: "i-old"}}
		}},
		{"a server that was left out", wrong, "its servers run ami-2 and", func(s *scene) {
			s.Instances[2].ImageID, s.servers["fleet"][2].AMI = "ami-2", "ami-2"
		}},
		{"a rollout that failed for nothing", wrong, "nothing was wrong", func(s *scene) { s.jobs["rollout-1"].State = failed }},
		{"a restamp that never ends", lost, "has not ended", func(s *scene) { s.jobs["restamp-1"].State = jobs.Open }},
		{"a restamp's bake that is not like its line", wrong, "is shared with", func(s *scene) {
			s.Images[slices.IndexFunc(s.Images, ofThird)].Accounts = []string{shareWith}
		}},
		{"a restamp's bake without its AMI", wrong, "has no AMI in " + copyRegion, func(s *scene) {
			s.Images = slices.DeleteFunc(s.Images, func(i ec2.Image) bool { return ofThird(i) && i.Region == copyRegion })
		}},
		{"a failed bake's AMI of a restamp", wrong, "of no bake that succeeded", func(s *scene) { s.jobs["bake-3"].State = failed }},
		{"a bake of nobody's restamp", doubled, "nobody asked", func(s *scene) { s.jobs["bake-3"].Parent = nil }},
	} {
		s := rolled()
		c.do(s)
		if found := s.judged(); !slices.ContainsFunc(found, func(f finding) bool { return f.class == c.class && strings.Contains(f.what, c.says) }) {
			t.Errorf("%s: found %v", c.damage, found)
		}
	}
}

func ofThird(i ec2.Image) bool { return i.Tags[bake.TagVersion] == "web@3" }

func TestARollThatComesBehindATerminationMayFail(t *testing.T) {
	t.Parallel()
	s := rolled()
	s.jobs["rollout-1"].State = failed
	s.requests[slices.IndexFunc(s.requests, func(r *request) bool { return r.id == "rollout-1" })].besideATermination = true
	if found := s.judged(); len(found) > 0 {
		t.Error(found)
	}
}
