package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// mend gives servers that lost their root the one that they had: they are stopped, it is attached, they are started.
func (r *inPlace) mend(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	c := r.root.Chunk
	servers, err := r.holders(ctx, c.Down)
	if err != nil {
		return jobs.Move{}, err
	}
	instances, err := r.instances(ctx, servers)
	if err != nil {
		return jobs.Move{}, err
	}
	var stop, start []string
	var mended []int
	left := 0
	for _, server := range servers {
		instance := instances[server.InstanceID]
		rooted := instance.Volumes[instance.RootDevice] != ""
		switch {
		case instance.State == "running" && rooted:
			mended = append(mended, server.Ordinal)
			continue
		case instance.State == "running":
			stop = append(stop, server.InstanceID)
		case instance.State == "stopped" && rooted:
			start = append(start, server.InstanceID)
		case instance.State == "stopped" && server.Kept != nil:
			if err := r.roots().AttachDisk(ctx, server.Kept.Volume, server.InstanceID, instance.RootDevice); refused(err) {
				turn.Warn("%s", byHand(server, instance.RootDevice, err))
				c.Down = c.Down.Minus(ordinals.Of(server.Ordinal))
				continue
			} else if err != nil {
				return jobs.Move{}, err
			}
		case instance.State == "" || instance.State == "terminated" || instance.State == "shutting-down":
			c.Down = c.Down.Minus(ordinals.Of(server.Ordinal))
			continue
		}
		left++
	}
	if len(stop) > 0 {
		if err := r.ec2().Stop(ctx, stop...); err != nil {
			return jobs.Move{}, err
		}
	}
	if len(start) > 0 {
		if err := r.ec2().Start(ctx, start...); err != nil {
			return jobs.Move{}, err
		}
	}
	if left > 0 {
		return jobs.Look(r.soon(powerPoll), "%d servers to get their former root volumes back", left), nil
	}
	if err := r.noteRoots(ctx, turn, ordinals.Of(mended...), true); err != nil {
		return jobs.Move{}, err
	}
	if c.Back { // they run what they were to go back to
		c.Done = c.Done.Plus(ordinals.Of(mended...))
		for _, ordinal := range mended {
			delete(c.Reasons, ordinal)
		}
	}
	c.Down = ordinals.Set{}
	next := rootTry
	if !c.Returns.Empty() {
		next = rootAdmit
	}
	r.enterRoot(turn, next)
	return jobs.Done(), turn.Save(ctx)
}

// byHand tells a person what to type.
func byHand(server ledger.Server, device string, cause error) string {
	return fmt.Sprintf("ordinal %d has no root volume, and it cannot be attached (%s); by hand: aws ec2 attach-volume --volume-id %s --instance-id %s --device %s, then aws ec2 start-instances --instance-ids %s",
		server.Ordinal, cause, server.Kept.Volume, server.InstanceID, device, server.InstanceID)
}

func (r *inPlace) register(ctx context.Context, servers []ledger.Server) error {
	groups := ledger.Attached(servers)
	for _, arn := range slices.Sorted(maps.Keys(groups)) {
		if err := r.TargetGroups(r.progress.Target).Register(ctx, arn, groups[arn]...); err != nil {
			return err
		}
	}
	return nil
}

func (r *inPlace) trialOf(ctx context.Context, fleet ledger.Fleet, c *rootChunk) (jobs.Child, error) {
	health, err := healthy(fleet)
	if err != nil {
		return jobs.Child{}, err
	}
	health.StatusChecks = true
	stamping := r.state.Stamping
	stamping.Image = launch.Image(c.Image)
	name := fmt.Sprintf("root-trial-%d", r.root.Chunks)
	return r.Launching.Trial(ctx, r.there(), name, c.Done, launch.Description{Launch: fleet.Spec, Stamping: stamping, Healthy: &health})
}

