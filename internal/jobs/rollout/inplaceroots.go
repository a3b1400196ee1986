package rollout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

const (
	// rootPoll is between looks at replacements, and before the first one: each takes a minute or so, its reboot among it, and
	// EC2 does not show at once that it has begun.
	rootPoll = 15 * time.Second
	// rootLimit is how long a replacement may take before a person is told.
	rootLimit = time.Hour
)

func (r *inPlace) roots() Roots { return r.Roots(r.progress.Target) }

// keep has the ledger and a tag name what the servers run from, before EC2 is asked for anything else.
func (r *inPlace) keep(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	c := r.root.Chunk
	if c.Back {
		r.enterRoot(turn, rootStart)
		return jobs.Done(), nil
	}
	servers, err := r.holders(ctx, c.Ordinals)
	if err != nil {
		return jobs.Move{}, err
	}
	instances, err := r.instances(ctx, servers)
	if err != nil {
		return jobs.Move{}, err
	}
	var kept []ledger.Server
	var volumes []string
	for _, server := range servers {
		instance := instances[server.InstanceID]
		volume := instance.Volumes[instance.RootDevice]
		if volume == "" || c.Tasks[server.Ordinal] != "" {
			continue
		}
		server.Kept = &ledger.KeptRoot{Volume: volume, Image: server.Image, AMI: server.AMI, Stays: slices.Contains(instance.Outlives, volume)}
		kept, volumes = append(kept, server), append(volumes, volume)
	}
	if len(kept) > 0 {
		if err := r.Ledger.PutServers(ctx, turn.Guard(), kept); err != nil {
			return jobs.Move{}, err
		}
		if err := r.roots().Tag(ctx, volumes, r.replacedTags(turn)); err != nil {
			return jobs.Move{}, err
		}
	}
	r.enterRoot(turn, rootStart)
	return jobs.Done(), turn.Save(ctx)
}

// rootTags are those of root volumes of the fleet.
func (r *inPlace) rootTags(turn *jobs.Turn) map[string]string {
	return map[string]string{jobs.TagInstallation: turn.Installation, launch.TagFleet: r.fleet()}
}

// replacedTags are those of root volumes that are kept only until the fleet is done. They name the rollout: what a lost one leaves
// is the reaper's, once the ledger does not name it any more.
func (r *inPlace) replacedTags(turn *jobs.Turn) map[string]string {
	tags := turn.Tags("root")
	maps.Copy(tags, r.rootTags(turn))
	tags[TagReplaced] = r.fleet()
	return tags
}

// start asks EC2 for what has not been asked for yet. The token makes each call safe to repeat.
func (r *inPlace) start(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	c := r.root.Chunk
	asked := c.Ordinals
	if !c.Returns.Empty() {
		asked = c.Returns
	}
	servers, err := r.holders(ctx, asked)
	if err != nil {
		return jobs.Move{}, err
	}
	if c.Back || !c.Returns.Empty() {
		if err := r.mark(ctx, turn, servers); err != nil {
			return jobs.Move{}, err
		}
	}
	for _, server := range servers {
		if c.Tasks[server.Ordinal] != "" || c.Reasons[server.Ordinal] != "" && !c.Returns.Has(server.Ordinal) {
			continue
		}
		request, ok := r.request(turn, server)
		if !ok {
			c.fail(server.Ordinal, "the ledger does not name its former root volume")
			continue
		}
		task, err := r.roots().ReplaceRoot(ctx, request)
		switch {
		case err == nil:
			if c.Tasks == nil {
				c.Tasks = map[int]string{}
			}
			c.Tasks[server.Ordinal] = task.ID
		case request.VolumeID != "" && !c.Plain.Has(server.Ordinal) && refused(err):
			c.Plain = c.Plain.Plus(ordinals.Of(server.Ordinal))
			turn.Warn("ordinal %d goes back by its former image, since its former root volume cannot be used: %s", server.Ordinal, err)
			return jobs.Yield(), nil
		case refused(err):
			c.fail(server.Ordinal, err.Error())
		default:
			return jobs.Move{}, err
		}
	}
	r.enterRoot(turn, rootWait)
	return jobs.Done(), turn.Save(ctx)
}

// mark tags the roots that are to be given up on the way back: EC2 deletes them with the task, but not with one that fails and
// leaves its server without a root. Finish does then.
func (r *inPlace) mark(ctx context.Context, turn *jobs.Turn, servers []ledger.Server) error {
	instances, err := r.instances(ctx, servers)
	if err != nil {
		return err
	}
	var volumes []string
	for _, server := range servers {
		instance := instances[server.InstanceID]
		if volume := instance.Volumes[instance.RootDevice]; volume != "" {
			volumes = append(volumes, volume)
		}
	}
	if len(volumes) == 0 {
		return nil
	}
	return r.roots().Tag(ctx, volumes, r.replacedTags(turn))
}

// refused: asking the same again would change nothing.
func refused(err error) bool {
	return jobs.IsClass(err, jobs.Fatal, jobs.NotFound, jobs.Mismatch, jobs.NewAttempt, jobs.Unknown) && !jobs.IsAmbiguous(err)
}

