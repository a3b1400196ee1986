package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

const (
	awaitedAMI = "ami-0123456789abcdef0"
	watchLook  = 10 * time.Minute
)

// watch is a kind that waits for one AMI. It is there once something was made under its id.
type watch struct{ memory *memory }

type watchProgram struct {
	memory *memory
	job    *jobs.Job
}

func (watch) Name() string                { return "Watch" }
func (watch) Check(json.RawMessage) error { return nil }
func (k watch) Program(job *jobs.Job) (jobs.Program, error) {
	return &watchProgram{k.memory, job}, nil
}

func (p *watchProgram) Steps() []jobs.Step {
	return []jobs.Step{{Name: "look", Looks: true, Do: p.look}, {Name: "made", Do: p.made}}
}
func (p *watchProgram) Undo() []jobs.Step { return nil }
func (p *watchProgram) Committed() bool   { return false }
func (p *watchProgram) Data() any         { return nil }
func (p *watchProgram) Result() any       { return nil }

func (p *watchProgram) look(_ context.Context, _ *jobs.Turn) (jobs.Move, error) {
	there := false
	err := p.memory.call(func() error { there = p.memory.things[awaitedAMI] > 0; return nil })
	if err != nil || there {
		return jobs.Done(), err
	}
	return jobs.Wait(watchLook, "the AMI").Awaiting(jobs.Await{ID: awaitedAMI}), nil
}

func (p *watchProgram) made(context.Context, *jobs.Turn) (jobs.Move, error) {
	return jobs.Done(), p.memory.make("made by " + p.job.ID)
}

func (w *world) watch() string {
	w.t.Helper()
	m := &jobs.Message{Type: jobs.Submit, Kind: "Watch", Name: "web", Key: "k", Spec: json.RawMessage(`{}`)}
	w.send(jobs.LaneNormal, m)
	return m.JobID("")
}

// happens lets the AMI be there after a while, and tells of it if told. What it gives waits until then.
func (w *world) happens(after time.Duration, told bool) (wait func()) {
	var happening sync.WaitGroup
	happening.Go(func() {
		time.Sleep(after)
		w.memory.mu.Lock()
		defer w.memory.mu.Unlock()
		w.memory.things[awaitedAMI]++
		if told {
			w.memory.enqueueRaw(jobs.LaneWake, []byte(imageEvent(awaitedAMI, "available")))
		}
	})
	return happening.Wait
}

func (m *memory) enqueueRaw(lane jobs.Lane, body []byte) {
	m.next++
	m.messages = append(m.messages, &queued{id: fmt.Sprint("message-", m.next), lane: lane, body: body, visible: time.Now()})
	m.signal()
}

func TestAnEventWakesTheJobThatAwaitsItsThingAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id, begun := w.watch(), time.Now()
		defer w.happens(3*time.Minute, true)()
		w.run()
		w.wantState(id, jobs.Succeeded)
		if took := w.job(id).Ended.Sub(begun); took > 3*time.Minute+2*time.Second {
			t.Errorf("it went on %s after the event", took-3*time.Minute)
		}
	})
}

func TestAnEventThatGetsLostDelaysItsJobUntilTheNextLookOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id, begun := w.watch(), time.Now()
		defer w.happens(3*time.Minute, false)()
		w.run()
		w.wantState(id, jobs.Succeeded)
		if took := w.job(id).Ended.Sub(begun); took > watchLook+15*time.Second {
			t.Errorf("it went on after %s", took)
		}
	})
}

