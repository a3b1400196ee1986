package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
	"github.com/stampmill/stampmill/internal/stage"
)

// scene is a world in which all is right: a fleet of three servers, a line with a retired and two living versions in two
// regions, a bake that failed as it had to, and a launch that was cancelled.
type scene struct {
	*world
	requests []*request
	fleets   map[string]expectedFleet
}

func calm() *scene {
	s := &scene{world: &world{jobs: map[string]*jobs.Job{}, images: map[string]ledger.Image{}, versions: map[string][]ledger.Version{},
		servers: map[string][]ledger.Server{}, parameters: map[place]string{}, at: time.Now()}, fleets: map[string]expectedFleet{}}
	wish := imageWish{copied: true, keep: 2}
	for n := 1; n <= 3; n++ {
		s.bake(n, wish, n > 1)
	}
	s.images["web"] = ledger.Image{Name: "web", Current: 3, Next: 5}
	for _, region := range wish.regions() {
		s.parameters[place{region, "web"}] = "ami-3-" + region
	}
	s.job(&request{id: "bake-4", kind: bake.Name, name: "web", fails: true, image: wish}, failed, 1)
	s.versions["web"] = append(s.versions["web"], ledger.Version{Image: "web", Number: 4, State: ledger.Abandoned, Job: "bake-4", Run: 1})
	launched := &request{id: "launch-1", kind: launch.KindName, name: "fleet", change: change{count: 3}}
	s.job(launched, succeeded, 2)
	s.job(&request{id: "launch-2", kind: launch.KindName, name: "fleet", change: change{count: 9}, cancelled: map[int]bool{1: true}}, cancelled, 1)
	s.jobs["batch-1"] = &jobs.Job{ID: "batch-1", Kind: launch.BatchKindName, State: succeeded, Parent: &jobs.Parent{ID: "launch-1"}}
	s.fleets["fleet"] = expectedFleet{ordinals: ordinals.Between(0, 2), round: []*request{launched}}
	for n := range 3 {
		id := fmt.Sprintf("i-%d", n)
		s.Instances = append(s.Instances, server(id, n))
		s.Volumes = append(s.Volumes, ec2.Volume{ID: "vol-" + id, State: "in-use", InstanceID: id, Region: stage.Region})
		s.servers["fleet"] = append(s.servers["fleet"], ledger.Server{Fleet: "fleet", Ordinal: n, InstanceID: id, AMI: "ami-3-" + stage.Region, Job: "launch-1"})
	}
	s.message(jobs.Message{Type: jobs.Wake, Job: "bake-2", Run: 1, Seq: 3})
	s.Instances = append(s.Instances, ec2.Instance{ID: "i-builder", State: "terminated", Tags: map[string]string{jobs.TagJob: "bake-3", jobs.TagThing: "builder"}})
	return s
}

// message puts a message that is delayed into a queue.
func (s *scene) message(m jobs.Message) {
	body, err := m.Encode()
	if err != nil {
		panic(err)
	}
	s.messages = append(s.messages, sqs.Held{Queue: "stampmill-wake", Body: string(body), VisibleAt: s.at.Add(time.Minute)})
}

func server(id string, index int) ec2.Instance {
	return ec2.Instance{ID: id, State: "running", Region: stage.Region, ImageID: "ami-3-" + stage.Region, ClientToken: "token", LaunchIndex: index,
		Tags:     map[string]string{launch.TagFleet: "fleet", jobs.TagJob: "launch-1", jobs.TagRun: "2"},
		UserData: []byte(`{% set hostnames = ["fleet-0000","fleet-0001","fleet-0002"] %}`)}
}

func (s *scene) job(r *request, state jobs.State, run int) {
	s.requests = append(s.requests, r)
	s.jobs[r.id] = &jobs.Job{ID: r.id, Kind: r.kind, Name: r.name, State: state, Run: run}
}

func (s *scene) bake(n int, wish imageWish, lives bool) {
	r := &request{id: fmt.Sprintf("bake-%d", n), kind: bake.Name, name: "web", image: wish}
	s.job(r, succeeded, 1)
	v := ledger.Version{Image: "web", Number: n, State: ledger.Retired, Job: r.id, Run: 1, Regions: map[string]ledger.RegionalCopy{}}
	for _, region := range wish.regions() {
		ami, snapshot := fmt.Sprintf("ami-%d-%s", n, region), fmt.Sprintf("snap-%d-%s", n, region)
		v.Regions[region] = ledger.RegionalCopy{AMI: ami}
		if !lives {
			continue
		}
		v.State = ledger.Available
		tags := map[string]string{jobs.TagJob: r.id, jobs.TagRun: "1", bake.TagVersion: fmt.Sprintf("web@%d", n)}
		s.Images = append(s.Images, ec2.Image{ID: ami, Region: region, State: "available", Tags: tags, Snapshots: []string{snapshot}})
		s.Snapshots = append(s.Snapshots, ec2.Snapshot{ID: snapshot, Region: region, Tags: tags})
	}
	s.versions["web"] = append(s.versions["web"], v)
}

