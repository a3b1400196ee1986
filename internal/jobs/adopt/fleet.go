package adopt

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// tagSize is how many things a call tags (aws-facts "Launching").
const tagSize = 1000

// lookServers finds the servers, refuses what cannot be imported, and fixes who gets which ordinal.
func (a *adoption) lookServers(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if a.progress.Roll != "" {
		return jobs.Done(), nil
	}
	s, err := a.surveyFleet(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	var wrong []string
	for _, finding := range s.findings {
		if finding.Warning {
			turn.Warn("%s", finding.String())
		} else {
			wrong = append(wrong, finding.String())
		}
	}
	if len(wrong) > 0 {
		return jobs.Fail("%s", strings.Join(wrong, "; ")), nil
	}
	turn.Note("%d servers of %s are to be imported", len(s.roll.Servers), s.roll.Image)
	return jobs.Done(), a.keep(ctx, s.roll)
}

// own makes the fleet, or finds that somebody was faster.
func (a *adoption) own(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	r, err := a.kept(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	a.progress.Owned = true // from now on there may be something to leave
	if err := turn.Save(ctx); err != nil {
		return jobs.Move{}, err
	}
	fleet, owned, err := a.Ledger.Own(ctx, turn.Guard(), ledger.Fleet{
		Name: a.job.Name, Target: a.job.Target, Labels: turn.Job.Labels, Image: r.Image, Count: r.Count, Spec: r.Spec,
		Group: a.spec.Fleet.Group, Imported: turn.Job.Incarnation,
	}, turn.Job.ID)
	if err != nil {
		return jobs.Move{}, err
	}
	if !owned || fleet.Imported != turn.Job.Incarnation {
		return jobs.Fail("there is a fleet %s since this import began; choose another name", a.job.Name), nil
	}
	return jobs.Done(), nil
}

// enlist writes the servers, and then makes sure that no other fleet has named one of them meanwhile: each of two imports
// writes before it reads, so that one of them at least sees the other.
func (a *adoption) enlist(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	r, err := a.kept(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if err := a.Ledger.PutServers(ctx, turn.Guard(), r.Servers); err != nil {
		return jobs.Move{}, err
	}
	mine := map[string]bool{}
	for _, server := range r.Servers {
		mine[server.InstanceID] = true
	}
	fleets, err := a.Ledger.ListFleets(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	for _, fleet := range fleets {
		if fleet.Name == a.job.Name || len(mine) == 0 {
			continue
		}
		servers, err := a.Ledger.Servers(ctx, fleet.Name)
		if err != nil {
			return jobs.Move{}, err
		}
		if at := slices.IndexFunc(servers, func(s ledger.Server) bool { return mine[s.InstanceID] }); at >= 0 {
			return jobs.Fail("%s is ordinal %d of the fleet %s since this import began", servers[at].InstanceID, servers[at].Ordinal, fleet.Name), nil
		}
	}
	return jobs.Done(), nil
}

// tagServers puts the tags on, a thousand servers a call. Those that have gone since are left to drift and to later launches.
func (a *adoption) tagServers(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	r, err := a.kept(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	tags := serverTags(a.Installation, a.job.Name, turn.Job.Incarnation)
	for a.progress.Tagged < len(r.Servers) {
		chunk := r.Servers[a.progress.Tagged:min(a.progress.Tagged+tagSize, len(r.Servers))]
		gone, err := a.each(ctx, chunk, tags, a.ec2().Tag)
		if err != nil {
			return jobs.Move{}, err
		}
		if gone > 0 {
			turn.Warn("%d servers have gone since the import began; their ordinals have no server", gone)
		}
		a.progress.Tagged += len(chunk)
		if err := turn.Save(ctx); err != nil {
			return jobs.Move{}, err
		}
		if turn.Job.Cancel == turn.Job.Run {
			return jobs.Wait(time.Second, "its cancellation"), nil
		}
	}
	a.progress.Committed = true
	return jobs.Done(), nil
}

// each calls for the servers' own tags: those that a server did not carry before. One id that EC2 does not know fails a call, so
// that it is then repeated for those that are there.
func (a *adoption) each(ctx context.Context, servers []ledger.Server, tags map[string]string, call func(context.Context, []string, map[string]string) error) (gone int, err error) {
	groups := map[string][]string{}
	before := map[string][]string{}
	for _, server := range servers {
		key := strings.Join(server.TagsBefore, " ")
		groups[key], before[key] = append(groups[key], server.InstanceID), server.TagsBefore
	}
	for key, ids := range groups {
		err := call(ctx, ids, without(tags, before[key]))
		if jobs.IsClass(err, jobs.NotFound, jobs.Propagating) {
			there, looked := a.EC2(a.target()).Instances(ctx, ids...)
			if looked != nil {
				return gone, looked
			}
			known := make([]string, 0, len(there))
			for _, instance := range there {
				known = append(known, instance.ID)
			}
			gone += len(ids) - len(known)
			if err = nil; len(known) > 0 {
				err = call(ctx, known, without(tags, before[key]))
			}
		}
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// target is where the servers stand.
func (a *adoption) target() jobs.Target {
	if a.spec.Undo == undoFleet {
		return a.progress.Target
	}
	return a.job.Target
}

func (a *adoption) release(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	turn.Note("%s", a.said())
	return jobs.Done(), a.Ledger.Release(ctx, turn.Guard(), a.job.Name, turn.Job.ID)
}

func (a *adoption) said() string {
	if a.spec.Fleet.Group != "" {
		return "the Auto Scaling group " + a.spec.Fleet.Group + " is a fleet"
	}
	return fmt.Sprintf("%d servers are a fleet", a.progress.Count)
}

// untagRoll takes the tags back that this import put or may have put, and looks again for a call that took effect late.
func (a *adoption) untagRoll(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if a.progress.Roll == "" || !a.progress.Owned {
		return jobs.Done(), nil // nothing is tagged before the fleet stands
	}
	r, err := a.kept(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	return jobs.Unmake(ctx, turn, "tags", func(ctx context.Context) (bool, error) {
		for chunk := range slices.Chunk(r.Servers, tagSize) {
			if _, err := a.each(ctx, chunk, serverTags(a.Installation, a.job.Name, turn.Job.Incarnation), a.ec2().Untag); err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// forgetRoll forgets the servers that this import wrote.
func (a *adoption) forgetRoll(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if !a.progress.Owned {
		return jobs.Done(), nil
	}
	return jobs.Done(), a.forgetServers(ctx, turn, turn.Job.Incarnation)
}

// forgetServers forgets the fleet's servers of the import.
func (a *adoption) forgetServers(ctx context.Context, turn *jobs.Turn, incarnation string) error {
	fleet, known, err := a.Ledger.GetFleet(ctx, a.job.Name)
	if err != nil || !known || fleet.Owner != turn.Job.ID || fleet.Imported != incarnation {
		return err
	}
	servers, err := a.Ledger.Servers(ctx, a.job.Name)
	if err != nil {
		return err
	}
	var list []int
	for _, server := range servers {
		if server.Incarnation == incarnation {
			list = append(list, server.Ordinal)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return a.Ledger.DeleteServers(ctx, turn.Guard(), a.job.Name, list)
}

// leave forgets the fleet if this import made it, else gives it or the place in its line up.
func (a *adoption) leave(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	fleet, known, err := a.Ledger.GetFleet(ctx, a.job.Name)
	if err != nil || !known {
		return jobs.Done(), err
	}
	if fleet.Imported == turn.Job.Incarnation && fleet.Owner == turn.Job.ID {
		return jobs.Done(), a.Ledger.DeleteFleet(ctx, turn.Guard(), a.job.Name)
	}
	return jobs.Done(), a.Ledger.Release(ctx, turn.Guard(), a.job.Name, turn.Job.ID)
}
