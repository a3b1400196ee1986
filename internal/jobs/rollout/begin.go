package rollout

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// own waits in line for a fleet that there is.
func (r *rollout) own(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if turn.Job.Name != r.fleet() {
		return jobs.Fail("%s", r.misnamed(turn.Job)), nil
	}
	fleet, known, err := r.Ledger.GetFleet(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	if !known {
		return jobs.Fail("there is no fleet %s; see `stampmill fleet list`", r.fleet()), nil
	}
	r.progress.Target, r.progress.Group = fleet.Target, fleet.Group
	if strategy := r.spec.Strategy; fleet.Group != "" && strategy != "" && strategy != Refresh {
		return jobs.Fail("the fleet %s is the Auto Scaling group %s, which would replace what %s takes out; leave strategy out", r.fleet(), fleet.Group, strategy), nil
	}
	fleet, owned, err := r.Ledger.Own(ctx, turn.Guard(), fleet, turn.Job.ID)
	if err != nil {
		return jobs.Move{}, err
	}
	if !owned {
		return jobs.Wait(10*time.Second, "the fleet %s: %s works on it", r.fleet(), fleet.Owner), nil
	}
	r.progress.Owned = true
	return jobs.Done(), nil
}

// misnamed: commands find a fleet's rollouts by its name.
func (r *rollout) misnamed(job *jobs.Job) string {
	return fmt.Sprintf("the job's name is %s, and a rollout has its fleet's: write name: %s", job.Name, r.fleet())
}

// plan pins the image, looks up what its servers need, finds the servers to roll, and cuts them into waves.
func (r *rollout) plan(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	fleet, known, err := r.Ledger.GetFleet(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	if !known {
		return jobs.Fail("there is no fleet %s any more", r.fleet()), nil
	}
	if move, err := r.strategy().abandon(ctx, turn); err != nil || !move.IsDone() { // what a rollout before this one left
		return move, err
	}
	p.Former = fleet.Image
	found, findings, err := r.strategy().prepare(ctx, turn, r.spec.Image)
	if err != nil {
		return jobs.Move{}, err
	}
	findings = append(findings, r.lookAlarms(ctx)...)
	if reason := tell(turn, findings); reason != "" {
		return jobs.Fail("%s", reason), nil
	}
	p.Image = found
	if group, ok := r.strategy().(*refresh); ok {
		if err := group.list(ctx, turn); err != nil {
			return jobs.Move{}, err
		}
	}
	servers, living, err := r.look(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if err := r.measure(servers, living); err != nil {
		return jobs.Move{}, err
	}
	if _, err := r.estates(ctx, servers, p.Stateful); err != nil { // what is not ours is told before anything is touched
		return jobs.Move{}, err
	}
	if err := r.cut(ctx, fleet, servers); err != nil {
		return jobs.Move{}, err
	}
	if err := r.takeDown(ctx, servers); err != nil {
		return jobs.Move{}, err
	}
	p.Planned = true
	turn.Note("%d of %d servers are to run %s, in %d waves; %d run it already, %d ordinals have no living server", p.unskipped().Len(), p.Count,
		found.Ref, len(p.Waves), p.Skipped.Len(), p.Vacant.Len())
	return jobs.Done(), nil
}

// tell warns of findings, and gives those that end the rollout.
func tell(turn *jobs.Turn, findings []jobs.Finding) string {
	var wrong []string
	for _, finding := range findings {
		if finding.Warning {
			turn.Warn("%s", finding)
		} else {
			wrong = append(wrong, finding.String())
		}
	}
	return strings.Join(wrong, "; ")
}

// look reads the fleet's servers and their instances.
func (r *rollout) look(ctx context.Context) ([]ledger.Server, map[string]cloud.Instance, error) {
	servers, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return nil, nil, err
	}
	instances, err := r.instances(ctx, servers)
	return servers, instances, err
}

// instances are the servers' instances by their ids.
func (r *rollout) instances(ctx context.Context, servers []ledger.Server) (map[string]cloud.Instance, error) {
	instances, err := r.ec2().Instances(ctx, ledger.InstanceIDs(servers)...)
	found := make(map[string]cloud.Instance, len(instances))
	for _, instance := range instances {
		found[instance.ID] = instance
	}
	return found, err
}

// measure turns shares of the fleet into numbers. Servers that run the image already, and ordinals without a living
// server, are none of its work.
func (r *rollout) measure(servers []ledger.Server, instances map[string]cloud.Instance) error {
	p := &r.progress
	var skipped, vacant, stateful []int
	for _, server := range servers {
		state := instances[server.InstanceID].State
		switch {
		case server.InstanceID == "" || state == "terminated" || state == "shutting-down":
			vacant = append(vacant, server.Ordinal)
		case server.Image == p.Image.Ref:
			skipped = append(skipped, server.Ordinal)
		case instances[server.InstanceID].Holds && r.spec.Strategy != InPlace && p.Group == "":
			stateful = append(stateful, server.Ordinal)
		}
	}
	p.Skipped, p.Vacant, p.Stateful = ordinals.Of(skipped...), ordinals.Of(vacant...), ordinals.Of(stateful...)
	p.Count = len(servers) - p.Vacant.Len()
	p.Surge = r.spec.surge().Of(max(p.Count, 1), true)
	p.Spare = r.spec.maxUnavailable().Of(p.Count, false)
	p.Budget = r.spec.failures().Of(p.Count, false)
	if p.Count > 0 && p.Spare == 0 && r.spec.Strategy == InPlace {
		return jobs.Fatalf("plan the rollout", r.fleet(), fmt.Sprintf("maxUnavailable %s of its %d servers is none, and in place a server is out while its root volume is replaced",
			r.spec.maxUnavailable(), p.Count), "allow at least one: maxUnavailable: 1")
	}
	if err := r.allowStateful(); err != nil {
		return err
	}
	if p.Count > 0 && p.Surge == 0 && p.Spare == 0 && p.Group == "" { // a group then launches one ahead
		return jobs.Fatalf("plan the rollout", r.fleet(), "surge is 0, and maxUnavailable "+r.spec.maxUnavailable().String()+" of its servers is none",
			"allow a surge, or more unavailable servers")
	}
	return nil
}

// unskipped are all servers of all waves.
func (p *progress) unskipped() ordinals.Set {
	var all ordinals.Set
	for _, w := range p.Waves {
		all = all.Plus(w.Ordinals)
	}
	return all
}

// record moves the fleet's image. The stored spec names it too, so that whoever launches what is missing later stamps the same.
func (r *rollout) record(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	fleet, known, err := r.Ledger.GetFleet(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	if !known {
		return jobs.Fail("there is no fleet %s any more", r.fleet()), nil
	}
	if fleet.Image != p.Image.Ref {
		fleet.Previous = fleet.Image
	}
	fleet.Image, fleet.Rollout = p.Image.Ref, turn.Job.ID
	if fleet.Spec, err = pinned(fleet.Spec, p.Image.Ref); err != nil {
		return jobs.Move{}, err
	}
	if err := r.Ledger.PutFleet(ctx, turn.Guard(), fleet); err != nil {
		return jobs.Move{}, err
	}
	p.Recorded = true
	return jobs.Done(), nil
}
