package jobs

import (
	"slices"
	"time"
)

// Row is what stands at a job's id: a job, or the tombstone of a cancel that came before its submission.
type Row struct {
	Job       *Job
	Tombstone bool
	// Unreadable says why what stands there cannot be read. Only Families.Rows gives such rows, so that one does not take
	// the others along; whoever reads a single row gets the error instead.
	Unreadable error
}

// Verdict is what a delivery does about the job before, or instead of, working on it.
type Verdict int

// The verdicts of the message protocol.
const (
	// VerdictCreate creates the job and claims it in the same write.
	VerdictCreate Verdict = iota
	// VerdictCreateCancelled does the same over a tombstone; the job is cancelled before it begins.
	VerdictCreateCancelled
	// VerdictTombstone leaves a tombstone for a job that is not there yet.
	VerdictTombstone
	// VerdictDelete deletes the message.
	VerdictDelete
	// VerdictWakeParent sends the parent's wake, then deletes.
	VerdictWakeParent
	// VerdictReopen opens the next run and claims it in the same write.
	VerdictReopen
	// VerdictFlag sets the cancel flag, leased or not; then the message counts as one without a seq.
	VerdictFlag
	// VerdictOrder keeps the order, leased or not; then the message counts as one without a seq.
	VerdictOrder
	// VerdictClaim claims the job and works on it.
	VerdictClaim
	// VerdictHide makes the message visible again later; it is never deleted.
	VerdictHide
	// VerdictRefuse sends the message to the dead letters: same key, another spec.
	VerdictRefuse
)

// Decide is the message protocol: what to do with a message, given what stands at its job's id. The first row of the
// design's table that fits decides. A nil row: nothing stands there. digest is a submission's.
func Decide(row *Row, m *Message, digest string, now time.Time) Verdict {
	if row == nil || row.Job == nil {
		return decideAbsent(row, m)
	}
	job := row.Job
	if m.Type == Submit && digest != job.Digest {
		return VerdictRefuse
	}
	if m.Type != Submit && m.Incarnation != "" && m.Incarnation != job.Incarnation {
		return VerdictDelete // it speaks of a job that has expired
	}
	if job.Schema > SchemaVersion {
		return VerdictHide // for a newer worker
	}
	if job.Finished() {
		if m.Type == Reopen && m.Run == job.Run {
			return VerdictReopen
		}
		if job.Parent != nil {
			return VerdictWakeParent
		}
		return VerdictDelete
	}
	return decideOpen(job, m, now)
}

func decideAbsent(row *Row, m *Message) Verdict {
	switch {
	case m.Type == Submit && row != nil && row.Tombstone:
		return VerdictCreateCancelled
	case m.Type == Submit:
		return VerdictCreate
	case m.Type == Cancel:
		if row != nil && row.Tombstone {
			return VerdictDelete
		}
		return VerdictTombstone
	default:
		return VerdictDelete
	}
}

func decideOpen(job *Job, m *Message, now time.Time) Verdict {
	if m.Type == Cancel && m.Run == job.Run && job.Cancel != job.Run {
		return VerdictFlag
	}
	if m.ordered(job) {
		return VerdictOrder
	}
	if m.Type == Reopen && m.Run >= job.Run && !job.Leased(now) {
		// There is nothing to retry yet. It must not serve as a wake: the same message could reopen the job later, and then
		// be deleted, by the delivery that it woke, from behind the run that it opened.
		return VerdictDelete
	}
	if seq, has := m.seq(); has {
		if seq < job.Seq || (m.Type == Wake && m.Run != job.Run) {
			return VerdictDelete
		}
		if seq > job.Seq {
			return VerdictHide
		}
	}
	if job.Leased(now) {
		return VerdictHide
	}
	if m.awaited != "" && (m.Run != job.Run || !slices.Contains(job.Awaits, m.awaited)) {
		return VerdictDelete // the job awaits it no more; what stands behind the event carries it on
	}
	return VerdictClaim
}

// seq is the message's seq, if it has one. A submission is seq 0.
func (m *Message) seq() (int64, bool) {
	switch m.Type {
	case Submit:
		return 0, true
	case Wake:
		return m.Seq, true
	default:
		return 0, false
	}
}

// presume is the row that a message most likely meets: its verdict's condition is tried first, and what stands there in
// truth comes back with the failed condition, so that the common case costs one write and no read.
func presume(m *Message) *Row {
	job := &Job{State: Open, Run: m.Run, Incarnation: m.Incarnation, Awaits: []string{m.awaited}}
	switch m.Type {
	case Submit:
		return nil
	case Wake:
		job.Seq = m.Seq
	case Reopen:
		job.State = Failed
	}
	return &Row{Job: job}
}
