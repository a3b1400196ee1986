package jobs

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// stint is the working part of one delivery: the steps that it carries out, and its end.
type stint struct {
	engine   *Engine
	delivery *Delivery
	seqless  bool     // the message in hand carries no seq
	seq      int64    // the job's seq at the claim
	event    string   // key of the thing whose event woke it; empty: none did
	awaited  []string // what the wait that this delivery ends awaited; nil once that is judged
	turn     *Turn
	steps    []Step
	program  Program
	released []Grant // to be given back once the job is saved without them
}

// run carries out steps until the job waits or ends, and ends the delivery: send, save, delete.
func (s *stint) run(ctx context.Context) (Outcome, error) {
	job, now := s.turn.Job, s.turn.Now()
	s.awaited = job.Awaits
	kind, ok := s.engine.Kinds[job.Kind]
	if !ok {
		return s.leave(ctx) // to a newer worker
	}
	if job.Claims > 1 { // a delivery before this one ended without a save: it may have made what nobody recorded
		job.Lost = now
		job.Grants = nil // it may have used them
	}
	program, err := open(kind, job)
	if err != nil {
		return s.abort(ctx, fmt.Sprintf("the job cannot be read: %v", err))
	}
	s.turn.program, s.program = program, program
	if job.Claims > MaxClaims {
		if outcome, over, err := s.overclaimed(ctx); over || err != nil {
			return outcome, err
		}
	}
	if s.stranger(now) {
		return s.leave(ctx)
	}
	for {
		if s.cancelAsked() {
			if s.untouched() {
				job.Failure = "cancelled before it began"
				return s.end(ctx, Cancelled)
			}
			s.beginUndo(Cancelled, "cancelled")
		}
		move, finished, err := s.step(ctx)
		if err != nil {
			return Outcome{}, err
		}
		if finished {
			return s.endPhase(ctx)
		}
		switch move.what {
		case moveWait:
			return s.wait(ctx, move)
		case moveFail:
			s.beginUndo(Failed, move.reason)
		}
	}
}

// cancelAsked: a cancel of this run counts until the commit point. After it the job goes on to its end, whole.
func (s *stint) cancelAsked() bool {
	job := s.turn.Job
	return job.Cancel == job.Run && job.Phase == Forward && !s.program.Committed()
}

// untouched: no step of the run ever began, so there is nothing to undo.
func (s *stint) untouched() bool {
	job := s.turn.Job
	return job.Step == "" && job.Lost.IsZero() && job.Fan == nil && job.Phase == Forward
}

func (s *stint) beginUndo(end State, reason string) {
	job := s.turn.Job
	job.Phase, job.End, job.Failure = Undoing, end, Clip(reason, maxText)
	job.Errors, job.Wait, job.Awaits = 0, nil, nil
	job.Error = ""
	s.setStep("")
	s.release()
	s.turn.Note("%s: %s", end, reason)
	s.turn.dirty, s.turn.children, s.steps = true, nil, nil
	s.event, s.awaited = "", nil
}

// resume takes the undo back: it found out that the job had committed, by a write whose answer its worker did not live to
// see. From here on the job goes forward to its end.
func (s *stint) resume(step string) {
	job := s.turn.Job
	s.turn.Note("it was committed before it was %s: it goes on with %s", job.End, step)
	job.Phase, job.End, job.Failure = Forward, "", ""
	job.Errors, job.Error, job.Wait, job.Awaits = 0, "", nil, nil
	s.setStep(step)
	s.turn.dirty, s.turn.children, s.steps = true, nil, nil
}

func (s *stint) setStep(name string) {
	job := s.turn.Job
	job.Step, job.StepSince = name, s.turn.Now()
}

// list gives the steps of the job's phase. Undoing a job that has children ends those first.
func (s *stint) list() []Step {
	if s.steps == nil {
		job := s.turn.Job
		if job.Phase == Undoing {
			s.steps = []Step{{Name: endsChildren, Do: s.endChildren}}
			s.steps = append(s.steps, s.program.Undo()...)
		} else {
			s.steps = s.program.Steps()
		}
	}
	return s.steps
}

