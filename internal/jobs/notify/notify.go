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
	"slices"
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
	// SNSTopic is the ARN of an SNS topic, which gets the job's end as JSON.
	SNSTopic string `json:"snsTopic,omitempty" pattern:"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$" example:"arn:aws:sns:eu-west-1:111122223333:patch"`
	// EventBus is the ARN of an EventBridge event bus, which gets the job's end as an event from stampmill.
	EventBus string `json:"eventBus,omitempty" pattern:"^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[A-Za-z0-9._/-]{1,256}$" example:"arn:aws:events:eu-west-1:111122223333:event-bus/default"`
}

// Subject is what a notification is called, where a carrier wants that: the subject on SNS, the detail type on EventBridge.
const Subject = "Stampmill Job Ended"

// CheckSpec refuses an address that nobody could be reached at.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if len(s.addresses()) == 0 {
		p.At("url").Add("expected the address to notify", "write url: https://…, snsTopic or eventBus")
	}
	if s.URL == "" {
		return
	}
	if err := CheckURL(s.URL); err != nil {
		p.At("url").Add("%s", "write https://ci.example.com/hooks/stampmill", err)
	}
}

// addresses are all that are to be told.
func (s *Spec) addresses() []string {
	var all []string
	for _, address := range []string{s.URL, s.SNSTopic, s.EventBus} {
		if address != "" {
			all = append(all, address)
		}
	}
	return all
}

// State is the step's progress, for the kind's data.
type State struct {
	Tries int  `json:"tries,omitempty"`
	Ended bool `json:"ended,omitempty"` // delivered or given up, to all
	// Told are the addresses to which it was delivered or given up, where there are several.
	Told []string `json:"told,omitempty"`
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
	if s == nil || len(s.addresses()) == 0 {
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
		return jobs.Move{}, jobs.Fatalf("notify", n.spec.addresses()[0], "encode the message: "+err.Error(), "")
	}
	waits := "" // the address that did not take it
	for _, address := range n.spec.addresses() {
		if slices.Contains(n.state.Told, address) {
			continue
		}
		err := n.callback.Post(ctx, address, message.ID, body)
		switch {
		case err == nil:
			turn.Note("notified %s", address)
		case errors.Is(err, jobs.ErrFenced):
			return jobs.Move{}, err
		case jobs.IsClass(err, jobs.Fatal), turn.Now().Sub(turn.StepSince()) >= GiveUp:
			turn.Warn("nobody could be notified: %v", err)
		default:
			if n.state.Tries == 0 {
				turn.Note("notify: %v", err)
			}
			waits = address
			continue
		}
		n.state.Told = append(n.state.Told, address)
	}
	if waits == "" {
		n.state.Ended, n.state.Told = true, nil
		return jobs.Done(), nil
	}
	n.state.Tries++
	wait := min(5*time.Second<<min(n.state.Tries-1, 10), longestWait)
	return jobs.Wait(wait, "%s to take the notification (%d tries)", waits, n.state.Tries), nil
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