// takeTrial notes who passed. Those that did not get their former root back; on the way back they are tried again, or stay.
func (r *inPlace) takeTrial(child jobs.ChildResult) {
	c := r.root.Chunk
	var result launch.HeirResult
	if err := json.Unmarshal(child.Result, &result); child.State != jobs.Succeeded || err != nil {
		for ordinal := range c.Done.All() {
			c.fail(ordinal, fmt.Sprintf("%s %s: %s", child.ID, child.State, child.Failure))
		}
	} else {
		c.Passed = common(result.Passed, c.Done)
	}
	for _, failure := range result.Failures {
		c.fail(failure.Ordinal, failure.Reason)
	}
	failed := c.Done.Minus(c.Passed)
	for ordinal := range failed.All() {
		c.fail(ordinal, "it was not healthy with its new root volume")
	}
	if !c.Back {
		c.Returns = failed
	}
}

// giveBack takes the servers that failed out again, and asks EC2 for their former roots.
func (r *inPlace) giveBack(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	c := r.root.Chunk
	servers, err := r.holders(ctx, c.Returns)
	if err != nil {
		return jobs.Move{}, err
	}
	if _, err := r.detach(ctx, servers); err != nil {
		return jobs.Move{}, err
	}
	c.Tasks = nil
	r.enterRoot(turn, rootStart)
	return jobs.Done(), nil
}

// admit has all of them serve, and tells the rollout what became of each.
func (r *inPlace) admit(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	c := r.root.Chunk
	servers, err := r.holders(ctx, c.Ordinals)
	if err != nil {
		return jobs.Move{}, err
	}
	if move, err := r.restore(ctx, turn, servers, c.Since); err != nil || !move.IsDone() {
		return move, err
	}
	r.passed(c.Passed)
	byOrdinal := map[int]string{}
	for _, server := range servers {
		byOrdinal[server.Ordinal] = server.InstanceID
	}
	for _, ordinal := range slices.Sorted(maps.Keys(c.Reasons)) {
		if !c.Passed.Has(ordinal) {
			r.failed(ordinal, byOrdinal[ordinal], c.Reasons[ordinal])
		}
	}
	r.root.Chunk = nil
	return jobs.Done(), turn.Save(ctx)
}

// abandon sees the chunk under way through: replacements that EC2 has begun cannot be stopped, and nothing new is begun.
// Servers that nothing happened to yet serve again at once.
func (r *inPlace) abandon(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	c := r.root.Chunk
	if c == nil {
		return r.replace.abandon(ctx, turn)
	}
	if c.Stage == rootOut || c.Stage == rootKeep {
		r.enterRoot(turn, rootAdmit)
	}
	return r.goOn(ctx, turn)
}

// finish deletes the root volumes that were kept until now, but for those of servers that have no root volume: a person may
// still attach theirs.
func (r *inPlace) finish(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if r.Roots == nil {
		return jobs.Done(), nil
	}
	servers, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	servers = slices.DeleteFunc(servers, func(s ledger.Server) bool { return s.Kept == nil })
	rootless, err := r.rootless(ctx, servers)
	if err != nil {
		return jobs.Move{}, err
	}
	tags := r.rootTags(turn)
	tags[TagReplaced] = r.fleet()
	disks, err := r.roots().DisksTagged(ctx, tags)
	if err != nil {
		return jobs.Move{}, err
	}
	for _, disk := range disks {
		if disk.State != "available" || rootless[disk.ID] {
			continue // a server runs from it again, or has nothing else
		}
		if err := r.roots().DeleteVolume(ctx, disk.ID); err != nil {
			return jobs.Move{}, err
		}
	}
	cleared := servers[:0:0]
	for _, server := range servers {
		if !rootless[server.Kept.Volume] {
			server.Kept = nil
			cleared = append(cleared, server)
		}
	}
	if len(cleared) > 0 {
		if err := r.Ledger.PutServers(ctx, turn.Guard(), cleared); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

// rootless are the kept volumes of servers that are there and have no root volume.
func (r *inPlace) rootless(ctx context.Context, servers []ledger.Server) (map[string]bool, error) {
	instances, err := r.instances(ctx, servers)
	if err != nil {
		return nil, err
	}
	volumes := map[string]bool{}
	for _, server := range servers {
		instance, known := instances[server.InstanceID]
		gone := !known || instance.State == "terminated" || instance.State == "shutting-down"
		if !gone && instance.Volumes[instance.RootDevice] == "" {
			volumes[server.Kept.Volume] = true
		}
	}
	return volumes, nil
}
