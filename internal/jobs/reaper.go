package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Thing is something in EC2 that carries this installation's tag.
type Thing struct {
	Kind    string // instance, image, snapshot, volume, spot-request
	ID      string
	Tags    map[string]string
	Created time.Time
}

// Estate is what the reaper compares with the ledger: everything that carries this installation's tag.
type Estate interface {
	// List gives the target's things, terminated instances left out.
	List(ctx context.Context, target Target) ([]Thing, error)
	// Remove terminates, deregisters or deletes the thing. One that is gone is no error.
	Remove(ctx context.Context, target Target, thing Thing) error
	// Named gives the ids that the ledger names: servers of fleets, AMIs and snapshots of images, kept builders.
	Named(ctx context.Context) (map[string]bool, error)
}

// ReaperConfig is what a Reaper is made of.
type ReaperConfig struct {
	Estate Estate
	Rows   Families
	// Records keep what was found and what became of it.
	Records OrphanRecords
	Leases  SweepStore
	// Targets gives every account and region to look at.
	Targets func(ctx context.Context) ([]Target, error)
	// Installation is the only one whose things are ever touched.
	Installation string
	Owner        string
	// Grace is how long a thing must be nobody's before it is removed: far longer than propagation and late effects take. Default 30 min.
	Grace time.Duration
	// Interval is how often it looks. Default 10 min.
	Interval time.Duration
	// Only, if not nil, are the ids that may be removed: those that a person has seen.
	Only map[string]bool
	Log  *slog.Logger
}

// Reaper removes what carries this installation's tag and is named neither by a live run nor by the ledger.
//
// What it finds it records first, so that the grace goes on when another worker takes over, and what it removes it records
// before the call: nothing goes without a trace, whenever the worker dies.
type Reaper struct {
	ReaperConfig
}

// NewReaper makes a reaper.
func NewReaper(config ReaperConfig) *Reaper {
	if config.Grace <= 0 {
		config.Grace = 30 * time.Minute
	}
	if config.Interval <= 0 {
		config.Interval = 10 * time.Minute
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	return &Reaper{ReaperConfig: config}
}

// Run reaps until the context ends; one worker at a time, by lease.
func (r *Reaper) Run(ctx context.Context) {
	timer := time.NewTimer(r.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		mine, err := r.Leases.Lease(ctx, "reaper", r.Owner, now, now.Add(2*r.Interval))
		if err == nil && mine {
			_, err = r.Reap(ctx)
		}
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("cannot reap", "error", err)
		}
		timer.Reset(r.Interval)
	}
}

// Look looks once at every target and gives the orphans. It changes nothing. Targets that cannot be looked at are its error;
// the orphans of the others come with it.
func (r *Reaper) Look(ctx context.Context) ([]Orphan, error) {
	_, orphans, _, err := r.look(ctx)
	return orphans, err
}

// Reap looks once at every target, records what it finds, and removes the orphans that have been one for longer than the grace
// period. Its error is Look's.
func (r *Reaper) Reap(ctx context.Context) ([]Orphan, error) {
	known, orphans, looked, err := r.look(ctx)
	for i := range orphans {
		o := &orphans[i]
		if o.Held != "" {
			continue
		}
		record, recorded := known[o.ID]
		if !recorded {
			record = r.recordOf(o)
			if err := r.note(ctx, &record, OrphanFound, ""); err != nil {
				return orphans, err
			}
		}
		if o.Left <= 0 && (r.Only == nil || r.Only[o.ID]) {
			if err := r.remove(ctx, o, &record); err != nil {
				return orphans, err
			}
		}
	}
	if settling := r.settle(ctx, known, orphans, looked); settling != nil {
		return orphans, settling
	}
	r.tell(orphans)
	return orphans, err
}

