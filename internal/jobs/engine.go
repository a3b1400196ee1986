package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// EngineConfig is what an Engine is made of.
type EngineConfig struct {
	Store    Store
	Families Families
	Sender   Sender
	Kinds    Kinds
	// Awaits remembers who awaits which event; nil: nobody does, and all is polled.
	Awaits Awaits
	// Ticker looks at policies when a message asks for it; nil: other workers do.
	Ticker Ticker
	// Account and Region are the worker's own, where jobs work that name no others. Without the account no event is awaited.
	Account, Region string
	// Budgets takes back what jobs don't use; nil where calls have no budgets.
	Budgets Budgets
	// Installation names this Stampmill among others in the same account.
	Installation string
	// Times default to the design's: lease 60 s, visibility 90 s, heartbeat 20 s, skew 5 s.
	Times Times
	// Retention is how long a finished job is kept: longer than queue plus dead letters keep messages (18 days). Default 30 days.
	Retention time.Duration
	// Log defaults to slog.Default.
	Log *slog.Logger
}

// Limits that keep a job that kills its workers from doing so for ever.
const (
	// SoloClaims is after how many claims without a save a job runs alone in its worker.
	SoloClaims = 2
	// MaxClaims is after how many claims without a save it fails for good.
	MaxClaims = 5
)

// Engine carries deliveries. It is safe for concurrent use.
type Engine struct {
	EngineConfig
	trust *trust
}

