package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Turn is one delivery's hold of a job, as its steps see it.
type Turn struct {
	// Job is as last saved, with what has changed since. Steps read it; they change it through Turn's methods only.
	Job *Job
	// Installation tells this Stampmill from others in the same account; every thing made carries it as a tag.
	Installation string
	Log          *slog.Logger

	engine   *Engine
	program  Program
	children []ChildResult
	open     int  // children that the step works beside
	dirty    bool // there is something to save before the next act
	same     bool // the step under way changed nothing that another look would not tell again
	lost     error
	woken    string
}

// ChildResult is how a child ended.
type ChildResult struct {
	Index   int
	ID      string
	State   State
	Failure string
	Result  json.RawMessage
	// Created and Ended are when it came to be and when it ended, Waited how many seconds it waited for budgets.
	Created, Ended time.Time
	Waited         map[string]float64
}

// Now is the worker's clock.
func (t *Turn) Now() time.Time {
	if t.engine == nil {
		return time.Now()
	}
	return t.engine.Times.now()
}

// Propagation is how long AWS may take to show what was made.
func (t *Turn) Propagation() time.Duration {
	if t.engine == nil {
		return PropagationLimit
	}
	return t.engine.Times.Propagation
}

// Guard is what a write to the ledger checks: that this delivery still holds the job.
func (t *Turn) Guard() Guard {
	return Guard{Job: t.Job.ID, Incarnation: t.Job.Incarnation, Fence: t.Job.Fence}
}

// Guard names a claim. A write that carries it fails when the claim has passed on.
type Guard struct {
	Job         string
	Incarnation string
	Fence       int64
}

// Attempt is the number of the thing's current attempt; the first is 1.
func (t *Turn) Attempt(thing string) int { return max(t.Job.Attempts[thing], 1) }

// NewAttempt starts the thing over with new parameters, and saves that before anything is called. The program's Data is
// saved with it.
func (t *Turn) NewAttempt(ctx context.Context, thing string) error {
	if t.Job.Attempts == nil {
		t.Job.Attempts = map[string]int{}
	}
	t.Job.Attempts[thing] = t.Attempt(thing) + 1
	return t.Save(ctx)
}

// Token is the client token of the thing's current attempt: at most 64 ASCII characters, the same for each repetition
// of the call, and another one for each incarnation, run and attempt.
func (t *Turn) Token(thing string) string {
	token := fmt.Sprintf("%s-r%d-%s-a%d", t.Job.Incarnation, t.Job.Run, thing, t.Attempt(thing))
	if len(token) > 64 {
		sum := sha256.Sum256([]byte(token))
		token = t.Job.Incarnation + "-" + lower32(sum[:20])
	}
	return token
}

// Tags are the tags that every thing this job makes carries from its creation. A user's tags never override them.
func (t *Turn) Tags(thing string) map[string]string {
	return map[string]string{
		TagInstallation: t.Installation,
		TagJob:          t.Job.ID,
		TagIncarnation:  t.Job.Incarnation,
		TagRun:          fmt.Sprint(t.Job.Run),
		TagThing:        thing,
	}
}

// Our tags. Instances that ask for instance metadata tags allow neither spaces nor slashes in a key.
const (
	TagInstallation = "stampmill:installation"
	TagJob          = "stampmill:job"
	TagIncarnation  = "stampmill:incarnation"
	TagRun          = "stampmill:run"
	TagThing        = "stampmill:thing"
	// TagAdopted is on what was imported instead: the import's incarnation, which the ledger names. The reaper leaves such
	// things alone, whatever else they carry.
	TagAdopted = "stampmill:adopted"
	// TagPrefix begins every tag of ours; users' tags may not.
	TagPrefix = "stampmill:"
)

// Save writes the job with the program's Data now, fence checked, seq untouched. What a step made must be saved before
// the step makes the next thing. An error means that the delivery is over: return it.
func (t *Turn) Save(ctx context.Context) error { return t.engine.saveTurn(ctx, t) }

// OnlySaw says that the step, in this delivery, made nothing, and learned nothing but what a repetition would learn again
// and what no later act's parameters come from. What comes next need not wait for a save: a delivery that follows a crash
// looks again and comes to the same.
func (t *Turn) OnlySaw() { t.same = true }

// Note adds a line to the job's history with the next save.
func (t *Turn) Note(format string, args ...any) {
	t.Job.History = append(t.Job.History, Line{Time: t.Now(), Run: t.Job.Run, Step: t.Job.Step, Text: Clip(fmt.Sprintf(format, args...), maxLine)})
	if extra := len(t.Job.History) - HistoryLines; extra > 0 {
		t.Job.History = append([]Line(nil), t.Job.History[extra:]...)
	}
}

// Warn adds a warning to the job: something a person should know that does not fail it.
func (t *Turn) Warn(format string, args ...any) {
	text := Clip(fmt.Sprintf(format, args...), maxLine)
	t.Note("warning: %s", text)
	if slices.Contains(t.Job.Warnings, text) {
		return
	}
	if len(t.Job.Warnings) < 20 {
		t.Job.Warnings = append(t.Job.Warnings, text)
	}
}

// Children are the children of the fan-out that this step returned before, all finished; nil if it returned none yet.
func (t *Turn) Children() []ChildResult { return t.children }

// OpenChildren is how many children of the step's fan-out have not ended, where the step works beside them.
func (t *Turn) OpenChildren() int { return t.open }

// TookIn says that what the children told is in the program's Data: the next delivery does not gather them again, and the
// step may fan out anew. It counts from the next save.
func (t *Turn) TookIn() {
	t.Job.Fan, t.children, t.dirty = nil, nil, true
}

// LookUntil is until when an undo must look for what may have been made without being recorded: the propagation limit
// after the last instant at which such a call may have been sent. The zero time: one look is enough.
func (t *Turn) LookUntil() time.Time {
	if t.Job.Lost.IsZero() {
		return time.Time{}
	}
	return t.Job.Lost.Add(t.Propagation())
}

// StepSince is when the job came to this step.
func (t *Turn) StepSince() time.Time { return t.Job.StepSince }
