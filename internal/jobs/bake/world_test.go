package bake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/capacity/capacitytest"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

const home = "eu-west-1"

// world is AWS and the job store in memory, as one bake sees them, in virtual time. A worker can die at any call: from
// then on every call of it fails at once, and the next delivery is another worker's.
type world struct {
	t       *testing.T
	calls   []string // in order: "RunInstances eu-west-1"
	dieAt   int      // the number of the call; 0: never
	after   bool     // it dies after the call's effect
	dead    bool
	rows    map[string]json.RawMessage
	pending []*message
	next    int

	regions  map[string]*region
	versions map[int]l.Version
	current  int
	numbers  int
	usual    map[string]l.Usual
	takes    time.Duration // by an AMI, to become available
	kept     map[string]time.Time
	fleets   []l.Fleet
	servers  map[string][]l.Server
	posts    []string
	// answer gives the exit code of a script by the name of its step; absent: 0.
	answer map[string]int
	// ran counts how often the script of a token ran.
	ran map[string]int
	// full are the instance types without capacity.
	full map[string]bool
	// refused remembers pools without capacity.
	refused capacitytest.Memory
	// lag is after what time a Describe shows what was made.
	lag time.Duration
	// on is called at the call of that name, before its effect.
	on map[string]func()
}

type message struct {
	body     []byte
	visible  time.Time
	receives int
	id       string
}

type region struct {
	w         *world
	name      string
	instances map[string]*instance
	images    map[string]*ami
	snapshots map[string]c.Snapshot
	commands  map[string]c.Invocation
	params    map[string]string
	templates []string
	defaults  string
	shares    map[string]c.Share
	bad       int // captures and copies to fail from now on
}

type instance struct {
	c.Instance
	since, made time.Time
}

type ami struct {
	c.Image
	begun time.Time
	takes time.Duration
	fails bool
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, takes: 6 * time.Minute, rows: map[string]json.RawMessage{}, regions: map[string]*region{}, versions: map[int]l.Version{}, kept: map[string]time.Time{},
		servers: map[string][]l.Server{}, answer: map[string]int{}, ran: map[string]int{}, full: map[string]bool{}, on: map[string]func(){}}
	w.region(home).images["ami-00000001"] = &ami{Image: c.Image{ID: "ami-00000001", Name: "al2023", State: "available", Architecture: "arm64",
		RootDevice: "/dev/xvda"}, begun: time.Now().Add(-time.Hour)}
	return w
}

func (w *world) region(name string) *region {
	if w.regions[name] == nil {
		w.regions[name] = &region{w: w, name: name, instances: map[string]*instance{}, images: map[string]*ami{}, snapshots: map[string]c.Snapshot{},
			commands: map[string]c.Invocation{}, params: map[string]string{}, shares: map[string]c.Share{}}
	}
	return w.regions[name]
}

var errDead = errors.New("this worker is dead")

// call carries one call out.
func (w *world) call(name string, effect func() error) error {
	if w.dead {
		return errDead
	}
	w.calls = append(w.calls, name)
	if hook := w.on[name]; hook != nil {
		hook()
	}
	if len(w.calls) == w.dieAt && !w.after {
		w.dead = true
		return errDead
	}
	err := effect()
	if len(w.calls) == w.dieAt {
		w.dead = true
		return errDead
	}
	return err
}

func (w *world) count(names ...string) int {
	n := 0
	for _, call := range w.calls {
		name, _, _ := strings.Cut(call, " ")
		if slices.Contains(names, name) {
			n++
		}
	}
	return n
}

func (w *world) id(prefix string) string {
	w.next++
	return fmt.Sprintf("%s-%08d", prefix, w.next)
}

var quiet = slog.New(slog.DiscardHandler)

func (w *world) engine() *jobs.Engine {
	kind := bake.New(bake.Config{
		EC2:     func(t jobs.Target) bake.EC2 { return w.region(t.Region) },
		SSM:     func(t jobs.Target) bake.SSM { return w.region(t.Region) },
		Catalog: w, Capacity: &w.refused, Files: w, Callback: w, Region: home,
	})
	return jobs.NewEngine(jobs.EngineConfig{Store: w, Families: w, Sender: w, Kinds: jobs.NewKinds(kind), Installation: "test", Log: quiet})
}

// bake submits a spec and works until the job has ended.
func (w *world) bake(spec string) *jobs.Job {
	w.t.Helper()
	submission := &jobs.Message{Type: jobs.Submit, Kind: "Bake", Name: "web", Region: home, Key: w.id("key"), Spec: json.RawMessage(spec)}
	w.enqueue(submission, 0)
	id := submission.JobID("")
	for end := time.Now().Add(48 * time.Hour); time.Now().Before(end) && len(w.pending) > 0; {
		w.deliver()
	}
	job := w.job(id)
	if job == nil || !job.Finished() {
		w.t.Fatalf("the bake did not end: %+v\ncalls %v", job, w.calls)
	}
	return job
}