// request is what is asked of EC2 for the server: forward, the image's root, back, the root that it had.
func (r *inPlace) request(turn *jobs.Turn, server ledger.Server) (cloud.RootRequest, bool) {
	c := r.root.Chunk
	back := c.Back || c.Returns.Has(server.Ordinal)
	thing := fmt.Sprintf("root-%d-%d", r.root.Chunks, server.Ordinal)
	request := cloud.RootRequest{InstanceID: server.InstanceID, Tags: turn.Tags("root")}
	switch {
	case !back:
		request.ImageID = c.Image.AMI
	case server.Kept != nil && !c.Plain.Has(server.Ordinal):
		thing += "-back"
		request.VolumeID, request.DeleteOld = server.Kept.Volume, true
	default:
		thing += "-image"
		request.ImageID, request.DeleteOld = c.Image.AMI, true
		if server.Kept != nil {
			request.ImageID = server.Kept.AMI
		} else if !c.Back {
			return request, false
		}
	}
	request.Token = turn.Token(thing)
	return request, true
}

// wait sees the replacements through, and has the ledger name what each server runs now.
func (r *inPlace) wait(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	c := r.root.Chunk
	var ids []string
	for ordinal := range c.Ordinals.All() {
		if id := c.Tasks[ordinal]; id != "" {
			ids = append(ids, id)
		}
	}
	if rest := c.Since.Add(r.soon(rootPoll)).Sub(turn.Now()); rest > 0 && len(ids) > 0 {
		return jobs.Wait(rest, "%d root volumes to be replaced", len(ids)), nil
	}
	tasks, err := r.roots().RootTasks(ctx, ids...)
	if err != nil {
		return jobs.Move{}, err
	}
	states := make(map[string]string, len(tasks))
	ended := 0
	for _, task := range tasks {
		states[task.ID] = task.State
		if task.Ended() {
			ended++
		}
	}
	if left := len(ids) - ended; left > 0 {
		if waited := turn.Now().Sub(c.Since); waited >= rootLimit {
			turn.Warn("%d root volume replacements have not ended after %s; it goes on to wait", left, rootLimit)
		}
		return jobs.Look(r.soon(rootPoll), "%d of %d root volumes to be replaced", left, len(ids)), nil
	}
	var done, down []int
	for ordinal, id := range c.Tasks {
		switch states[id] {
		case "succeeded":
			done = append(done, ordinal)
		case "failed-detached":
			down = append(down, ordinal)
			c.fail(ordinal, "its root volume replacement "+id+" failed and left it without a root volume")
		default:
			c.fail(ordinal, "its root volume replacement "+id+" failed")
		}
	}
	returned := !c.Returns.Empty()
	if lost := c.Returns.Minus(ordinals.Of(append(done, down...)...)); !lost.Empty() {
		turn.Warn("ordinals %s run %s unhealthily: their former root volumes could not be given back", lost, c.Image.Ref)
	}
	now := ordinals.Of(done...)
	if err := r.noteRoots(ctx, turn, now, c.Back || returned); err != nil {
		return jobs.Move{}, err
	}
	c.Down, c.Tasks = ordinals.Of(down...), nil
	if !returned {
		c.Done = now
	}
	next := rootTry
	switch {
	case !c.Down.Empty():
		next = rootMend
	case returned:
		next = rootAdmit
	}
	r.enterRoot(turn, next)
	return jobs.Done(), turn.Save(ctx)
}

// noteRoots has the ledger and tags name the roots that the servers have now.
func (r *inPlace) noteRoots(ctx context.Context, turn *jobs.Turn, set ordinals.Set, back bool) error {
	c := r.root.Chunk
	servers, err := r.holders(ctx, set)
	if err != nil || len(servers) == 0 {
		return err
	}
	instances, err := r.instances(ctx, servers)
	if err != nil {
		return err
	}
	var fresh, returned []string
	for i, server := range servers {
		instance := instances[server.InstanceID]
		volume := instance.Volumes[instance.RootDevice]
		former := server.Kept
		switch {
		case !back:
			server.Image, server.AMI = c.Image.Ref, c.Image.AMI
		case former != nil:
			server.Image, server.AMI, server.Kept = former.Image, former.AMI, nil
		case c.Back:
			server.Image, server.AMI = c.Image.Ref, c.Image.AMI
		}
		if back && former != nil && volume == former.Volume {
			returned = append(returned, volume)
			if !former.Stays { // it comes without the attribute
				if err := r.roots().GoWith(ctx, server.InstanceID, instance.RootDevice); err != nil && !jobs.IsClass(err, jobs.NotFound) {
					return err
				}
			}
		} else if volume != "" {
			fresh = append(fresh, volume)
		}
		servers[i] = server
	}
	if len(fresh) > 0 {
		if err := r.roots().Tag(ctx, fresh, r.rootTags(turn)); err != nil && !jobs.IsClass(err, jobs.NotFound) {
			return err
		}
	}
	if len(returned) > 0 {
		if err := r.roots().Tag(ctx, returned, map[string]string{TagReplaced: rootReturned}); err != nil && !jobs.IsClass(err, jobs.NotFound) {
			return err
		}
	}
	return r.Ledger.PutServers(ctx, turn.Guard(), servers)
}

func (c *rootChunk) fail(ordinal int, reason string) {
	if c.Reasons == nil {
		c.Reasons = map[int]string{}
	}
	if c.Reasons[ordinal] == "" {
		c.Reasons[ordinal] = reason
	}
}