// NewEngine makes an engine.
func NewEngine(config EngineConfig) *Engine {
	config.Times = config.Times.withDefaults()
	if config.Retention <= 0 {
		config.Retention = 30 * 24 * time.Hour
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	return &Engine{EngineConfig: config, trust: newTrust()}
}

// Outcome is what becomes of the delivered message.
type Outcome struct {
	// Delete: it is done with. Otherwise it is hidden for Hide.
	Delete bool
	Hide   time.Duration
	// Reason, if not empty, sends it to the dead letters first.
	Reason string
}

// Delivery is one message in a worker's hands.
type Delivery struct {
	Received
	// Token is random, one a delivery: it tells a claim's own lost answer from another's claim.
	Token string
	// Claimed is called once the job is claimed, so that the heartbeat extends its lease. It may be nil.
	Claimed func(*Hold)
	// Alone, if not nil, is called before a job that seems to kill its workers goes on; it waits until nothing else runs
	// in the worker, and gives what ends that.
	Alone func(ctx context.Context) (func(), error)

	wake   *Message // of an event, if the worker has looked already who awaits it
	waiter Waiter   // who awaits it
}

func deleted() Outcome               { return Outcome{Delete: true} }
func hidden(d time.Duration) Outcome { return Outcome{Hide: d} }
func refused(reason string) Outcome {
	return Outcome{Delete: true, Reason: Clip(reason, maxText)} // it may quote what others wrote
}

// patience is how long a message is hidden that cannot be worked on now. It grows with the receives, so that an outage of
// half a day stays under the queues' redrive limit of 100.
func (d *Delivery) patience() time.Duration {
	switch {
	case d.Receives > 60:
		return 15 * time.Minute
	case d.Receives > 20:
		return 5 * time.Minute
	}
	return min(time.Second<<min(max(d.Receives-1, 0), 6), time.Minute)
}

// Deliver carries one delivery from its message to what becomes of it. It never panics for what a job does.
func (e *Engine) Deliver(ctx context.Context, d *Delivery) (outcome Outcome) {
	defer func() {
		if p := recover(); p != nil {
			e.Log.Error("a delivery panicked; its claim counts", "message", d.ID, "panic", p, "stack", string(debug.Stack()))
			outcome = hidden(d.patience())
		}
	}()
	m, outcome := e.read(ctx, d)
	if m == nil {
		return outcome
	}
	if m.Type == Tick {
		return e.tick(ctx, d, m)
	}
	a := &admission{engine: e, delivery: d, message: m, id: m.JobID(d.OriginalID)}
	if m.Type == Submit {
		if reason := a.inspect(); reason != "" {
			return refused(reason)
		}
	}
	row, outcome, err := a.admit(ctx)
	if err != nil {
		e.Log.Warn("cannot admit a message", "job", a.id, "type", m.Type, "error", err)
		return hidden(d.patience())
	}
	if row == nil {
		return outcome
	}
	return e.carry(ctx, d, m, row.Job)
}

// read gives the message, or what becomes of the delivery without one: of a body that cannot be read, or of an event that
// nobody awaits.
func (e *Engine) read(ctx context.Context, d *Delivery) (*Message, Outcome) {
	if d.wake == nil && IsEvent(d.Body) {
		outcome := e.Sift(ctx, []*Delivery{d})[0]
		return d.wake, outcome
	}
	if d.wake != nil {
		return d.wake, Outcome{}
	}
	m, err := ParseMessage(d.Body)
	if errors.Is(err, ErrNewerSchema) {
		return nil, hidden(strangerHide) // for a newer worker
	}
	if err != nil {
		return nil, refused(err.Error())
	}
	return m, Outcome{}
}

func (e *Engine) carry(ctx context.Context, d *Delivery, m *Message, job *Job) Outcome {
	hold := &Hold{Job: job.ID, Fence: job.Fence, times: e.Times}
	hold.Extend(job.Lease)
	if d.Claimed != nil {
		d.Claimed(hold)
	}
	ctx = Book(withHold(ctx, hold), job)
	log := e.Log.With("job", job.ID, "run", job.Run)
	log.Debug("claimed", "step", job.Step, "fence", job.Fence, "delivery", job.Delivery)
	if job.Claims > SoloClaims && d.Alone != nil {
		release, err := d.Alone(ctx)
		if err != nil {
			return hidden(d.patience())
		}
		defer release()
	}
	_, hasSeq := m.seq()
	if !hasSeq {
		ctx = withNews(ctx)
	}
	s := &stint{engine: e, delivery: d, seqless: !hasSeq, seq: job.Seq, event: m.awaited,
		turn: &Turn{Job: job, Installation: e.Installation, Log: log, engine: e, woken: thingOf(m.awaited)}}
	outcome, err := s.run(ctx)
	switch {
	case err == nil:
		return outcome
	case errors.Is(err, ErrFenced):
		log.Info("the claim has passed to another delivery; nothing more is changed")
	default:
		log.Warn("the delivery was given up; the next one goes on", "error", err)
	}
	return hidden(d.patience())
}

// admission finds out, by as few conditional writes as possible, whether the delivery may work on the job.
type admission struct {
	engine   *Engine
	delivery *Delivery
	message  *Message
	id       string
	digest   string
}

// inspect checks a submission's spec; the reason is for the dead letters.
func (a *admission) inspect() string {
	kind, ok := a.engine.Kinds[a.message.Kind]
	if !ok {
		return fmt.Sprintf(`"kind" is %q; expected one of %v`, a.message.Kind, a.engine.Kinds.Names())
	}
	if len(a.message.Spec) > MaxSpec {
		return fmt.Sprintf("the spec has %d bytes; at most %d are taken: larger scripts and files go to the bucket", len(a.message.Spec), MaxSpec)
	}
	digest, err := a.message.Digest()
	if err != nil {
		return err.Error()
	}
	a.digest = digest
	if err := check(kind, a.message.Spec); err != nil {
		return fmt.Sprintf("the spec of %s %s is not valid: %v", a.message.Kind, a.message.Name, err)
	}
	return ""
}

// admit gives the claimed row, or what becomes of the message.
func (a *admission) admit(ctx context.Context) (*Row, Outcome, error) {
	row := presume(a.message)
	for range 6 {
		now := a.engine.Times.now()
		verdict := Decide(row, a.message, a.digest, now.Add(-a.engine.Times.Skew))
		switch verdict {
		case VerdictDelete:
			return nil, deleted(), nil
		case VerdictRefuse:
			return nil, refused("same key, another spec: " + a.id + " exists; use another key, or the same spec"), nil
		case VerdictHide:
			return nil, hidden(a.hideFor(row.Job, now)), nil
		case VerdictWakeParent:
			return nil, deleted(), a.engine.wakeParent(ctx, row.Job.Parent)
		}
		next, ok, err := a.attempt(ctx, verdict, now)
		if err != nil {
			return nil, Outcome{}, err
		}
		if ok && verdict == VerdictTombstone {
			return nil, deleted(), nil
		}
		if ok && verdict != VerdictFlag && verdict != VerdictOrder {
			return next, Outcome{}, nil
		}
		row = next
	}
	return nil, hidden(a.delivery.patience()), nil
}

// attempt carries the verdict's write out. Without ok, the row is what stands there in truth.
func (a *admission) attempt(ctx context.Context, verdict Verdict, now time.Time) (*Row, bool, error) {
	store := a.engine.Store
	switch verdict {
	case VerdictCreate, VerdictCreateCancelled:
		job := a.newJob(now, verdict == VerdictCreateCancelled)
		row, err := store.Create(ctx, job, verdict == VerdictCreateCancelled)
		if err != nil || row == nil {
			return &Row{Job: job}, err == nil, err
		}
		if row.Job != nil && row.Job.Delivery == a.delivery.Token {
			return row, true, nil // its own answer was lost
		}
		return row, false, nil
	case VerdictTombstone:
		return store.Bury(ctx, a.id, a.message.Run, now.Add(a.engine.Retention))
	case VerdictFlag:
		return store.Flag(ctx, a.id, a.message.Run, a.message.Incarnation)
	}
	if verdict == VerdictOrder {
		return store.Order(ctx, a.id, a.message.Run, a.message.Incarnation, a.message.Verb, a.message.order())
	}
	claim := Claim{ID: a.id, Incarnation: a.message.Incarnation, Delivery: a.delivery.Token,
		Now: now.Add(-a.engine.Times.Skew), Until: now.Add(a.engine.Times.Lease)}
	claim.Seq, claim.HasSeq = a.message.seq()
	if a.message.Type == Wake || a.message.awaited != "" {
		claim.Run = a.message.Run
	}
	claim.Await = a.message.awaited
	if verdict == VerdictReopen {
		claim.Reopen = a.message.Run
	}
	row, ok, err := store.Claim(ctx, claim)
	if err == nil && !ok && row != nil && row.Job != nil && row.Job.Delivery == a.delivery.Token && row.Job.Leased(now) {
		return row, true, nil // its own answer was lost
	}
	return row, ok, err
}

// hideFor is how long a message waits that cannot be worked on now: seconds at first, at most till the lease ends.
func (a *admission) hideFor(job *Job, now time.Time) time.Duration {
	if job.Schema > SchemaVersion {
		return strangerHide
	}
	if seq, has := a.message.seq(); has && seq > job.Seq && a.delivery.Receives <= 1 {
		return 0 // its sender is about to save
	}
	patience := a.delivery.patience()
	if rest := job.Lease.Sub(now); rest > 0 {
		return min(patience, rest+time.Second)
	}
	return patience
}

func (a *admission) newJob(now time.Time, cancelled bool) *Job {
	m := a.message
	key := m.Key
	if key == "" {
		key = a.delivery.OriginalID
	}
	priority := m.Priority
	if priority == "" {
		priority = Normal
	}
	job := &Job{
		ID: a.id, Schema: SchemaVersion, Kind: m.Kind, Name: m.Name, Target: m.Target(), Key: key,
		Incarnation: NewIncarnation(), Run: 1, Spec: m.Spec, Digest: a.digest, Labels: m.Labels,
		Priority: priority, Parent: m.Parent, State: Open,
		Fence: 1, Lease: now.Add(a.engine.Times.Lease), Delivery: a.delivery.Token, Claims: 1,
		Created: now, Updated: now, StepSince: now,
	}
	if cancelled {
		job.Cancel = 1
	}
	return job
}

// wakeParent nudges the parent of a finished child. A nudge too many does no harm.
func (e *Engine) wakeParent(ctx context.Context, parent *Parent) error {
	nudge := &Message{Type: Nudge, Job: parent.ID, Incarnation: parent.Incarnation, Run: parent.Run}
	return e.Sender.Send(ctx, WakeLane(parent.Priority), nudge, 0)
}
