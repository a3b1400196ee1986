package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// UndoLimit is how long an undo is tried before the reaper is left to finish it.
const UndoLimit = 24 * time.Hour

// judge turns a step's error into a move by its class.
func (s *stint) judge(err error) Move {
	job, now := s.turn.Job, s.turn.Now()
	if e, ok := errors.AsType[*Error](err); ok && e.Class == InLine {
		return s.waitTurn(e) // no error: it neither counts nor ends an undo
	}
	text := Clip(err.Error(), 1000)
	if job.Errors == 0 {
		job.ErrorSince = now
	}
	if job.Error != text {
		s.turn.Note("error: %s", text)
	}
	job.Error = text
	job.Errors++
	if IsAmbiguous(err) {
		job.Lost = now
	}
	since := now.Sub(job.ErrorSince)
	if job.Phase == Undoing {
		if since > UndoLimit {
			return Fail("%s; given up after %s, the reaper removes the rest", text, UndoLimit)
		}
		return Wait(backoff(job, time.Second, ParkInterval), "%s", text)
	}
	switch ClassOf(err) {
	case Retry:
		return Wait(backoff(job, time.Second, 30*time.Second), "%s", text)
	case Busy:
		return Wait(backoff(job, 15*time.Second, time.Minute), "%s", text)
	case Propagating:
		if limit := s.turn.Propagation(); since > limit {
			return Fail("%s; it did not appear within %s", text, limit)
		}
		return Wait(backoff(job, time.Second, 15*time.Second), "%s", text)
	case Park:
		return Wait(ParkInterval, "%s", text)
	case Unknown:
		if job.Errors < UnknownErrors {
			return Wait(backoff(job, 2*time.Second, 30*time.Second), "%s", text)
		}
	}
	return Fail("%s", text)
}

// backoff doubles from first to most with the job's errors in a row, and spreads jobs by a quarter, as a function of the
// job and of the count.
func backoff(job *Job, first, most time.Duration) time.Duration {
	d := min(first<<min(job.Errors-1, 16), most)
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%s %d", job.ID, job.Errors) // a hash never fails to write
	return d + time.Duration(float64(d)*0.5*float64(hash.Sum32())/float64(1<<32))
}

// maxData bounds what a kind may keep: an item has 400 KB, the history and the spec included.
const maxData = 200 << 10

// maxLine and maxText bound, in bytes, a line of the history or a warning, and a reason: fifty lines of a chatty script must
// leave room in the item.
const (
	maxLine = 2600
	maxText = 4000
)

func encodeSmall(value any, what string) (json.RawMessage, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode the job's %s: %w", what, err)
	}
	if len(encoded) > maxData {
		return nil, fmt.Errorf("the job's %s has %d bytes; at most %d fit an item", what, len(encoded), maxData)
	}
	return encoded, nil
}

func (t *Turn) encode() error {
	t.Job.Updated = t.Now()
	if t.program == nil {
		return nil
	}
	data := t.program.Data()
	if data != nil {
		encoded, err := encodeSmall(data, "data")
		if err != nil {
			return err
		}
		t.Job.Data = encoded
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Clip keeps texts that others wrote short: at most n bytes of it.
func Clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

func (j *Job) finish(now time.Time, retention time.Duration) {
	j.Ended = now
	j.Expires = now.Add(retention)
}