// look gives the open records, the orphans and the targets that were looked at.
func (r *Reaper) look(ctx context.Context) (map[string]OrphanRecord, []Orphan, map[Target]bool, error) {
	targets, err := r.Targets(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	open, err := r.Records.Orphans(ctx, true, maxOpenRecords)
	if err != nil {
		return nil, nil, nil, err
	}
	known := make(map[string]OrphanRecord, len(open))
	for _, record := range open {
		known[record.ID] = record
	}
	var orphans []Orphan
	var unseen error
	looked := map[Target]bool{}
	for _, target := range targets {
		found, err := r.lookAt(ctx, target, known)
		if err != nil {
			unseen = errors.Join(unseen, fmt.Errorf("cannot look for orphans in %s: %w", target, err))
			continue
		}
		looked[target] = true
		orphans = append(orphans, found...)
	}
	return known, orphans, looked, unseen
}

// lookAt lists EC2 first and reads the ledger after it: what is made and named in between is then named, not orphaned.
func (r *Reaper) lookAt(ctx context.Context, target Target, known map[string]OrphanRecord) ([]Orphan, error) {
	things, err := r.Estate.List(ctx, target)
	if err != nil || len(things) == 0 {
		return nil, err
	}
	rows, err := r.Rows.Rows(ctx, makers(things))
	if err != nil {
		return nil, err
	}
	if err := unreadable(rows); err != nil {
		r.Log.Warn("what these jobs made is left alone: they cannot be read", "target", target.String(), "error", err)
	}
	named, err := r.Estate.Named(ctx)
	if err != nil {
		return nil, err
	}
	var orphans []Orphan
	now := time.Now()
	for _, thing := range things {
		if r.orphaned(thing, rows, named) {
			since := orphanSince(known[thing.ID], rows[thing.Tags[TagJob]], now)
			orphans = append(orphans, Orphan{Thing: thing, Target: target, Since: since, Left: max(r.Grace-now.Sub(since), 0)})
		}
	}
	if len(orphans) > manyOrphans && len(orphans)*2 > len(things) {
		held := fmt.Sprintf("%d of the %d things with this installation's tag are in no ledger: is STAMPMILL_PREFIX the one that made them?", len(orphans), len(things))
		r.Log.Error("the reaper holds back: "+held, "target", target.String(), "installation", r.Installation)
		for i := range orphans {
			orphans[i].Held = held
		}
	}
	return orphans, nil
}

// manyOrphans is how many orphans a crash may leave. More than that, if they are also most of what is there, say that the
// ledger is the wrong one or was lost: then a person decides.
const manyOrphans = 20

// orphaned: it carries our whole set of tags, its job's run is not live, and the ledger does not name it.
func (r *Reaper) orphaned(thing Thing, rows map[string]*Row, named map[string]bool) bool {
	if thing.Tags[TagInstallation] != r.Installation || thing.Tags[TagJob] == "" || thing.Tags[TagIncarnation] == "" || thing.Tags[TagRun] == "" {
		return false // not ours beyond doubt
	}
	if thing.Tags[TagAdopted] != "" {
		return false // imported: only what a job asks for ends it
	}
	if named[thing.ID] {
		return false
	}
	row := rows[thing.Tags[TagJob]]
	if row != nil && row.Unreadable != nil {
		return false // nobody knows whether its run is live
	}
	live := row != nil && row.Job != nil && !row.Job.Finished() && row.Job.Incarnation == thing.Tags[TagIncarnation]
	return !live
}

// orphanSince is when the grace began: when it was first recorded, but not before its job's last run was over, since a retry may
// have owned it in between.
func orphanSince(record OrphanRecord, row *Row, now time.Time) time.Time {
	if record.ID == "" {
		return now
	}
	since := record.Since
	if row != nil && row.Job != nil && row.Job.Ended.After(since) {
		since = row.Job.Ended
	}
	return since
}

// remove records the removal before the call and its outcome after it. Its error is that of the record: what cannot be recorded
// is not removed.
func (r *Reaper) remove(ctx context.Context, o *Orphan, record *OrphanRecord) error {
	if record.State != OrphanRemoving {
		if err := r.note(ctx, record, OrphanRemoving, ""); err != nil {
			return err
		}
	}
	if err := r.Estate.Remove(ctx, o.Target, o.Thing); err != nil {
		o.Error = err.Error()
		r.Log.Warn("cannot remove an orphan", "kind", o.Kind, "id", o.ID, "error", err)
		return r.note(ctx, record, OrphanRemoving, o.Error)
	}
	o.Removed = true
	r.Log.Info("removed an orphan", "kind", o.Kind, "id", o.ID, "target", o.Target.String(), "job", o.Tags[TagJob], "since", o.Since)
	return r.note(ctx, record, OrphanRemoved, "")
}

// settle closes the records of what is no orphan any more: it went, or somebody names it now.
func (r *Reaper) settle(ctx context.Context, known map[string]OrphanRecord, orphans []Orphan, looked map[Target]bool) error {
	still := map[string]bool{}
	for _, o := range orphans {
		still[o.ID] = true
	}
	for _, record := range known {
		if still[record.ID] || !looked[record.Target] {
			continue
		}
		state := OrphanSettled
		if record.State == OrphanRemoving { // who wrote this has died, or EC2 answered late
			state = OrphanRemoved
		}
		if err := r.note(ctx, &record, state, ""); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reaper) tell(orphans []Orphan) {
	counts := map[string]int{}
	for _, o := range orphans {
		switch {
		case o.Held != "":
			counts["held"]++
		case o.Removed:
			counts["removed"]++
		case o.Error != "":
			counts["failed"]++
		default:
			counts["waiting"]++
		}
	}
	if len(orphans) > 0 {
		r.Log.Info("orphans", "found", len(orphans), "removed", counts["removed"], "failed", counts["failed"],
			"waiting", counts["waiting"], "held", counts["held"])
	}
}

func makers(things []Thing) []string {
	var ids []string
	seen := map[string]bool{}
	for _, thing := range things {
		if id := thing.Tags[TagJob]; id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}
