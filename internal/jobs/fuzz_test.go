package jobs_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ping"
)

// alarm is a log that remembers what must never be logged.
type alarm struct {
	slog.Handler
	raised string
}

func (a *alarm) Enabled(context.Context, slog.Level) bool { return true }
func (a *alarm) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		a.raised = r.Message
		r.Attrs(func(attr slog.Attr) bool { a.raised += " " + attr.String(); return true })
	}
	return nil
}
func (a *alarm) WithAttrs([]slog.Attr) slog.Handler { return a }
func (a *alarm) WithGroup(string) slog.Handler      { return a }

const anEvent = `{"version":"0","id":"7bf73129-1428-4cd3-a780-95db273d1602","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2",` +
	`"account":"123456789012","time":"2026-11-11T21:29:54Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],` +
	`"detail":{"instance-id":"i-abcd1111","state":"pending"}}`

// Whatever stands on a queue, a delivery ends in a decision: the message is deleted, hidden for a bounded time, or goes to
// the dead letters with a reason of bounded length; no delivery panics, and what was understood is understood again.
func FuzzMessages(f *testing.F) {
	for _, body := range []string{
		`{"schema":1,"type":"submit","kind":"Ping","name":"web","key":"a","priority":"high","labels":{"a":"b"},"spec":{"seconds":1}}`,
		`{"schema":1,"type":"wake","job":"ping-web-abcdefghijklmnop","incarnation":"x","run":1,"seq":1}`,
		`{"schema":1,"type":"cancel","job":"ping-web-abcdefghijklmnop","run":1}`, `{"schema":1,"type":"retry","job":"ping-web-abcdefghijklmnop","run":9223372036854775807}`,
		`{"schema":1,"type":"nudge","job":"ping-web-abcdefghijklmnop"}`, `{"schema":2,"type":"dance"}`, `{"schema":1,"type":"dance"}`, anEvent,
		`{"Schema":1,"TYPE":"submit","kind":"Ping","name":"web","key":"child-r1-f1-0","parent":{"id":"launch-a-b","incarnation":"child","run":1,"fan":1,"index":0,"of":1}}`,
		imageEvent(awaitedAMI, "available"), imageEvent("ami-1/../x", "available"), event("aws.ec2", "EBS Snapshot Notification", `{"result":"failed","snapshot_id":"arn:/"}`),
		event("aws.ssm", "EC2 Command Invocation Status-change Notification", `{"command-id":"7e9e2b6c-1c4f-4a27-8f6e-3a5d1c0b9d8e","status":"Success"}`),
		`{"detail-type":"EC2 AMI State Change","detail":null}`, `{"detail-type":"EC2 AMI State Change","detail":{"ImageId":1}}`,
		"", "null", "[]", "\x00", `{"schema":1e400}`, `{"schema":1,"type":"submit","kind":"Ping","name":"a\u202e"}`, strings.Repeat("[", 20_000),
	} {
		f.Add([]byte(body), "5fea7756-0ea4-451a-a703-a558b933e274", 1)
	}
	f.Add([]byte(`{"schema":1,"type":"submit","kind":"Ping","name":"web"}`), "\x1b[2J", -9223372036854775808)
	f.Fuzz(func(t *testing.T, body []byte, original string, receives int) {
		r := jobs.Received{Lane: jobs.LaneNormal, ID: "own", OriginalID: original, Body: body, Receipt: "r", Receives: receives, Sent: time.UnixMilli(int64(receives))}
		m := newMemory()
		log := &alarm{}
		engine := jobs.NewEngine(jobs.EngineConfig{Store: m, Families: m, Sender: m, Awaits: m, Account: "123456789012", Region: "us-east-1", Kinds: jobs.NewKinds(ping.Kind{}), Installation: "test", Log: slog.New(log)})
		for range 2 { // once for a job that is not there, once for what the first delivery left
			outcome := engine.Deliver(t.Context(), &jobs.Delivery{Received: r, Token: "token"})
			if log.raised != "" {
				t.Fatal(log.raised)
			}
			if outcome.Hide < 0 || outcome.Hide > 15*time.Minute || len(outcome.Reason) > 5000 || outcome.Reason != "" && !outcome.Delete {
				t.Fatalf("the outcome is %+v", outcome)
			}
		}
		if len(m.rows)+len(m.tombs) > 1 || len(m.messages) > 2 {
			t.Fatalf("one message left %d rows, %d tombstones and %d messages", len(m.rows), len(m.tombs), len(m.messages))
		}
		checkUnderstood(t, body)
	})
}

func checkUnderstood(t *testing.T, body []byte) {
	t.Helper()
	if e, awaited, err := jobs.ParseEvent(body); jobs.IsEvent(body) && (awaited && strings.ContainsAny(e.Account+e.Region+e.ID, "/ ") || err != nil && len(err.Error()) > 1000) {
		t.Fatalf("the event is %+v: %v", e, err)
	}
	m, err := jobs.ParseMessage(body)
	if err != nil {
		if len(err.Error()) > 1000 {
			t.Fatalf("the error has %d bytes", len(err.Error()))
		}
		return
	}
	if id := m.JobID("own"); strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		t.Fatalf("the job's id is %q", id)
	}
	first, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := jobs.ParseMessage(first)
	if err != nil {
		t.Fatalf("what was written is not understood: %v\n%s", err, first)
	}
	if second, err := again.Encode(); err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%s is written as %s: %v", first, second, err)
	}
	now := time.Unix(1_800_000_000, 0)
	for _, job := range []*jobs.Job{
		{ID: m.Job, State: jobs.Open, Run: m.Run, Incarnation: m.Incarnation, Seq: m.Seq - 1},
		{ID: m.Job, State: jobs.Open, Run: m.Run, Incarnation: m.Incarnation, Seq: m.Seq, Lease: now.Add(time.Minute)},
	} {
		if m.Type != jobs.Wake || m.Seq < 1 {
			continue
		}
		if v := jobs.Decide(&jobs.Row{Job: job}, m, "", now); v != jobs.VerdictHide {
			t.Fatalf("%s meets seq %d and gets verdict %d; only hiding it loses nothing", first, job.Seq, v)
		}
	}
}
