package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
)

// expectedFleet is what a fleet is after the last round of its jobs.
type expectedFleet struct {
	ordinals ordinals.Set
	round    []*request
}

// trial is the judge at work: the world, what was asked for, and what is found.
type trial struct {
	*world
	requests map[string]*request
	bakes    map[string]*request // those that a Restamp asked for, too
	fleets   map[string]expectedFleet
	found    []finding
}

// judge compares the world, after all has settled, with what was asked for and how it ended. Whatever the ledger says is
// checked against EC2, never the other way round.
func judge(w *world, requests []*request, fleets map[string]expectedFleet) []finding {
	t := &trial{world: w, requests: map[string]*request{}, fleets: fleets}
	for _, r := range requests {
		t.requests[r.id] = r
	}
	t.bakes = t.allBakes()
	t.judgeJobs()
	t.judgeQueues()
	t.judgeFleets()
	t.judgeTokens()
	t.judgeInstances()
	t.judgeStorage()
	t.judgeBakes()
	t.judgeLines()
	slices.SortStableFunc(t.found, func(a, b finding) int { return cmp.Compare(a.class, b.class) })
	return t.found
}

func (t *trial) find(class class, job, format string, args ...any) {
	t.found = append(t.found, finding{class: class, what: fmt.Sprintf(format, args...), job: job})
}

// judgeJobs: every accepted job has ended, as it may; and there are no others.
func (t *trial) judgeJobs() {
	for _, id := range sorted(t.requests) {
		r, job := t.requests[id], t.jobs[id]
		switch {
		case job == nil:
			t.find(lost, id, "it was accepted and is not in the jobs table")
		case !job.Finished():
			t.find(lost, id, "it was accepted and has not ended")
		case job.State == succeeded && r.fails:
			t.find(wrong, id, "it succeeded although its verify fails")
		case job.State == failed && !r.fails && r.kind != "Terminate" && !r.mayLackItsFleet():
			t.find(wrong, id, "it failed although nothing was wrong with it: %s", job.Failure)
		case job.State == cancelled && !r.cancelled[job.Run]:
			t.find(wrong, id, "run %d was cancelled although nobody asked for it", job.Run)
		}
	}
	for _, id := range sorted(t.jobs) {
		job := t.jobs[id]
		switch {
		case job.Parent != nil && !job.Finished():
			t.find(lost, id, "a child of %s has not ended", job.Parent.ID)
		case job.Parent == nil && t.requests[id] == nil:
			t.find(doubled, id, "nobody asked for this job")
		}
	}
}

// judgeQueues: what messages are left will die, and none is among the dead letters.
func (t *trial) judgeQueues() {
	for _, m := range t.messages {
		switch {
		case m.Queue == queue.Name(prefix, queue.DeadLetters):
			t.find(wrong, "", "dead letter, because %s: %s", m.Attributes[queue.AttributeReason], m.Body)
		case !t.dies(m):
			t.find(wrong, "", "%s has a message that is still to be carried out: %s", m.Queue, m.Body)
		case t.at.Sub(m.VisibleAt) > takenWithin:
			t.find(wrong, "", "%s has a message that nobody takes since %s: %s", m.Queue, m.VisibleAt.Format(time.TimeOnly), m.Body)
		}
	}
}

// takenWithin is how long a message may be visible: workers poll all the time, those of the quietest lane now and then.
const takenWithin = 30 * time.Second

// dies: whoever receives the message deletes it, as its job is over. It may be delayed for minutes, behind a child's end.
func (w *world) dies(m sqs.Held) bool {
	if m.Queue == queue.Name(prefix, queue.DeadLetters) {
		return true // nobody receives it
	}
	message, err := jobs.ParseMessage([]byte(m.Body))
	if err != nil {
		return false
	}
	job := w.jobs[message.JobID(m.ID)]
	if job == nil {
		return message.Type == jobs.Wake || message.Type == jobs.Nudge
	}
	return job.Finished() && (message.Type != jobs.Reopen || message.Run != job.Run)
}

// judgeFleets: each fleet has the servers that its jobs say, one an ordinal, and the ledger names them.
func (t *trial) judgeFleets() {
	for _, fleet := range sorted(t.fleets) {
		expected, has := t.fleets[fleet], holders(t.Instances, fleet)
		job := ""
		if len(expected.round) > 0 {
			job = expected.round[len(expected.round)-1].id
		}
		if missing, more := expected.ordinals.Minus(has.ordinals()), has.ordinals().Minus(expected.ordinals); !missing.Empty() || !more.Empty() {
			t.find(wrong, job, "%s has %d servers, expected %d; missing: %s; too many: %s", fleet, has.ordinals().Len(), expected.ordinals.Len(), orNone(missing), orNone(more))
		}
		for _, ordinal := range slices.Sorted(maps.Keys(has)) {
			if len(has[ordinal]) > 1 {
				t.find(doubled, has[ordinal][0].Tags[jobs.TagJob], "ordinal %d of %s has %d servers: %s", ordinal, fleet, len(has[ordinal]), ids(has[ordinal]))
			}
		}
		t.judgeLedger(fleet, has)
		t.judgeRolled(fleet, expected.round, has)
	}
}