// step carries one step out and turns its error into a move. Finished: the list is at its end.
func (s *stint) step(ctx context.Context) (move Move, finished bool, err error) {
	job, steps := s.turn.Job, s.list()
	if len(steps) == 0 || job.Step == endOfSteps {
		return Move{}, true, nil
	}
	at, err := stepIndex(steps, job.Step)
	if err != nil {
		return Move{}, false, err
	}
	step := steps[at]
	if job.Step == "" {
		s.setStep(step.Name)
	}
	if s.turn.dirty && !step.Looks {
		if err := s.turn.Save(ctx); err != nil {
			return Move{}, false, err
		}
		if s.cancelAsked() {
			return Done(), false, nil
		}
	}
	s.turn.same = false
	committed := s.program.Committed()
	move, waits, stepErr := s.gather(ctx, step)
	if stepErr == nil && waits {
		return move, false, nil
	}
	if stepErr == nil {
		move, stepErr = s.do(ctx, step)
	}
	if s.turn.lost != nil {
		return Move{}, false, s.turn.lost // the claim is gone: nothing more is changed
	}
	if p, ok := s.program.(Resumer); ok && job.Phase == Undoing && !committed && s.program.Committed() {
		s.resume(p.Resume())
		return Done(), false, s.turn.Save(ctx)
	}
	if stepErr == nil && move.what == moveFanOut {
		move, stepErr = s.fanOut(ctx, step, move)
		if s.turn.lost != nil {
			return Move{}, false, s.turn.lost
		}
	}
	if stepErr == nil && move.onward {
		job.Errors, job.Error, s.turn.same = 0, "", true // the wait's save holds it all
		return move, false, s.advance(ctx, step, at)
	}
	if stepErr != nil {
		move = s.judge(stepErr)
	} else if move.what == moveDone {
		job.Errors, job.Error = 0, ""
	}
	if move.what == moveFail && s.mustGoOn() {
		s.turn.Warn("%s: %s", step.Name, move.reason)
		move = Done()
	}
	if move.what == moveDone {
		return move, false, s.advance(ctx, step, at)
	}
	return move, false, nil
}

// endsChildren is the step with which every undo begins: from then on a fan-out is the undo's own.
const endsChildren = "end-children"

// endOfSteps is the step of a job whose last step is done and saved but whose end is not.
const endOfSteps = "end"

// advance moves on to the next step, and saves what a step made before the next one begins.
func (s *stint) advance(ctx context.Context, step Step, at int) error {
	job := s.turn.Job
	s.turn.children = nil
	if job.Fan != nil && job.Fan.Step == step.Name || step.Name == endsChildren && job.Phase == Undoing {
		job.Fan = nil
	}
	next := endOfSteps
	if at+1 < len(s.list()) {
		next = s.list()[at+1].Name
	}
	s.setStep(next)
	job.Wait = nil
	s.learn()
	if s.turn.same {
		return nil
	}
	s.turn.dirty = true
	if step.Looks || next == endOfSteps {
		return nil
	}
	return s.turn.Save(ctx)
}

// mustGoOn: past the commit point, and while undoing, no failure stops the job from reaching its end.
func (s *stint) mustGoOn() bool { return s.turn.Job.Phase == Undoing || s.program.Committed() }

func (s *stint) do(ctx context.Context, step Step) (move Move, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Class: Unknown, Op: "step " + step.Name, Message: Clip(fmt.Sprintf("panic: %v", p), 500), Ambiguous: true}
			s.turn.Note("panic: %s\n%s", Clip(fmt.Sprint(p), 500), Clip(string(debug.Stack()), 2000))
			s.turn.Log.Error("a step panicked", "step", step.Name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return step.Do(ctx, s.turn)
}

// endPhase ends the job after the last step of its phase.
func (s *stint) endPhase(ctx context.Context) (Outcome, error) {
	job := s.turn.Job
	if job.Phase == Undoing {
		return s.end(ctx, job.End)
	}
	if job.Cancel == job.Run {
		s.turn.Warn("the cancel came after the commit point; nothing was undone")
	}
	return s.end(ctx, Succeeded)
}