func (w *world) deliver() {
	slices.SortStableFunc(w.pending, func(a, b *message) int { return a.visible.Compare(b.visible) })
	m := w.pending[0]
	if wait := time.Until(m.visible); wait > 0 {
		time.Sleep(wait)
	}
	m.receives++
	outcome := w.engine().Deliver(context.Background(), &jobs.Delivery{Token: w.id("delivery"),
		Received: jobs.Received{ID: m.id, OriginalID: m.id, Body: m.body, Receives: m.receives}})
	if w.dead { // the message comes back once its visibility is over
		w.dead, w.dieAt = false, 0
		m.visible = time.Now().Add(90 * time.Second)
		return
	}
	if outcome.Reason != "" {
		w.t.Fatalf("dead letter: %s", outcome.Reason)
	}
	if outcome.Delete {
		w.pending = slices.DeleteFunc(w.pending, func(other *message) bool { return other == m })
		return
	}
	m.visible = time.Now().Add(max(outcome.Hide, time.Second))
}

func (w *world) enqueue(m *jobs.Message, delay time.Duration) {
	body, err := m.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	w.pending = append(w.pending, &message{body: body, visible: time.Now().Add(delay), id: w.id("message")})
}

func (w *world) job(id string) *jobs.Job {
	raw, ok := w.rows[id]
	if !ok {
		return nil
	}
	var job jobs.Job
	if err := json.Unmarshal(raw, &job); err != nil {
		w.t.Fatal(err)
	}
	return &job
}

func (w *world) put(job *jobs.Job) {
	raw, err := json.Marshal(job)
	if err != nil {
		w.t.Fatal(err)
	}
	w.rows[job.ID] = raw
}

func (w *world) row(id string) *jobs.Row {
	if job := w.job(id); job != nil {
		return &jobs.Row{Job: job}
	}
	return nil
}

// The job store and the queue.

func (w *world) Create(_ context.Context, job *jobs.Job, _ bool) (row *jobs.Row, err error) {
	err = w.call("jobs.Create", func() error {
		if row = w.row(job.ID); row == nil {
			w.put(job)
		}
		return nil
	})
	return row, err
}

func (w *world) Claim(_ context.Context, claim jobs.Claim) (row *jobs.Row, ok bool, err error) {
	err = w.call("jobs.Claim", func() error {
		row = w.row(claim.ID)
		if row == nil || row.Job.Finished() || row.Job.Leased(claim.Now) || (claim.HasSeq && claim.Seq != row.Job.Seq) {
			return nil
		}
		row.Job.Fence++
		row.Job.Claims++
		row.Job.Lease, row.Job.Delivery = claim.Until, claim.Delivery
		w.put(row.Job)
		ok = true
		return nil
	})
	return row, ok, err
}

func (w *world) Flag(_ context.Context, id string, run int, _ string) (row *jobs.Row, ok bool, err error) {
	row = w.row(id)
	if row == nil || row.Job.Finished() {
		return row, false, nil
	}
	row.Job.Cancel = run
	w.put(row.Job)
	return row, true, nil
}

func (w *world) Order(context.Context, string, int, string, jobs.Verb, jobs.Order) (*jobs.Row, bool, error) {
	return nil, true, nil
}

func (w *world) Bury(context.Context, string, int, time.Time) (*jobs.Row, bool, error) {
	return nil, true, nil
}

func (w *world) Save(_ context.Context, job *jobs.Job, s jobs.Saving) (cancel int, err error) {
	err = w.call("jobs.Save", func() error {
		row := w.row(job.ID)
		if row == nil || row.Job.Fence != job.Fence || row.Job.Seq != s.Seq {
			return jobs.ErrFenced
		}
		kept := *job
		kept.Cancel = row.Job.Cancel
		cancel = kept.Cancel
		w.put(&kept)
		return nil
	})
	return cancel, err
}

func (w *world) Renew(context.Context, string, int64, time.Time) error { return nil }
func (w *world) FanList(context.Context, *jobs.Job) ([]jobs.FanChild, error) {
	return nil, nil
}

func (w *world) Ended(context.Context, jobs.Parent) (int, error) { return 0, nil }
func (w *world) Rows(context.Context, []string) (map[string]*jobs.Row, error) {
	return map[string]*jobs.Row{}, nil
}

func (w *world) Send(_ context.Context, _ jobs.Lane, m *jobs.Message, delay time.Duration) error {
	return w.call("sqs.Send", func() error { w.enqueue(m, delay); return nil })
}

// cancel asks to cancel the bake that runs.
func (w *world) cancel() {
	for id := range w.rows {
		if job := w.job(id); !job.Finished() {
			job.Cancel = job.Run
			w.put(job)
		}
	}
}
