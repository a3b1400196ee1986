package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// StrangerLimit is how long a job is left to newer workers whose kind or step this worker does not know: a deployment takes
// no longer. After it an unknown step is the job's error.
const StrangerLimit = time.Hour

// strangerHide is for how long such a job's message is hidden.
const strangerHide = 5 * time.Minute

// open opens the job for this delivery. A kind that panics has the job's own error.
func open(kind Kind, job *Job) (program Program, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return kind.Program(job)
}

// check asks the kind about a submission's spec. A queue is hostile: what makes a kind panic is refused.
func check(kind Kind, spec []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("checking it panicked: %v", p)
		}
	}()
	return kind.Check(spec)
}

// stranger reports whether a newer worker should carry the job on: its step is none that this one knows.
func (s *stint) stranger(now time.Time) bool {
	job := s.turn.Job
	if job.Step == "" || job.Step == endOfSteps {
		return false
	}
	if _, err := stepIndex(s.list(), job.Step); err == nil {
		return false
	}
	since := job.Updated
	if job.Wait != nil && job.Wait.Until.After(since) {
		since = job.Wait.Until
	}
	return now.Sub(since) < StrangerLimit
}

// leave gives a claim back on which nothing was done: it does not count, and the job is as it was.
func (s *stint) leave(ctx context.Context) (Outcome, error) {
	job := *s.turn.Job
	job.Lease, job.Claims = time.Time{}, job.Claims-1
	if _, err := s.engine.Store.Save(ctx, &job, Saving{Seq: job.Seq}); err != nil {
		return Outcome{}, err
	}
	return hidden(strangerHide), nil
}

// handBack saves what the delivery came to after its next message could not be sent. The message in hand stays live: seq is
// untouched. So an outage of the queue neither counts against the job nor holds it for the rest of the lease.
func (s *stint) handBack(ctx context.Context, cause error) error {
	job := s.turn.Job
	job.Seq, job.Lease, job.Claims, job.Wait = s.seq, time.Time{}, 0, nil
	return errors.Join(cause, s.save(ctx, Saving{Seq: s.seq}))
}

// overclaimed gives up what kept deliveries from saving: a step past the commit point, the forward steps before it, and the
// whole job where not even the beginning of its undo could be saved. Over says that the delivery is.
func (s *stint) overclaimed(ctx context.Context) (outcome Outcome, over bool, err error) {
	job := s.turn.Job
	reason := fmt.Sprintf("%d deliveries in a row ended without a save; the last error was: %s", job.Claims-1, orNone(job.Error))
	switch {
	case job.Phase == Undoing:
		outcome, err = s.abort(ctx, job.Failure+"; undoing it failed as well: "+reason)
		return outcome, true, err
	case job.Claims > 2*MaxClaims:
		outcome, err = s.abort(ctx, reason)
		return outcome, true, err
	case s.program.Committed():
		at, err := stepIndex(s.list(), job.Step)
		if err != nil || len(s.list()) == 0 {
			return Outcome{}, false, nil //nolint:nilerr // a step that this worker does not know is dealt with next, as a stranger
		}
		s.turn.Warn("%s: %s", s.list()[at].Name, reason)
		return Outcome{}, false, s.advance(ctx, s.list()[at], at)
	}
	s.beginUndo(Failed, reason)
	return Outcome{}, false, nil
}

// abort fails a job that not even its undo can be carried out for. The reaper removes what it left.
func (s *stint) abort(ctx context.Context, reason string) (Outcome, error) {
	job := s.turn.Job
	job.Failure = Clip(reason, maxText)
	s.turn.Note("failed: %s", reason)
	s.program, s.turn.program = nil, nil
	return s.end(ctx, Failed)
}