// judgeRolled: no rollout leaves a successor or a predecessor in a second slot, and one that succeeded leaves one image.
func (t *trial) judgeRolled(fleet string, round []*request, has held) {
	for _, second := range t.seconds[fleet] {
		t.find(wrong, second.Job, "%s still stands in the second slot of ordinal %d of %s", second.InstanceID, second.Ordinal, fleet)
	}
	if len(round) != 1 || round[0].change.roll != byRollout || round[0].last() != succeeded {
		return
	}
	amis := map[string]bool{}
	for _, servers := range has {
		for _, i := range servers {
			amis[i.ImageID] = true
		}
	}
	if len(amis) > 1 {
		t.find(wrong, round[0].id, "%s was rolled, and its servers run %s", fleet, strings.Join(sorted(amis), " and "))
	}
}

func (t *trial) judgeLedger(fleet string, has held) {
	named := map[int]ledger.Server{}
	for _, server := range t.servers[fleet] {
		named[server.Ordinal] = server
		if !slices.ContainsFunc(has[server.Ordinal], func(i ec2.Instance) bool { return i.ID == server.InstanceID }) {
			t.find(wrong, server.Job, "the ledger says that %s holds ordinal %d of %s; EC2 has %s", server.InstanceID, server.Ordinal, fleet, ids(has[server.Ordinal]))
		}
	}
	for _, ordinal := range slices.Sorted(maps.Keys(has)) {
		for _, i := range has[ordinal] {
			server, known := named[ordinal]
			switch {
			case !known || server.InstanceID != i.ID:
				t.find(orphaned, i.Tags[jobs.TagJob], "%s (ordinal %d of %s) is in no ledger", i.ID, ordinal, fleet)
			case server.AMI != i.ImageID:
				t.find(wrong, server.Job, "%s runs %s, the ledger says %s", i.ID, i.ImageID, server.AMI)
			}
		}
	}
}

// judgeTokens: no call's server stands twice.
func (t *trial) judgeTokens() {
	seen := map[string]string{}
	for _, i := range t.Instances {
		if !stands(i) || i.ClientToken == "" {
			continue
		}
		key := fmt.Sprintf("%s, launch index %d", i.ClientToken, i.LaunchIndex)
		if other, twice := seen[key]; twice {
			t.find(doubled, i.Tags[jobs.TagJob], "%s and %s are both of token %s", other, i.ID, key)
		}
		seen[key] = i.ID
	}
}

// judgeInstances: nothing stands but servers of fleets.
func (t *trial) judgeInstances() {
	for _, i := range t.Instances {
		if i.State == "shutting-down" {
			t.find(orphaned, i.Tags[jobs.TagJob], "%s is shutting down for ever", i.ID)
		}
		if !stands(i) {
			continue
		}
		if _, known := t.fleets[i.Tags[launch.TagFleet]]; !known {
			t.find(t.leftover(i.Tags), i.Tags[jobs.TagJob], "%s (%s) is %s and belongs to no fleet", i.ID, i.Tags[jobs.TagThing], i.State)
		}
	}
}

// leftover is the class of what should not be there: what a failed or cancelled bake left contradicts how it ended.
func (t *trial) leftover(tags map[string]string) class {
	if t.bakes[tags[jobs.TagJob]] != nil {
		return wrong
	}
	return orphaned
}

// judgeStorage: snapshots belong to AMIs, volumes to servers that stand.
func (t *trial) judgeStorage() {
	used, standing := map[string]bool{}, map[string]bool{}
	for _, image := range t.Images {
		for _, id := range image.Snapshots {
			used[id] = true
		}
	}
	for _, i := range t.Instances {
		standing[i.ID] = stands(i)
	}
	for _, s := range t.Snapshots {
		if !used[s.ID] {
			t.find(t.leftover(s.Tags), s.Tags[jobs.TagJob], "the snapshot %s in %s belongs to no AMI", s.ID, s.Region)
		}
	}
	for _, v := range t.Volumes {
		if !standing[v.InstanceID] {
			t.find(t.leftover(v.Tags), v.Tags[jobs.TagJob], "the volume %s in %s (%s) belongs to no server", v.ID, v.Region, v.State)
		}
	}
}

func ids(instances []ec2.Instance) string {
	if len(instances) == 0 {
		return "none"
	}
	var all []string
	for _, i := range instances {
		all = append(all, i.ID)
	}
	return strings.Join(all, ", ")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