// What stands behind an event and what it finds decide what becomes of it: it never takes a job from a claim, never wakes
// another run or incarnation, and never one that awaits something else by now.
func TestAnEventClaimsOnlyTheFreeJobThatAwaitsIt(t *testing.T) {
	t.Parallel()
	key := "123456789012/us-east-1/" + awaitedAMI
	for _, c := range []struct {
		name   string
		change func(job *jobs.Job, a *awaited)
		want   string
	}{
		{"free and awaiting", func(*jobs.Job, *awaited) {}, "claimed"},
		{"leased", func(job *jobs.Job, _ *awaited) { job.Lease = time.Now().Add(time.Minute) }, "hidden"},
		{"leased, before its save", func(job *jobs.Job, _ *awaited) { job.Lease, job.Awaits = time.Now().Add(time.Minute), nil }, "hidden"},
		{"awaits something else", func(job *jobs.Job, _ *awaited) { job.Awaits = []string{"123456789012/us-east-1/i-01234567"} }, "deleted"},
		{"awaits nothing", func(job *jobs.Job, _ *awaited) { job.Awaits = nil }, "deleted"},
		{"another incarnation", func(_ *jobs.Job, a *awaited) { a.Incarnation = "another" }, "deleted"},
		{"another run", func(_ *jobs.Job, a *awaited) { a.Run = 2 }, "deleted"},
		{"finished", func(job *jobs.Job, _ *awaited) { job.State = jobs.Succeeded }, "deleted"},
		{"gone", func(_ *jobs.Job, a *awaited) { a.Job = "watch-web-gone" }, "deleted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			job := &jobs.Job{ID: "watch-web-abc", Schema: 1, Kind: "Watch", Name: "web", Incarnation: "one", Run: 1, State: jobs.Open, Step: "look",
				Seq: 3, Fence: 7, Awaits: []string{key}}
			waiter := awaited{jobs.Waiter{Job: job.ID, Incarnation: "one", Run: 1}, 7}
			c.change(job, &waiter)
			m.put(job)
			m.awaits[key] = waiter
			engine := jobs.NewEngine(jobs.EngineConfig{Store: m, Families: m, Sender: m, Kinds: jobs.NewKinds(watch{m}), Awaits: m,
				Account: "123456789012", Region: "us-east-1", Log: quiet})
			outcome := engine.Deliver(t.Context(), &jobs.Delivery{Token: "t",
				Received: jobs.Received{Lane: jobs.LaneWake, ID: "e", OriginalID: "e", Body: []byte(imageEvent(awaitedAMI, "available")), Receives: 1}})
			got := "deleted"
			if m.load(job.ID).Job.Fence > 7 {
				got = "claimed"
			} else if !outcome.Delete {
				got = "hidden"
			}
			if got != c.want || outcome.Reason != "" || outcome.Hide > 2*time.Second || (len(m.rows) != 1) {
				t.Errorf("the event is %s (%+v), want %s", got, outcome, c.want)
			}
		})
	}
}

// A flood of events that nobody awaits costs one read each at the most, in few calls, and no write.
func TestEventsOfStrangersCostOneLookUpTogetherAndChangeNothing(t *testing.T) {
	t.Parallel()
	m := newMemory()
	engine := jobs.NewEngine(jobs.EngineConfig{Store: m, Families: m, Sender: m, Awaits: m, Account: "123456789012", Region: "us-east-1", Log: quiet})
	var events []*jobs.Delivery
	for i := range 100 {
		for _, state := range []string{"pending", "running", "terminated", "terminated"} {
			body := event("aws.ec2", "EC2 Instance State-change Notification", fmt.Sprintf(`{"instance-id":"i-%08x","state":%q}`, i, state))
			events = append(events, &jobs.Delivery{Received: jobs.Received{Body: []byte(body)}})
		}
	}
	for i, outcome := range engine.Sift(t.Context(), events) {
		if outcome != (jobs.Outcome{Delete: true}) {
			t.Fatalf("%s: %+v", events[i].Body, outcome)
		}
	}
	if m.calls != 1 {
		t.Errorf("%d calls, want one look-up", m.calls)
	}
	if len(m.rows)+len(m.awaits)+len(m.messages)+len(m.dead) > 0 {
		t.Error("something was written")
	}
}

