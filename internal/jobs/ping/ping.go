// Package ping is the smallest kind: one step that makes no AWS call. A Ping proves a set-up end to end (queue, table, worker)
// and measures how long a job takes to be begun and ended.
package ping

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Spec says what comes back. All of it may be absent.
type Spec struct {
	// Message comes back in the result; at most 64 KB.
	Message string `json:"message,omitempty" example:"hello"`
	// Wait is how long the job waits before it ends: for trying out waits, cancels and drains.
	Wait spec.Duration `json:"wait,omitempty" example:"30s"`
	// Stages is in how many stages it answers, each a delivery of its own: for measuring how workers share themselves out.
	Stages int `json:"stages,omitempty" min:"0" max:"1000" example:"9"`
	// Fail makes the job fail, for trying out what watches for failures.
	Fail bool `json:"fail,omitempty"`
}

// MaxMessage is the longest message in bytes.
const MaxMessage = 64 << 10

// MaxWait is the longest wait.
const MaxWait = 7 * 24 * time.Hour

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if len(s.Message) > MaxMessage {
		p.At("message").Add("expected at most %d bytes, found %d", "shorten it", MaxMessage, len(s.Message))
	}
	if time.Duration(s.Wait) > MaxWait {
		p.At("wait").Add("expected at most 7d, found %s", "shorten it", s.Wait)
	}
}

// Result tells when what happened.
type Result struct {
	Message string `json:"message,omitempty"`
	// Created is when a worker took the submission, Answered when the step was carried out.
	Created  time.Time `json:"created"`
	Answered time.Time `json:"answered"`
}

// Kind is the kind Ping.
type Kind struct{}

// Name is Ping.
func (Kind) Name() string { return "Ping" }

// Check says what is wrong with a spec.
func (Kind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[Spec](raw)
	return err
}

// Program opens a ping.
func (Kind) Program(job *jobs.Job) (jobs.Program, error) {
	s, err := spec.Read[Spec](job.Spec)
	if err != nil {
		return nil, err
	}
	p := &program{spec: s, created: job.Created}
	if len(job.Data) > 0 {
		if err := json.Unmarshal(job.Data, &p.progress); err != nil {
			return nil, fmt.Errorf("the ping's progress: %w", err)
		}
	}
	return p, nil
}

type program struct {
	spec     Spec
	created  time.Time
	progress progress
}

type progress struct {
	// Stage is how many stages are behind it.
	Stage    int       `json:"stage,omitempty"`
	Answered time.Time `json:"answered,omitzero"`
}

func (p *program) Steps() []jobs.Step {
	return []jobs.Step{{Name: "answer", Looks: true, Do: p.answer}}
}
func (p *program) Undo() []jobs.Step { return nil }
func (p *program) Committed() bool   { return false }

// Data is nothing until there is something: an item without it is written cheaper.
func (p *program) Data() any {
	if p.progress == (progress{}) {
		return nil
	}
	return p.progress
}

func (p *program) Result() any {
	return Result{Message: p.spec.Message, Created: p.created, Answered: p.progress.Answered}
}

func (p *program) answer(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if p.spec.Wait > 0 {
		if rest := turn.StepSince().Add(time.Duration(p.spec.Wait)).Sub(turn.Now()); rest > 0 {
			return jobs.Wait(rest, "the time that its spec asks for"), nil
		}
	}
	if p.progress.Stage+1 < p.spec.Stages {
		p.progress.Stage++
		return jobs.Yield(), nil
	}
	if p.spec.Fail {
		return jobs.Fail("its spec asks it to fail"), nil
	}
	p.progress.Answered = turn.Now().UTC()
	return jobs.Done(), nil
}