func (s *scene) judged() []finding { return judge(s.world, s.requests, s.fleets) }

func TestACalmWorldIsFoundRight(t *testing.T) {
	t.Parallel()
	if found := calm().judged(); len(found) > 0 {
		t.Error(found)
	}
}

func TestEveryDamageIsFound(t *testing.T) {
	t.Parallel()
	bakeTags := func(id string) map[string]string { return map[string]string{jobs.TagJob: id, jobs.TagRun: "1"} }
	for _, c := range []struct {
		damage string
		class  class
		says   string
		do     func(s *scene)
	}{
		{"a job that vanished", lost, "not in the jobs table", func(s *scene) { delete(s.jobs, "launch-1") }},
		{"a job that never ends", lost, "has not ended", func(s *scene) { s.jobs["bake-2"].State = jobs.Open }},
		{"a child that never ends", lost, "child of launch-1", func(s *scene) { s.jobs["batch-1"].State = jobs.Open }},
		{"a job that nobody asked for", doubled, "nobody asked", func(s *scene) { s.jobs["launch-3"] = &jobs.Job{ID: "launch-3", State: succeeded} }},
		{"a failure for nothing", wrong, "nothing was wrong", func(s *scene) { s.jobs["launch-1"].State = failed }},
		{"a success against its verify", wrong, "verify fails", func(s *scene) { s.jobs["bake-4"].State = succeeded }},
		{"a cancel that nobody sent", wrong, "nobody asked for it", func(s *scene) { s.jobs["launch-1"].State = cancelled }},
		{"a message that wakes nobody", wrong, "still to be carried out", func(s *scene) { s.jobs["bake-2"].State = jobs.Open }},
		{"a retry that nobody carried out", wrong, "still to be carried out", func(s *scene) { s.message(jobs.Message{Type: jobs.Reopen, Job: "bake-4", Run: 1}) }},
		{"a message that nobody takes", wrong, "nobody takes", func(s *scene) { s.at = s.at.Add(time.Hour) }},
		{"a dead letter", wrong, "dead letter, because why", func(s *scene) {
			s.messages = append(s.messages, sqs.Held{Queue: "stampmill-dead", Attributes: map[string]string{queue.AttributeReason: "why"}})
		}},
		{"a server too few", wrong, "has 2 servers, expected 3; missing: 1", func(s *scene) { s.Instances[1].State = "terminated" }},
		{"a server too many", wrong, "too many: 2", func(s *scene) { s.fleets["fleet"] = expectedFleet{ordinals: ordinals.Between(0, 1)} }},
		{"an ordinal with two servers", doubled, "ordinal 1 of fleet has 2", func(s *scene) {
			i := server("i-9", 1)
			i.ClientToken = "another"
			s.Instances = append(s.Instances, i)
		}},
		{"a call whose servers stand twice", doubled, "are both of token", func(s *scene) { s.Instances = append(s.Instances, server("i-9", 1)) }},
		{"a server that was told no ordinal", wrong, "too many: -1", func(s *scene) { s.Instances[1].UserData = nil }},
		{"a server in no ledger", orphaned, "is in no ledger", func(s *scene) { s.servers["fleet"] = s.servers["fleet"][1:] }},
		{"a ledger's server that is gone", wrong, "i-77 holds ordinal 0", func(s *scene) { s.servers["fleet"][0].InstanceID = "i-77" }},
		{"a server of another AMI", wrong, "runs ami-0", func(s *scene) { s.Instances[0].ImageID = "ami-0" }},
		{"a builder that is left", wrong, "belongs to no fleet", func(s *scene) { s.Instances[3].State = "running" }},
		{"a server of a fleet that nobody knows", orphaned, "belongs to no fleet", func(s *scene) {
			s.Instances = append(s.Instances, ec2.Instance{ID: "i-9", State: "stopped", Tags: map[string]string{launch.TagFleet: "other"}})
		}},
		{"a server that never ends", orphaned, "shutting down for ever", func(s *scene) { s.Instances[3].State = "shutting-down" }},
		{"a snapshot of no AMI", orphaned, "the snapshot snap-9", func(s *scene) { s.Snapshots = append(s.Snapshots, ec2.Snapshot{ID: "snap-9"}) }},
		{"a failed bake's snapshot", wrong, "the snapshot snap-9", func(s *scene) {
			s.Snapshots = append(s.Snapshots, ec2.Snapshot{ID: "snap-9", Tags: bakeTags("bake-4")})
		}},
		{"a volume of no server", orphaned, "the volume vol-9", func(s *scene) { s.Volumes = append(s.Volumes, ec2.Volume{ID: "vol-9", State: "available"}) }},
		{"a volume of a server that is gone", orphaned, "the volume vol-9", func(s *scene) { s.Volumes = append(s.Volumes, ec2.Volume{ID: "vol-9", InstanceID: "i-builder"}) }},
		{"a failed bake's AMI", wrong, "of no bake that succeeded", func(s *scene) {
			s.Images = append(s.Images, ec2.Image{ID: "ami-9", Region: stage.Region, Tags: bakeTags("bake-4")})
		}},
		{"an AMI of a run before", wrong, "of no bake that succeeded", func(s *scene) { s.jobs["bake-2"].Run = 2 }},
		{"an AMI of no job", orphaned, "of no bake that succeeded", func(s *scene) {
			s.Images = append(s.Images, ec2.Image{ID: "ami-9", Region: stage.Region})
		}},
		{"a bake without its AMI", wrong, "has no AMI in " + copyRegion, func(s *scene) {
			s.Images = slices.DeleteFunc(s.Images, func(i ec2.Image) bool { return i.ID == "ami-2-"+copyRegion })
		}},
		{"a version that went although it had to stay", wrong, "it succeeded and has no AMI", func(s *scene) {
			s.Images = slices.DeleteFunc(s.Images, func(i ec2.Image) bool { return i.Tags[jobs.TagJob] == "bake-2" })
		}},
		{"a bake with two AMIs", doubled, "has 2 AMIs", func(s *scene) {
			s.Images = append(s.Images, ec2.Image{ID: "ami-9", Region: copyRegion, State: "available", Tags: s.Images[0].Tags})
		}},
		{"an AMI where nobody wanted it", wrong, "where nobody wanted it", func(s *scene) {
			s.Images = append(s.Images, ec2.Image{ID: "ami-9", Region: "eu-north-1", State: "available", Tags: s.Images[0].Tags})
		}},
		{"an AMI that is shared", wrong, "is shared with", func(s *scene) { s.Images[0].Accounts = []string{shareWith} }},
		{"an AMI that is not shared", wrong, "is shared with []", func(s *scene) { s.requests[1].image.shared = true }},
		{"an AMI that is not available", wrong, "is pending", func(s *scene) { s.Images[0].State = "pending" }},
		{"a current version that is not the newest", wrong, "the current version of web is 2", func(s *scene) { s.images["web"] = ledger.Image{Current: 2} }},
		{"a parameter of an AMI that is gone", wrong, "the parameter /images/web", func(s *scene) { s.parameters[place{copyRegion, "web"}] = "ami-gone" }},
		{"a catalog that names a missing AMI", wrong, "the catalog says that web@3", func(s *scene) {
			s.versions["web"][2].Regions[copyRegion] = ledger.RegionalCopy{AMI: "ami-gone"}
		}},
		{"a version that is still a candidate", wrong, "web@4 is still candidate", func(s *scene) { s.versions["web"][3].State = ledger.Candidate }},
		{"a retired version's AMI", orphaned, "web@2 is retired", func(s *scene) { s.versions["web"][1].State = ledger.Retired }},
	} {
		s := calm()
		c.do(s)
		if found := s.judged(); !slices.ContainsFunc(found, func(f finding) bool { return f.class == c.class && strings.Contains(f.what, c.says) }) {
			t.Errorf("%s: found %v", c.damage, found)
		}
	}
}

