package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/terminate"
)

// finish waits until all is over, gives the reaper its time, and judges what is left.
func (s *schedule) finish(ctx context.Context, foreign map[string]string) error {
	var ids []string
	for _, w := range s.plan.wishes {
		ids = append(ids, w.id)
	}
	if _, err := s.rig.Wait(ctx, patience, ids...); err != nil {
		s.violate("lost: %v: %s", err, s.unfinished(ctx, ids))
		return nil
	}
	if err := s.rig.Quiet(ctx); err != nil {
		s.violate("doubles do not die out: %v", err)
	}
	ended, err := s.rig.Wait(ctx, patience, ids...) // again: what still stood in a queue may have opened another run
	if err != nil {
		s.violate("lost: %v: %s", err, s.unfinished(ctx, ids))
		return nil
	}
	end, err := s.survey(ctx, ended)
	if err != nil {
		return err
	}
	if end.wrong(foreign) { // it may be the reaper's to remove
		time.Sleep(reapGrace + 3*reapInterval)
		if end, err = s.survey(ctx, ended); err != nil {
			return err
		}
	}
	for _, w := range s.plan.wishes {
		s.tell("%s %s%s", w.id, ended[w.id].State, because(ended[w.id]))
		for _, line := range ended[w.id].History {
			if s.trace {
				s.tell("  at %s %s: %s", line.Time.Sub(s.begun).Round(time.Second), line.Step, line.Text)
			}
		}
	}
	end.judge(foreign)
	return end.judgeBacks(ctx)
}

func because(job *jobs.Job) string {
	if job.Failure == "" {
		return ""
	}
	return ": " + job.Failure
}

func (s *schedule) unfinished(ctx context.Context, ids []string) string {
	var left []string
	for _, id := range ids {
		row, err := s.rig.User.Store.Load(ctx, id)
		switch {
		case err != nil || row == nil || row.Job == nil:
			left = append(left, fmt.Sprintf("%s is not there (%v)", id, err))
		case !row.Job.Finished():
			left = append(left, fmt.Sprintf("%s is at step %s, error %q, waits for %+v, leased until %s", id, row.Job.Step, row.Job.Error, row.Job.Wait, row.Job.Lease))
		}
	}
	return strings.Join(left, "; ")
}

// standing is all that EC2 has and is not on its way out, by id, with its state.
func (s *schedule) standing() map[string]string {
	all, there := s.rig.EC2().Inspect(), map[string]string{}
	for _, i := range all.Instances {
		if i.State != "terminated" && i.State != "shutting-down" {
			there[i.ID] = fmt.Sprint("instance ", i.State, " ", i.Tags)
			for _, v := range i.Volumes {
				there[v] = "volume of " + i.ID
			}
		}
	}
	for _, i := range all.Images {
		if i.State != "deregistered" {
			there[i.ID] = fmt.Sprint("image ", i.State, " ", i.Tags)
		}
	}
	for _, r := range all.Snapshots {
		there[r.ID] = fmt.Sprint("snapshot ", r.Tags)
	}
	for _, v := range all.Volumes {
		if v.State != "deleted" && there[v.ID] == "" {
			there[v.ID] = fmt.Sprint("volume ", v.State, " ", v.Tags)
		}
	}
	return there
}

// end is what there is when all is over.
type end struct {
	*schedule
	ended    map[string]*jobs.Job // the user's
	jobs     map[string]*jobs.Job // all
	there    map[string]string
	versions map[string][]ledger.Version
	current  map[string]int
	fleets   map[string]ledger.Fleet
	servers  map[string][]ledger.Server
	seconds  map[string][]ledger.Server
	open     []string
}

