package rollout

import (
	"context"
	"maps"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// rowsPerWrite is how many servers go with one write.
const rowsPerWrite = 50

// While a rollout owns a group's fleet, the ledger names the group's instances by ordinals, so that waves, gates and reports speak of
// them as of any other servers. A group has no ordinals of its own: an instance that goes frees its ordinal, one that comes
// takes a free one, and those that run the lot's image get the lot's ordinals before all others.

// names are what AMIs are called in the ledger.
func (r *refresh) names(more image) map[string]string {
	p := &r.progress
	names := map[string]string{}
	if r.state.AMI != "" && p.Former != "" {
		names[r.state.AMI] = p.Former
	}
	for _, known := range []image{p.BackTo, p.Image, more} {
		if known.AMI != "" {
			names[known.AMI] = known.Ref
		}
	}
	return names
}

// enlist makes the ledger's rows those of the group's instances; the lot's ordinals go to instances that run its image.
func (r *refresh) enlist(ctx context.Context, turn *jobs.Turn, g cloud.Group, lot lot) error {
	servers, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return err
	}
	rows := map[int]ledger.Server{}
	for ordinal := range r.progress.unskipped().Plus(r.progress.Skipped).All() {
		rows[ordinal] = ledger.Server{Ordinal: ordinal} // also those whose row went before the next one came
	}
	for _, server := range servers {
		rows[server.Ordinal] = server
	}
	var rolled ordinals.Set
	if !lot.Back {
		rolled = common(r.progress.Rolled, lot.Ordinals)
	}
	changed := assign(rows, r.rows(turn, g, r.names(lot.Image), len(rows) == 0), rolled, lot)
	var taken []int // the ledger lets nobody take an ordinal that is held
	for _, row := range changed {
		if was := rows[row.Ordinal].InstanceID; was != "" && was != row.InstanceID {
			taken = append(taken, row.Ordinal)
		}
	}
	if err := r.unlist(ctx, turn, ordinals.Of(taken...)); err != nil {
		return err
	}
	for chunk := range slices.Chunk(changed, rowsPerWrite) {
		if err := r.Ledger.PutServers(ctx, turn.Guard(), chunk); err != nil {
			return err
		}
	}
	return nil
}

// rows are the group's instances as the ledger has servers, by instance and without ordinals. What a refresh leaves alone is not
// taken in at first.
func (r *refresh) rows(turn *jobs.Turn, g cloud.Group, names map[string]string, first bool) map[string]ledger.Server {
	amis := map[string]string{}
	for ami, version := range r.state.Versions {
		amis[version] = ami
	}
	list := map[string]ledger.Server{}
	for _, m := range g.Members {
		if !m.Stays() || first && left(m) {
			continue
		}
		ami := m.ImageID
		if ami == "" && m.Template.ID == r.state.Template.ID {
			ami = amis[m.Template.Version]
		}
		name, known := names[ami]
		if !known {
			name = ami
		}
		state := ledger.Launched
		if m.Serves() {
			state = ledger.Healthy
		}
		list[m.InstanceID] = ledger.Server{Fleet: r.fleet(), State: state, InstanceID: m.InstanceID, Image: name, AMI: ami, Type: m.Type, Zone: m.Zone, Job: turn.Job.ID}
	}
	return list
}

// assign gives ordinals to instances, and tells the rows that change. Rows whose instance is gone and whose ordinal nobody takes
// stay. Instances that find no free ordinal get a new one if there are no rows yet; else those that they replace are there still.
func assign(rows map[int]ledger.Server, instances map[string]ledger.Server, rolled ordinals.Set, lot lot) []ledger.Server {
	held, free := map[string]int{}, map[bool][]int{} // free ordinals, of the lot and outside
	var old []string                                 // instances that hold an ordinal of the lot and run another image
	for _, ordinal := range slices.Sorted(maps.Keys(rows)) {
		id := rows[ordinal].InstanceID
		i, there := instances[id]
		switch {
		case !there:
			free[lot.Ordinals.Has(ordinal)] = append(free[lot.Ordinals.Has(ordinal)], ordinal)
			continue
		case lot.Ordinals.Has(ordinal) && i.Image != lot.Image.Ref:
			old = append(old, id)
		}
		held[id] = ordinal
	}
	take := func(ofLot bool) (ordinal int, ok bool) {
		if len(free[ofLot]) == 0 {
			return 0, false
		}
		ordinal, free[ofLot] = free[ofLot][0], free[ofLot][1:]
		return ordinal, true
	}
	for next, id := range newcomers(instances, held, lot.Image.Ref) {
		runs := instances[id].Image == lot.Image.Ref
		ordinal, ok := take(runs)
		if !ok {
			ordinal, ok = take(!runs)
			if ok && runs && len(old) > 0 { // an old one changes places with it
				ordinal, held[old[0]], old = held[old[0]], ordinal, old[1:]
			}
		}
		if !ok && len(rows) == 0 {
			ordinal, ok = next, true
		}
		if ok {
			held[id] = ordinal
		}
	}
	settleRolled(held, instances, rolled, lot)
	var changed []ledger.Server
	for id, ordinal := range held {
		row := instances[id]
		row.Ordinal = ordinal
		if was := rows[ordinal]; was.InstanceID != id || was.State != row.State || was.Image != row.Image || was.AMI != row.AMI {
			changed = append(changed, row)
		}
	}
	slices.SortFunc(changed, func(a, b ledger.Server) int { return a.Ordinal - b.Ordinal })
	return changed
}

