// Package notify tells whoever a spec names how a job ended: the last step of every kind, forward and after an undo.
//
// Delivery is at least once. It is a step of the job, so it survives workers: each call makes its own quick retry, and
// then the step waits and calls again, for up to a day. The id is the same for every repetition; a job's retry or another
// end has another one. A notification that cannot be delivered is a warning and never fails a job.
//
// A kind embeds State in its progress and appends Steps to its forward and to its undo list:
//
//	steps = append(steps, notify.Steps(b.spec.Notify, b.callback, &b.progress.Notify, b.Result)...)
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// StepName is the name of the step in every kind's list.
const StepName = "notify"

// GiveUp is for how long deliveries are tried.
const GiveUp = 24 * time.Hour

// longestWait is between two tries.
const longestWait = 15 * time.Minute

// Callback posts a body under a delivery id. An error of class Fatal will not get better; any other may.
type Callback interface {
	Post(ctx context.Context, url, id string, body []byte) error
}

// Spec says who is told when the job has ended.
type Spec struct {
	// URL gets a signed HTTP POST with the job's end as JSON. It is repeated for up to a day until it answers 2xx; the
	// header Stampmill-Delivery is the same for every repetition.
	URL string `json:"url,omitempty" example:"https://ci.example.com/hooks/stampmill"`
	// SNSTopic is the ARN of an SNS topic. This version does not publish to SNS and refuses it.
	SNSTopic string `json:"snsTopic,omitempty" example:"arn:aws:sns:eu-west-1:111122223333:patch"`
}

// CheckSpec refuses an address that nobody could be reached at.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if s.SNSTopic != "" {
		p.At("snsTopic").Add("SNS topics are not available in this version", "write url, an address that takes an HTTP POST")
	}
	if s.URL == "" {
		if s.SNSTopic == "" {
			p.At("url").Add("expected the address to notify", "write url: https://…")
		}
		return
	}
	if err := CheckURL(s.URL); err != nil {
		p.At("url").Add("%s", "write https://ci.example.com/hooks/stampmill", err)
	}
}

// State is the step's progress, for the kind's data.
type State struct {
	Tries int  `json:"tries,omitempty"`
	Ended bool `json:"ended,omitempty"` // delivered or given up
}

// Message is the body of a notification.
type Message struct {
	Schema      int               `json:"schema"`
	ID          string            `json:"id"`
	Job         string            `json:"job"`
	Kind        string            `json:"kind"`
	Name        string            `json:"name"`
	Key         string            `json:"key,omitempty"`
	Region      string            `json:"region,omitempty"`
	Role        string            `json:"role,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Incarnation string            `json:"incarnation"`
	Run         int               `json:"run"`
	State       jobs.State        `json:"state"`
	Failure     string            `json:"failure,omitempty"`
	Warnings    []string          `json:"warnings,omitempty"`
	Result      any               `json:"result,omitempty"`
	Created     time.Time         `json:"created"`
	Ended       time.Time         `json:"ended"`
}

// Steps is the step, or nothing where the spec names nobody. Result is called when the message is written; it may be nil.
func Steps(s *Spec, callback Callback, state *State, result func() any) []jobs.Step {
	if s == nil || s.URL == "" {
		return nil
	}
	n := notifier{spec: s, callback: callback, state: state, result: result}
	return []jobs.Step{{Name: StepName, Do: n.do}}
}

type notifier struct {
	spec     *Spec
	callback Callback
	state    *State
	result   func() any
}

func (n notifier) do(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if n.state.Ended {
		return jobs.Done(), nil
	}
	message := n.message(turn)
	body, err := json.Marshal(message)
	if err != nil {
		return jobs.Move{}, jobs.Fatalf("notify", n.spec.URL, "encode the message: "+err.Error(), "")
	}
	err = n.callback.Post(ctx, n.spec.URL, message.ID, body)
	switch {
	case err == nil:
		n.state.Ended = true
		turn.Note("notified %s", n.spec.URL)
		return jobs.Done(), nil
	case errors.Is(err, jobs.ErrFenced):
		return jobs.Move{}, err
	case jobs.IsClass(err, jobs.Fatal), turn.Now().Sub(turn.StepSince()) >= GiveUp:
		n.state.Ended = true
		turn.Warn("nobody could be notified: %v", err)
		return jobs.Done(), nil
	}
	n.state.Tries++
	if n.state.Tries == 1 {
		turn.Note("notify: %v", err)
	}
	wait := min(5*time.Second<<min(n.state.Tries-1, 10), longestWait)
	return jobs.Wait(wait, "%s to take the notification (%d tries)", n.spec.URL, n.state.Tries), nil
}

// stored is a time as the table gives it back, so that a repetition by another delivery says the same.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// message is the same for every repetition: its times are the job's, not the clock's.
func (n notifier) message(turn *jobs.Turn) Message {
	job := turn.Job
	m := Message{
		Schema: jobs.SchemaVersion, Job: job.ID, Kind: job.Kind, Name: job.Name, Key: job.Key,
		Region: job.Target.Region, Role: job.Target.Role, Labels: job.Labels,
		Incarnation: job.Incarnation, Run: job.Run, State: jobs.Succeeded, Warnings: job.Warnings,
		Created: stored(job.Created), Ended: stored(turn.StepSince()),
	}
	if job.Phase == jobs.Undoing {
		m.State, m.Failure = job.End, job.Failure
	}
	if n.result != nil {
		m.Result = n.result()
	}
	m.ID = fmt.Sprintf("%s-%s-r%d-%s", job.ID, job.Incarnation, job.Run, m.State)
	return m
}
