package jobs

import (
	"context"
	"time"
)

// Orphan is a thing that nobody names.
type Orphan struct {
	Thing
	Target Target
	// Since is when it was first seen as an orphan, and Left how much of its grace is left.
	Since time.Time
	Left  time.Duration
	// Held says why nothing of its target is removed; empty: nothing holds it back.
	Held string
	// Removed says that it was removed now, Error why it could not be.
	Removed bool
	Error   string
}

// OrphanState is how far the reaper is with an orphan.
type OrphanState string

// The states of an orphan's record. The first two are open.
const (
	OrphanFound    OrphanState = "found"    // its grace runs
	OrphanRemoving OrphanState = "removing" // whoever wrote this is about to remove it, could not, or died
	OrphanRemoved  OrphanState = "removed"
	OrphanSettled  OrphanState = "settled" // it went by itself, or is named now
)

// Open reports whether the thing is still an orphan, as far as is known.
func (s OrphanState) Open() bool { return s == OrphanFound || s == OrphanRemoving }

// OrphanRecord is what is kept of an orphan, one record a thing.
type OrphanRecord struct {
	Kind   string      `json:"kind"`
	ID     string      `json:"id"`
	Name   string      `json:"name,omitempty"`
	Job    string      `json:"job"`
	Target Target      `json:"target"`
	State  OrphanState `json:"state"`
	// Created is when the thing was made, Since when it was first seen as an orphan, and Changed when the record was.
	Created time.Time `json:"created"`
	Since   time.Time `json:"since"`
	Changed time.Time `json:"changed"`
	// By is who wrote the record, Error why the last removal failed.
	By    string `json:"by"`
	Error string `json:"error,omitempty"`
}

// OrphanRecords keeps the records, for some months.
type OrphanRecords interface {
	// Orphans gives the records that are open, or those that are not; the latest change first, at most limit.
	Orphans(ctx context.Context, open bool, limit int) ([]OrphanRecord, error)
	// NoteOrphan writes the record in place of the thing's last one. Writing it again changes nothing.
	NoteOrphan(ctx context.Context, record OrphanRecord) error
}

// maxOpenRecords bounds what a look reads. Beyond it the grace of the rest begins anew, and ends after the others are gone.
const maxOpenRecords = 10_000

// maxOrphanError keeps a record small.
const maxOrphanError = 500

func (r *Reaper) recordOf(o *Orphan) OrphanRecord {
	return OrphanRecord{Kind: o.Kind, ID: o.ID, Name: Clip(o.Tags["Name"], 256), Job: o.Tags[TagJob], Target: o.Target, Created: o.Created, Since: o.Since}
}

func (r *Reaper) note(ctx context.Context, record *OrphanRecord, state OrphanState, cause string) error {
	record.State, record.Error, record.By, record.Changed = state, Clip(cause, maxOrphanError), r.Owner, time.Now()
	return r.Records.NoteOrphan(ctx, *record)
}