// settleRolled lets ordinals that count as rolled have instances that run the image before others of the lot do.
func settleRolled(held map[string]int, instances map[string]ledger.Server, rolled ordinals.Set, lot lot) {
	holder := map[int]string{}
	for id, ordinal := range held {
		holder[ordinal] = id
	}
	runs := func(ordinal int) bool {
		return instances[holder[ordinal]].Image == lot.Image.Ref && holder[ordinal] != ""
	}
	var spare []int
	for ordinal := range lot.Ordinals.Minus(rolled).All() {
		if runs(ordinal) {
			spare = append(spare, ordinal)
		}
	}
	for ordinal := range rolled.All() {
		if runs(ordinal) || len(spare) == 0 {
			continue
		}
		from := spare[0]
		spare = spare[1:]
		held[holder[from]] = ordinal
		if other := holder[ordinal]; other != "" {
			held[other] = from
		}
	}
}

// take brings the ledger's rows up to date and counts what runs the lot's image. Instances come and go beside a refresh: one that was
// rolled and died comes back from the group's former version, and is the current wave's once more.
func (r *refresh) take(ctx context.Context, turn *jobs.Turn, g cloud.Group, asked lot) (done, lost ordinals.Set, err error) {
	p := &r.progress
	all := asked
	if !asked.Back {
		all.Ordinals = asked.Ordinals.Plus(p.Rolled)
	}
	if err := r.enlist(ctx, turn, g, all); err != nil {
		return done, lost, err
	}
	held, run, err := r.standing(ctx, g, all.Ordinals, asked.Image.Ref)
	if err != nil {
		return done, lost, err
	}
	done = common(asked.Ordinals, run)
	if !asked.Back && p.Wave < len(p.Waves) {
		lost = common(p.Rolled, held).Minus(run)
	}
	r.passed(done)
	if stay(g) >= g.Desired { // else they come yet
		if err := r.vacate(ctx, turn, all.Ordinals.Minus(held)); err != nil {
			return done, lost, err
		}
	}
	if !lost.Empty() {
		turn.Note("ordinals %s were replaced by the group meanwhile, and are to be rolled again", lost)
		for i := range p.Waves {
			p.Waves[i].Ordinals = p.Waves[i].Ordinals.Minus(lost)
		}
		p.Waves[p.Wave].Ordinals = p.Waves[p.Wave].Ordinals.Plus(lost)
		p.Rolled = p.Rolled.Minus(lost)
	}
	return done, lost, nil
}

// newcomers are the instances without an ordinal, those that run the image first.
func newcomers(instances map[string]ledger.Server, held map[string]int, ref string) []string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(instances)) {
		if _, has := held[id]; !has {
			list = append(list, id)
		}
	}
	rank := func(id string) int {
		if instances[id].Image == ref {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b string) int { return rank(a) - rank(b) })
	return list
}

// standing says which of the ordinals are held by instances of the group, and which of these run the image.
func (r *refresh) standing(ctx context.Context, g cloud.Group, set ordinals.Set, ref string) (held, rolled ordinals.Set, err error) {
	servers, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return held, rolled, err
	}
	stays := map[string]bool{}
	for _, m := range g.Members {
		stays[m.InstanceID] = m.Stays()
	}
	var there, run []int
	for _, server := range servers {
		if !set.Has(server.Ordinal) || !stays[server.InstanceID] {
			continue
		}
		there = append(there, server.Ordinal)
		if server.Image == ref {
			run = append(run, server.Ordinal)
		}
	}
	return ordinals.Of(there...), ordinals.Of(run...), nil
}

// vacate takes ordinals out of the rollout that the group, smaller by now, has no instance for.
func (r *refresh) vacate(ctx context.Context, turn *jobs.Turn, vacant ordinals.Set) error {
	if vacant.Empty() {
		return nil
	}
	p := &r.progress
	turn.Note("the group has no instances for ordinals %s any more", vacant)
	for i := range p.Waves {
		p.Waves[i].Ordinals = p.Waves[i].Ordinals.Minus(vacant)
	}
	p.Rolled, p.Vacant = p.Rolled.Minus(vacant), p.Vacant.Plus(vacant)
	return r.unlist(ctx, turn, vacant)
}

// unlist takes rows out of the ledger.
func (r *rollout) unlist(ctx context.Context, turn *jobs.Turn, set ordinals.Set) error {
	for _, chunk := range set.Chunks(rowsPerWrite) {
		if err := r.Ledger.DeleteServers(ctx, turn.Guard(), r.fleet(), chunk.List()); err != nil {
			return err
		}
	}
	return nil
}