func TestWhatWasMadeTwiceIsFoundThoughOneIsGone(t *testing.T) {
	t.Parallel()
	builder := func(id string) ec2.Instance {
		return ec2.Instance{ID: id, State: "running", Tags: map[string]string{jobs.TagJob: "bake-1", jobs.TagRun: "1", jobs.TagThing: "builder"}}
	}
	batched := func(id string) ec2.Instance {
		i := server(id, 1)
		i.Tags[launch.TagBatch] = "batch"
		return i
	}
	image := func(id string) ec2.Image {
		return ec2.Image{ID: id, Region: stage.Region, Tags: map[string]string{jobs.TagJob: "bake-1", jobs.TagRun: "1", jobs.TagThing: "image"}}
	}
	for name, looks := range map[string][2]ec2.Inspection{
		"builder of bake-1":     {{Instances: []ec2.Instance{builder("i-1")}}, {Instances: []ec2.Instance{builder("i-2")}}},
		"server 1 of batch":     {{Instances: []ec2.Instance{batched("i-1")}}, {Instances: []ec2.Instance{batched("i-2")}}},
		"AMI image of bake-1, ": {{Images: []ec2.Image{image("ami-1")}}, {Images: []ec2.Image{image("ami-2")}}},
	} {
		seen := newSightings()
		seen.note(looks[0])
		seen.note(looks[0])
		if found := seen.doubles(); len(found) > 0 {
			t.Errorf("%s: seen once, found %v", name, found)
		}
		seen.note(looks[1])
		if found := seen.doubles(); len(found) != 1 || !strings.Contains(found[0].what, name) {
			t.Errorf("%s: found %v", name, found)
		}
	}
}