func TestEventsAreKeptWhileNobodyCanBeAskedWhoAwaitsThem(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.refuse = func(what string) error { return fmt.Errorf("%s: refused", what) }
	engine := jobs.NewEngine(jobs.EngineConfig{Store: m, Families: m, Sender: m, Awaits: m, Account: "123456789012", Region: "us-east-1", Log: quiet})
	outcomes := engine.Sift(t.Context(), []*jobs.Delivery{
		{Received: jobs.Received{Body: []byte(imageEvent(awaitedAMI, "available"))}},
		{Received: jobs.Received{Body: []byte(imageEvent(awaitedAMI, "pending"))}},
	})
	if outcomes[0].Delete || outcomes[0].Hide <= 0 || !outcomes[1].Delete {
		t.Errorf("the outcomes are %+v", outcomes)
	}
}

func TestADeathAtEveryCallLosesNoJobThatAwaitsAnEvent(t *testing.T) {
	t.Parallel()
	for call := 1; ; call++ {
		died := false
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.memory.dieAt, w.memory.after = call, after
				id := w.watch()
				defer w.happens(3*time.Minute, true)()
				w.run()
				died = died || w.memory.worker > 0
				w.wantState(id, jobs.Succeeded)
				if n := w.memory.effects; n != 1 {
					t.Errorf("death at call %d (after %v): %d things were made, want one", call, after, n)
				}
			})
		}
		if !died {
			if call < 8 {
				t.Fatalf("the job made %d calls only", call)
			}
			return
		}
	}
}

func TestThingsAreAwaitedWhereTheyAre(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target jobs.Target
		await  jobs.Await
		want   string
	}{
		{jobs.Target{}, jobs.Await{ID: "i-1"}, "123456789012/us-east-1/i-1"},
		{jobs.Target{Region: "eu-west-1"}, jobs.Await{ID: "i-1"}, "123456789012/eu-west-1/i-1"},
		{jobs.Target{Region: "eu-west-1"}, jobs.Await{Region: "eu-central-1", ID: "ami-1"}, "123456789012/eu-central-1/ami-1"},
		{jobs.Target{Role: "arn:aws:iam::999999999999:role/stampmill"}, jobs.Await{ID: "i-1"}, "999999999999/us-east-1/i-1"},
		{jobs.Target{}, jobs.Await{}, ""},
	} {
		m := newMemory()
		engine := jobs.NewEngine(jobs.EngineConfig{Store: m, Families: m, Sender: m, Awaits: m, Account: "123456789012", Region: "us-east-1", Log: quiet,
			Kinds: jobs.NewKinds(patient{c.await})})
		body, err := (&jobs.Message{Type: jobs.Submit, Kind: "Patient", Name: "web", Key: "k", Role: c.target.Role, Region: c.target.Region, Spec: json.RawMessage(`{}`)}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		engine.Deliver(t.Context(), &jobs.Delivery{Token: "t", Received: jobs.Received{Lane: jobs.LaneNormal, ID: "m", OriginalID: "m", Body: body, Receives: 1}})
		if _, found := m.awaits[c.want]; found != (c.want != "") || len(m.awaits) > 1 {
			t.Errorf("%v of a job in %v is awaited as %v, want %q", c.await, c.target, m.awaits, c.want)
		}
	}
}

// patient is a kind that awaits a thing and never sees it.
type patient struct{ await jobs.Await }

func (patient) Name() string                              { return "Patient" }
func (patient) Check(json.RawMessage) error               { return nil }
func (p patient) Program(*jobs.Job) (jobs.Program, error) { return p, nil }
func (patient) Undo() []jobs.Step                         { return nil }
func (patient) Committed() bool                           { return false }
func (patient) Data() any                                 { return nil }
func (patient) Result() any                               { return nil }
func (p patient) Steps() []jobs.Step {
	return []jobs.Step{{Name: "wait", Looks: true, Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
		return jobs.Wait(time.Hour, "it").Awaiting(p.await), nil
	}}}
}
