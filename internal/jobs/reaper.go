package jobs

import (
	"context"
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
	Leases SweepStore
	// Targets gives every account and region to look at.
	Targets func(ctx context.Context) ([]Target, error)
	// Installation is the only one whose things are ever touched.
	Installation string
	Owner        string
	// Grace is how long a thing must be nobody's before it is removed: far longer than propagation and late effects take. Default 30 min.
	Grace time.Duration
	// Interval is how often it looks. Default 10 min.
	Interval time.Duration
	// DryRun lists without removing.
	DryRun bool
	Log    *slog.Logger
}

// Reaper removes what carries this installation's tag and is named neither by a live run nor by the ledger.
type Reaper struct {
	ReaperConfig
	seen map[string]time.Time // when each orphan was first seen as one
}

// Orphan is a thing that nobody names.
type Orphan struct {
	Thing
	Target Target
	// Since is when it was first seen as an orphan; Removed says that it was removed now.
	Since   time.Time
	Removed bool
	Error   string
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
	return &Reaper{ReaperConfig: config, seen: map[string]time.Time{}}
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

// Reap looks once at every target, and removes the orphans that have been one for longer than the grace period.
func (r *Reaper) Reap(ctx context.Context) ([]Orphan, error) {
	targets, err := r.Targets(ctx)
	if err != nil {
		return nil, err
	}
	var orphans []Orphan
	still := map[string]bool{}
	for _, target := range targets {
		found, err := r.reapTarget(ctx, target)
		if err != nil {
			r.Log.Warn("cannot look for orphans", "target", target.String(), "error", err)
			for id := range r.seen {
				still[id] = true // nobody looked: what was seen before stays seen
			}
			continue
		}
		for _, orphan := range found {
			still[orphan.ID] = true
		}
		orphans = append(orphans, found...)
	}
	for id := range r.seen {
		if !still[id] {
			delete(r.seen, id)
		}
	}
	return orphans, nil
}

// reapTarget lists EC2 first and reads the ledger after it: what is made and named in between is then named, not orphaned.
func (r *Reaper) reapTarget(ctx context.Context, target Target) ([]Orphan, error) {
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
		if !r.orphaned(thing, rows, named) {
			delete(r.seen, thing.ID)
			continue
		}
		orphans = append(orphans, Orphan{Thing: thing, Target: target, Since: r.firstSeen(thing, now)})
	}
	if r.DryRun {
		return orphans, nil
	}
	if len(orphans) > manyOrphans && len(orphans)*2 > len(things) {
		r.Log.Error("the reaper holds back: most of what carries this installation's tag is in no ledger; is STAMPMILL_PREFIX the one that made it?",
			"target", target.String(), "installation", r.Installation, "things", len(things), "orphans", len(orphans))
		return orphans, nil
	}
	for i := range orphans {
		if now.Sub(orphans[i].Since) >= r.Grace {
			r.remove(ctx, &orphans[i])
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

func (r *Reaper) firstSeen(thing Thing, now time.Time) time.Time {
	since, ok := r.seen[thing.ID]
	if !ok {
		since = now
		r.seen[thing.ID] = now
	}
	return since
}

func (r *Reaper) remove(ctx context.Context, orphan *Orphan) {
	err := r.Estate.Remove(ctx, orphan.Target, orphan.Thing)
	if err != nil {
		orphan.Error = err.Error()
		r.Log.Warn("cannot remove an orphan", "kind", orphan.Kind, "id", orphan.ID, "error", err)
		return
	}
	orphan.Removed = true
	r.Log.Info("removed an orphan", "kind", orphan.Kind, "id", orphan.ID, "job", orphan.Tags[TagJob], "since", orphan.Since)
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
