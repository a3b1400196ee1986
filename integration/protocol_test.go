package integration

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/workerd"
)

// mill is an installation with workers.
type mill struct {
	*app.App
	t *testing.T
}

func newMill(t *testing.T, prefix string) *mill {
	t.Helper()
	a, err := app.Open(t.Context(), install(t, prefix))
	if err != nil {
		t.Fatal(err)
	}
	return &mill{App: a, t: t}
}

// work runs a worker until the test ends, or until stop.
func (m *mill) work() (stop func()) {
	m.t.Helper()
	c := config.Worker{Common: m.Common, Slots: 8, Lease: 6 * time.Second, Visibility: 9 * time.Second, Poll: time.Second,
		SweepInterval: time.Second, Retention: 30 * 24 * time.Hour}
	process, err := workerd.New(m.App, c, slog.New(slog.DiscardHandler))
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { process.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	m.t.Cleanup(stop)
	return stop
}

func (m *mill) send(message *jobs.Message) string {
	m.t.Helper()
	if err := m.Queue.Send(m.t.Context(), jobs.LaneNormal, message, 0); err != nil {
		m.t.Fatal(err)
	}
	return message.JobID("")
}

func ping(name, key, spec string) *jobs.Message {
	return &jobs.Message{Type: jobs.Submit, Kind: "Ping", Name: name, Key: key, Spec: json.RawMessage(spec)}
}

// ended waits for the job's end.
func (m *mill) ended(id string) *jobs.Job {
	m.t.Helper()
	var job *jobs.Job
	m.until("the end of "+id, func() bool {
		row, err := m.Store.Load(m.t.Context(), id)
		if err != nil {
			m.t.Fatal(err)
		}
		if row == nil || row.Job == nil || !row.Job.Finished() {
			return false
		}
		job = row.Job
		return true
	})
	return job
}

func (m *mill) until(what string, is func() bool) {
	m.t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for !is() {
		select {
		case <-deadline:
			m.t.Fatalf("%s did not come within a minute", what)
		case <-ticker.C:
		}
	}
}

// dead takes the dead letters.
func (m *mill) dead() []jobs.Received {
	m.t.Helper()
	out, err := m.SQS().ReceiveMessage(m.t.Context(), receiveDead(m.Queue.URL(queue.DeadLetters)))
	if err != nil {
		m.t.Fatal(err)
	}
	var list []jobs.Received
	for _, message := range out.Messages {
		r := queue.FromSQS(queue.DeadLetters, message)
		r.Body = []byte(*message.MessageAttributes[queue.AttributeReason].StringValue + "\n" + string(r.Body))
		list = append(list, r)
	}
	return list
}

func receiveDead(url string) *sqs.ReceiveMessageInput {
	return &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 5, MessageAttributeNames: []string{"All"}}
}

func TestAJobIsTakenWaitsAndEnds(t *testing.T) {
	t.Parallel()
	m := newMill(t, "it-ends")
	m.work()
	begun := time.Now()
	job := m.ended(m.send(ping("a", "k", `{"message":"hi","wait":"3s"}`)))
	if job.State != jobs.Succeeded || !strings.Contains(string(job.Result), `"hi"`) || time.Since(begun) < 3*time.Second {
		t.Fatalf("%s after %s: %s %s", job.State, time.Since(begun), job.Failure, job.Result)
	}
}

func TestTheSameKeyIsOneJobAndAnotherSpecIsRefused(t *testing.T) {
	t.Parallel()
	m := newMill(t, "it-key")
	m.work()
	first := m.ended(m.send(ping("a", "k", `{"message":"one"}`)))
	m.send(ping("a", "k", `{ "message": "one" }`))
	m.send(ping("a", "k", `{"message":"two"}`))
	var dead []jobs.Received
	m.until("the dead letter", func() bool { dead = append(dead, m.dead()...); return len(dead) > 0 })
	if len(dead) != 1 || !strings.HasPrefix(string(dead[0].Body), "same key, another spec") {
		t.Fatalf("dead letters: %s", dead[0].Body)
	}
	if again := m.ended(first.ID); again.Incarnation != first.Incarnation || again.Run != 1 || again.Fence != first.Fence {
		t.Fatalf("the job was carried out again: %+v", again)
	}
}

func TestACancelThatOvertakesItsSubmissionWins(t *testing.T) {
	t.Parallel()
	m := newMill(t, "it-cancel")
	stop := m.work()
	submission := ping("a", "k", `{}`)
	m.send(&jobs.Message{Type: jobs.Cancel, Job: submission.JobID(""), Run: 1})
	m.until("the tombstone", func() bool {
		row, err := m.Store.Load(t.Context(), submission.JobID(""))
		return err == nil && row != nil && row.Tombstone
	})
	stop()
	m.work()
	if job := m.ended(m.send(submission)); job.State != jobs.Cancelled {
		t.Fatalf("the job is %s", job.State)
	}
}

func TestARetryIsTheNextRun(t *testing.T) {
	t.Parallel()
	m := newMill(t, "it-retry")
	m.work()
	job := m.ended(m.send(ping("a", "k", `{"fail":true}`)))
	if job.State != jobs.Failed {
		t.Fatalf("the job is %s", job.State)
	}
	m.send(&jobs.Message{Type: jobs.Reopen, Job: job.ID, Run: 1})
	m.until("run 2", func() bool { return m.ended(job.ID).Run == 2 })
}

func TestPoisonGoesToTheDeadLettersWhileOthersGoOn(t *testing.T) {
	t.Parallel()
	m := newMill(t, "it-poison")
	m.work()
	for _, body := range []string{`{`, `{"schema":1,"type":"submit","kind":"Ping","name":"a","spec":{"wait":"soon"}}`} {
		if err := m.Queue.SendRaw(t.Context(), jobs.LaneNormal, []byte(body), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if job := m.ended(m.send(ping("sound", "k", `{}`))); job.State != jobs.Succeeded {
		t.Fatalf("the sound job is %s", job.State)
	}
	var dead []jobs.Received
	m.until("two dead letters", func() bool { dead = append(dead, m.dead()...); return len(dead) == 2 })
}

func TestALongWaitHasNoMessageAndIsSwept(t *testing.T) {
	t.Parallel()
	m := newMill(t, "it-sweep")
	m.work()
	id := m.send(ping("a", "k", `{"wait":"2h"}`))
	m.until("the due entry", func() bool {
		due, err := m.Store.Due(t.Context(), time.Now().Add(3*time.Hour), 10)
		return err == nil && len(due) == 1 && due[0].ID == id
	})
	due, err := m.Store.Due(t.Context(), time.Now().Add(3*time.Hour), 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Store.Postpone(t.Context(), due[0], time.Now()); err != nil { // as if two hours had passed
		t.Fatal(err)
	}
	m.until("the wake", func() bool {
		row, err := m.Store.Load(t.Context(), id)
		return err == nil && row.Job.Seq > due[0].Seq
	})
	m.send(&jobs.Message{Type: jobs.Cancel, Job: id, Run: 1})
	if job := m.ended(id); job.State != jobs.Cancelled {
		t.Fatalf("the job is %s", job.State)
	}
}