func (s *schedule) survey(ctx context.Context, ended map[string]*jobs.Job) (*end, error) {
	e := &end{schedule: s, ended: ended, jobs: map[string]*jobs.Job{}, there: s.standing(), versions: map[string][]ledger.Version{}, current: map[string]int{},
		fleets: map[string]ledger.Fleet{}, servers: map[string][]ledger.Server{}, seconds: map[string][]ledger.Server{}}
	book := s.rig.User.Ledger
	images, err := book.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		e.current[image.Name] = image.Current
		if e.versions[image.Name], err = book.Versions(ctx, image.Name); err != nil {
			return nil, err
		}
	}
	fleets, err := book.ListFleets(ctx)
	if err != nil {
		return nil, err
	}
	for _, fleet := range fleets {
		e.fleets[fleet.Name] = fleet
		if e.servers[fleet.Name], err = book.Servers(ctx, fleet.Name); err != nil {
			return nil, err
		}
		if e.seconds[fleet.Name], err = book.Seconds(ctx, fleet.Name); err != nil {
			return nil, err
		}
	}
	all, err := s.rig.User.Store.List(ctx, store.Filter{Children: true, Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, job := range all {
		e.jobs[job.ID] = job
		if !job.Finished() {
			e.open = append(e.open, job.ID)
		}
	}
	return e, nil
}

// wrong says whether anything stands that the ledger does not name, or the other way round.
func (e *end) wrong(foreign map[string]string) bool {
	probe := *e
	probe.schedule = &schedule{dice: e.dice, plan: e.plan, rig: e.rig, begun: e.begun, turns: e.turns, known: map[string]bool{}}
	probe.judge(foreign)
	return len(probe.schedule.result.Violations) > 0
}

func (e *end) judge(foreign map[string]string) {
	if len(e.open) > 0 {
		e.violate("lost: jobs that are still open: %v", e.open)
	}
	explained := maps.Clone(foreign)
	for id, was := range foreign {
		if e.there[id] != was {
			e.violate("what is not ours was changed: %s was %q and is %q", id, was, e.there[id])
		}
	}
	for _, w := range e.plan.wishes {
		e.judgeEnd(w, e.ended[w.id])
	}
	e.judgeWheel()
	if q := e.plan.quarry; q != nil && q.restamp.id != "" {
		q.judge(e)
	}
	if z := e.plan.plaza; z != nil {
		z.judge(e, explained)
	}
	for name := range e.versions {
		if name == wheelName {
			continue // nobody baked it
		}
		e.judgeImage(name, explained)
	}
	for name := range e.fleets {
		e.judgeFleet(name, explained)
	}
	for _, name := range []string{"front", "back", wheelName, yard, square} {
		e.judgeCount(name)
	}
	e.explainKept(explained)
	e.explainSettlers(explained)
	if err := e.judgeGroup(context.Background(), explained); err != nil {
		e.violate("the group cannot be judged: %v", err)
	}
	for _, i := range e.rig.EC2().Inspect().Instances { // a server's volumes are its own
		if explained[i.ID] != "" {
			for _, v := range i.Volumes {
				explained[v] = "of " + i.ID
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.there)) {
		if explained[id] == "" {
			e.violate("left behind: %s, %s", id, e.there[id])
		}
	}
}

func (e *end) judgeEnd(w *wish, job *jobs.Job) {
	switch {
	case job.State == jobs.Succeeded && w.mustFail && e.rolledAny(w):
		e.violate("%s succeeded, though it must fail", w.id)
	case job.State == jobs.Cancelled && len(w.cancels) == 0:
		e.violate("%s was cancelled by nobody", w.id)
	case job.State == jobs.Failed && !w.mayFail && !w.mustFail && !excused(job):
		e.violate("%s failed, though nothing stood in its way: %s", w.id, job.Failure)
	}
}

// excused is a failure that the faults themselves explain: a job is given up after five deliveries without a save.
func excused(job *jobs.Job) bool {
	return strings.Contains(job.Failure, "deliveries in a row ended without a save")
}

// judgeImage: each version's AMIs are as its state says, and each bake that succeeded has one a region.
func (e *end) judgeImage(name string, explained map[string]string) {
	newest := 0
	for _, v := range e.versions[name] {
		if v.State == ledger.Recalled {
			e.explainRecalled(v, explained)
		}
		if v.State != ledger.Available || v.Job == stamper {
			continue
		}
		if !v.Held || v.Number == e.current[name] { // it is held until it is promoted
			newest = max(newest, v.Number)
		}
		e.judgeVersion(v)
		for region, made := range v.Regions {
			if !strings.HasPrefix(e.there[made.AMI], "image available") {
				e.violate("%s@%d names %s in %s, which is %q", name, v.Number, made.AMI, region, e.there[made.AMI])
			}
			explained[made.AMI] = "named"
		}
	}
	e.judgeCurrent(name, newest)
	for _, image := range e.rig.EC2().Inspect().Images {
		if explained[image.ID] != "" {
			for _, snapshot := range image.Snapshots {
				explained[snapshot] = "of " + image.ID
			}
		}
	}
	done := map[string]int{}
	for _, v := range e.versions[name] {
		if v.State == ledger.Available || v.State == ledger.Retired || v.State == ledger.Retiring || v.State == ledger.Recalled {
			done[v.Job]++
		}
	}
	for _, w := range e.plan.wishes {
		if job := e.ended[w.id]; w.kind == "Bake" && w.name == name && job.State == jobs.Succeeded && done[w.id] != 1 {
			e.violate("%s succeeded and has %d versions", w.id, done[w.id])
		}
	}
}

// judgeVersion: an available version is of a bake that succeeded, the user's or a patch day's.
func (e *end) judgeVersion(v ledger.Version) {
	job, w := e.jobs[v.Job], e.wishOf(v.Job)
	if job == nil {
		e.violate("%s is of the job %s, which nobody submitted", v.Ref(), v.Job)
		return
	}
	if job.State != jobs.Succeeded && !(v.Run < job.Run && (w == nil || len(w.retries) > 0)) {
		e.violate("%s is available, and its bake %s %s", v.Ref(), v.Job, job.State)
	}
	if w != nil && len(v.Regions) != w.regions && !e.plan.distributed(v) {
		e.violate("%s has AMIs in %d regions, want %d", v.Ref(), len(v.Regions), w.regions)
	}
}

// version is the one that the ledger has.
func (e *end) version(name string, number int) (found ledger.Version) {
	for _, v := range e.versions[name] {
		if v.Number == number {
			found = v
		}
	}
	return found
}

func (e *end) wishOf(id string) *wish {
	for _, w := range e.plan.wishes {
		if w.id == id {
			return w
		}
	}
	return nil
}

// judgeFleet: each ordinal has one holder, which runs and is the fleet's.
func (e *end) judgeFleet(name string, explained map[string]string) {
	fleet := e.fleets[name]
	if fleet.Owner != "" || len(fleet.Line) > 0 {
		e.violate("the fleet %s is still owned by %q, with %q in line", name, fleet.Owner, fleet.Line)
	}
	holders := map[string]int{}
	for _, server := range e.servers[name] {
		if before, twice := holders[server.InstanceID]; twice {
			e.violate("%s holds the ordinals %d and %d of %s", server.InstanceID, before, server.Ordinal, name)
		}
		holders[server.InstanceID] = server.Ordinal
		if !strings.HasPrefix(e.there[server.InstanceID], "instance running") {
			e.violate("ordinal %d of %s is held by %q, which is %q (%s)", server.Ordinal, name, server.InstanceID, e.there[server.InstanceID], server.State)
		}
		explained[server.InstanceID] = "named"
	}
	for _, i := range e.rig.EC2().Inspect().Instances {
		if ordinal, holds := holders[i.ID]; holds && i.Tags[launch.TagFleet] != name {
			e.violate("ordinal %d of %s is held by %s, which is tagged %v", ordinal, name, i.ID, i.Tags)
		}
	}
}

// judgeCount: the jobs of a fleet, in the order in which they owned it, give how many servers it may have.
func (e *end) judgeCount(name string) {
	if w := e.plan.wheel; w != nil && w.settlers != nil && name == wheelName {
		return // nobody said how many there are
	}
	var list []*wish
	for _, w := range e.plan.wishes {
		if w.fleet == name {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b *wish) int { return e.turns[a.id] - e.turns[b.id] })
	low, high := 0, 0
	for _, w := range list {
		succeeded := e.ended[w.id].State == jobs.Succeeded
		switch {
		case w.kind == "Launch" && succeeded:
			low, high = max(low, w.count), max(high, w.count)
		case w.byOrdinal:
			gone := e.terminated(w)
			if succeeded {
				high = max(high-gone, 0)
			}
			if len(w.retries) > 0 {
				gone = chosenByOrdinal // a run before may have ended some
			}
			low = max(low-gone, 0)
		case w.kind == "Terminate" && succeeded:
			low, high = min(low, w.count), min(high, w.count)
		case w.kind == "Terminate":
			low = min(low, w.count)
		}
	}
	if n := len(e.servers[name]); n < low || n > high {
		e.violate("the fleet %s has %d servers, want %d to %d", name, n, low, high)
	}
}

// terminated is how many servers a termination says that it ended.
func (e *end) terminated(w *wish) int {
	var result terminate.Result
	if raw := e.ended[w.id].Result; len(raw) > 0 {
		if err := json.Unmarshal(raw, &result); err != nil {
			e.violate("the result of %s cannot be read: %v", w.id, err)
		}
	}
	return result.Terminated.Len()
}
