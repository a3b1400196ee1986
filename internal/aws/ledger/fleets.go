package ledger

import (
	"context"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// GetFleet reads a fleet.
func (t *Ledger) GetFleet(ctx context.Context, name string) (l.Fleet, bool, error) {
	fleet, it, err := load[l.Fleet](ctx, t, fleetKey(name), own)
	return fleet, it != nil, err
}

// ListFleets reads all fleets, in the order of their names.
func (t *Ledger) ListFleets(ctx context.Context) ([]l.Fleet, error) {
	return listed[l.Fleet](ctx, t, allFleets, fleetKey)
}

// Own makes the job the fleet's owner if nobody owns it and nobody waits before it; else the job joins the line, which shows
// in the fleet. A fleet that is not there is created. Owners and waiters that have ended without leaving are passed over.
// Asking again changes nothing.
func (t *Ledger) Own(ctx context.Context, g jobs.Guard, f l.Fleet, job string) (as l.Fleet, owned bool, err error) {
	err = again(f.Name, func() error {
		fleet, read, err := load[l.Fleet](ctx, t, fleetKey(f.Name), own)
		if err != nil {
			return err
		}
		if read == nil {
			fleet = f
			fleet.Owner, fleet.Line = "", nil
		}
		as, owned = fleet, fleet.Owner == job
		if owned {
			return nil
		}
		changed, err := t.stand(ctx, &fleet, job)
		if err != nil {
			return err
		}
		as, owned = fleet, fleet.Owner == job
		if read != nil && !changed {
			return nil
		}
		return t.putFleet(ctx, g, fleet, read)
	})
	return as, owned, err
}

// stand puts the job where it belongs: at the head as the owner, or into the line.
func (t *Ledger) stand(ctx context.Context, fleet *l.Fleet, job string) (changed bool, err error) {
	before := slices.Clone(fleet.Line)
	owner := fleet.Owner
	if ahead := ahead(*fleet, job); len(ahead) > 0 {
		open, err := t.open(ctx, ahead)
		if err != nil {
			return false, err
		}
		ended := func(id string) bool { return id != job && !open[id] }
		if fleet.Owner != "" && ended(fleet.Owner) {
			fleet.Owner = ""
		}
		place := slices.Index(fleet.Line, job)
		if place < 0 {
			place = len(fleet.Line)
		}
		fleet.Line = slices.Concat(slices.DeleteFunc(slices.Clone(fleet.Line[:place]), ended), fleet.Line[place:])
	}
	switch {
	case fleet.Owner == "" && (len(fleet.Line) == 0 || fleet.Line[0] == job):
		fleet.Owner = job
		fleet.Line = without(fleet.Line, job)
	case !slices.Contains(fleet.Line, job):
		fleet.Line = append(slices.Clone(fleet.Line), job)
	}
	return fleet.Owner != owner || !slices.Equal(before, fleet.Line), nil
}

// ahead is who stands between the job and the fleet.
func ahead(fleet l.Fleet, job string) []string {
	var ids []string
	if fleet.Owner != "" {
		ids = append(ids, fleet.Owner)
	}
	for _, id := range fleet.Line {
		if id == job {
			break
		}
		ids = append(ids, id)
	}
	return ids
}

// open tells which of the jobs are not finished.
func (t *Ledger) open(ctx context.Context, ids []string) (map[string]bool, error) {
	open := map[string]bool{}
	slices.Sort(ids)
	for chunk := range slices.Chunk(slices.Compact(ids), 100) {
		var keys []item
		for _, id := range chunk {
			keys = append(keys, item{"id": text(id)})
		}
		err := t.batchGet(ctx, t.jobs, keys, func(it item) {
			if textOf(it, "state") == string(jobs.Open) {
				open[textOf(it, "id")] = true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return open, nil
}

// Release gives the fleet up if the job owns it, and takes the job out of the line. It is done where the fleet is gone.
func (t *Ledger) Release(ctx context.Context, g jobs.Guard, name, job string) error {
	return again(name, func() error {
		fleet, read, err := load[l.Fleet](ctx, t, fleetKey(name), own)
		if err != nil || read == nil {
			return err
		}
		if fleet.Owner != job && !slices.Contains(fleet.Line, job) {
			return nil
		}
		if fleet.Owner == job {
			fleet.Owner = ""
		}
		fleet.Line = without(fleet.Line, job)
		return t.putFleet(ctx, g, fleet, read)
	})
}

// PutFleet writes what the owner changes of its fleet. Owner and line stay as they stand: others join it meanwhile.
func (t *Ledger) PutFleet(ctx context.Context, g jobs.Guard, f l.Fleet) error {
	return again(f.Name, func() error {
		stands, read, err := load[l.Fleet](ctx, t, fleetKey(f.Name), own)
		if err != nil {
			return err
		}
		if err := owns(f, stands, read); err != nil {
			return err
		}
		f.Line = stands.Line
		return t.putFleet(ctx, g, f, read)
	})
}

// DeleteFleet forgets the owner's fleet, which must have no servers any more. One that is gone is no error.
func (t *Ledger) DeleteFleet(ctx context.Context, g jobs.Guard, name string) error {
	return again(name, func() error {
		_, read, err := load[l.Fleet](ctx, t, fleetKey(name), own)
		if err != nil || read == nil {
			return err
		}
		servers, err := t.Servers(ctx, name)
		if err != nil {
			return err
		}
		seconds, err := t.Seconds(ctx, name)
		if err != nil {
			return err
		}
		if len(servers)+len(seconds) > 0 {
			return jobs.Fatalf("ledger", "fleet "+name, "it still has servers", "terminate them first")
		}
		return t.write(ctx, g, name, t.remove(fleetKey(name), own, revised(read)), t.remove(allFleets, name, condition{}))
	})
}

func owns(f, stands l.Fleet, read item) error {
	switch {
	case read == nil:
		return &jobs.Error{Class: jobs.NotFound, Op: "ledger", Thing: "fleet " + f.Name, Message: "there is no such fleet"}
	case f.Owner != stands.Owner:
		return jobs.Fatalf("ledger", "fleet "+f.Name, "its owner is "+stands.Owner+", not "+f.Owner, "")
	}
	return nil
}

func (t *Ledger) putFleet(ctx context.Context, g jobs.Guard, fleet l.Fleet, read item) error {
	fleet.Updated = time.Now().UTC()
	it, err := document(fleetKey(fleet.Name), own, fleet, item{"rev": integer(intOf(read, "rev") + 1)})
	if err != nil {
		return err
	}
	if read != nil {
		return t.write(ctx, g, fleet.Name, t.put(it, revised(read)))
	}
	return t.write(ctx, g, fleet.Name, t.put(it, absent()), t.put(key(allFleets, fleet.Name), condition{}))
}

func without(line []string, job string) []string {
	return slices.DeleteFunc(slices.Clone(line), func(id string) bool { return id == job })
}