// wait ends the delivery of a job that waits: the next message is sent, then the job is saved, then the old message goes.
func (s *stint) wait(ctx context.Context, move Move) (Outcome, error) {
	job, now := s.turn.Job, s.turn.Now()
	s.await(ctx, move)
	until := now.Add(move.delay)
	if !move.exact {
		until = tick(now, s.engine.stretch(job, move, job.Awaits), s.engine.phase(job.Target), move.looks)
	}
	due := until.Sub(now) > MaxDelay
	if job.Wait == nil || job.Wait.For != Clip(move.reason, maxText) {
		s.turn.Note("waits for %s", move.reason)
	}
	job.Wait = &Waiting{For: Clip(move.reason, maxText), Until: until, Due: due}
	if !due {
		if err := s.sendNext(ctx, until.Sub(now)); err != nil {
			return Outcome{}, s.handBack(ctx, err)
		}
	}
	job.Seq, job.Lease, job.Claims = s.seq+1, time.Time{}, 0
	if err := s.save(ctx, Saving{Seq: s.seq}); err != nil {
		return Outcome{}, err
	}
	return deleted(), nil
}

// sendNext sends the message of the seq that the save raises the job to.
func (s *stint) sendNext(ctx context.Context, delay time.Duration) error {
	job := s.turn.Job
	next := &Message{Type: Wake, Job: job.ID, Incarnation: job.Incarnation, Run: job.Run, Seq: s.seq + 1}
	return s.engine.Sender.Send(ctx, WakeLane(job.Priority), next, delay)
}

// end writes the job's terminal state and wakes its parent.
func (s *stint) end(ctx context.Context, state State) (Outcome, error) {
	job, now := s.turn.Job, s.turn.Now()
	if s.seqless && job.Parent != nil {
		// The message in hand would not bring the parent's wake back after a crash; the job's own next one does.
		if err := s.sendNext(ctx, 5*time.Second); err != nil {
			return Outcome{}, s.handBack(ctx, err)
		}
	}
	if s.program != nil {
		if result := s.program.Result(); result != nil {
			encoded, err := encodeSmall(result, "result")
			if err != nil {
				s.turn.Warn("%v", err)
			}
			job.Result = encoded
		}
	}
	s.release()
	job.State, job.Phase, job.Wait, job.Awaits, job.Fan = state, Forward, nil, nil, nil
	job.finish(now, s.engine.Retention)
	s.turn.Note("%s", state)
	job.Seq, job.Lease, job.Claims = s.seq+1, time.Time{}, 0
	if err := s.save(ctx, Saving{Seq: s.seq, Ends: true}); err != nil {
		return Outcome{}, err
	}
	if job.Parent != nil {
		if err := s.tellParent(ctx); err != nil {
			return Outcome{}, err
		}
	}
	return deleted(), nil
}

// tellParent wakes the parent if this was the last child. The row "finished, anything else" does it again after a crash.
func (s *stint) tellParent(ctx context.Context) error {
	parent := s.turn.Job.Parent
	ended, err := s.engine.Families.Ended(ctx, *parent)
	if err != nil || ended < parent.Of {
		return err
	}
	return s.engine.wakeParent(ctx, parent)
}

// save is a save at the delivery's end. The program's data goes with it.
func (s *stint) save(ctx context.Context, saving Saving) error {
	if err := s.turn.encode(); err != nil {
		return err
	}
	cancel, err := s.engine.Store.Save(ctx, s.turn.Job, saving)
	if err == nil {
		s.giveBack(ctx)
		s.turn.Job.Cancel = max(cancel, s.turn.Job.Cancel)
	}
	return err
}

// saveTurn is a save between steps: seq stays, so that the message in hand stays live until its successor exists.
func (e *Engine) saveTurn(ctx context.Context, t *Turn) error {
	if err := t.encode(); err != nil {
		return err
	}
	t.Job.Claims = 1 // the one under way: what it makes from here on may get lost
	cancel, err := e.Store.Save(ctx, t.Job, Saving{Seq: t.Job.Seq})
	if err != nil {
		t.lost = err
		return err
	}
	t.Job.Cancel = max(cancel, t.Job.Cancel)
	t.dirty = false
	return nil
}
