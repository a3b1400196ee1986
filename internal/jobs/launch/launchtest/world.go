package launchtest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/capacity/capacitytest"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// World is everything around the kinds. It satisfies their ports itself.
type World struct {
	memory
	t     *testing.T
	Kinds jobs.Kinds
	later sync.WaitGroup

	instances map[string]*Instance
	tokens    map[string]reservation
	started   int
	// EC2Calls counts calls by action.
	EC2Calls map[string]int
	// Capacity is how many servers a subnet still takes; no entry, no limit. Throttle is how many launches are still to be
	// throttled. Deaths is how many accepted launches are still to die. Sick are launch indexes whose checks fail.
	Capacity map[string]int
	Throttle int
	Deaths   int
	Sick     map[int]bool
	// SickImages are AMIs whose servers' checks fail.
	SickImages map[string]bool
	// Retired are versions of web beside web@1 that are not available any more.
	Retired map[int]bool
	// Each is called after each EC2 call's effect, with everything held still.
	Each func()
	// Free are the subnets' free addresses where they are few; Quota is each vCPU quota, and below 0 it may not be asked.
	// AllowedImages is the state of the Allowed AMIs settings, which no image meets unless it is empty.
	Free          map[string]int
	Quota         float64
	AllowedImages string
	// Profiles are the instance profiles that IAM tells of, from ProfilesFrom on; "denied" may not be asked for.
	Profiles     map[string]cloud.InstanceProfile
	ProfilesFrom time.Time
	// Refused remembers pools without capacity.
	Refused capacitytest.Memory
	// Lag is after what time EC2 shows an instance, if that is more than PropagationTime.
	Lag time.Duration
	// Shutting is how long servers take to end, if not ShuttingTime.
	Shutting time.Duration
	// Changed makes EC2 take every repetition under a token for one with other parameters.
	Changed bool

	fleets  map[string]ledger.Fleet
	servers map[string]map[int]ledger.Server
	seconds map[string]map[int]ledger.Server
	// Bucket is its content by key.
	Bucket map[string][]byte
	// Targets are the instances of the one target group, with their states. Draining keeps those that were deregistered.
	Draining bool
	Targets  map[string]string
	Agents   *Agents
}

// New makes a world; kinds are what its workers know.
func New(t *testing.T) *World {
	w := &World{t: t, memory: memory{rows: map[string]json.RawMessage{}, tombs: map[string]bool{}, fans: map[string][]jobs.FanChild{},
		ended: map[string]map[int]bool{}}, instances: map[string]*Instance{}, tokens: map[string]reservation{}, EC2Calls: map[string]int{},
		Capacity: map[string]int{}, Sick: map[int]bool{}, fleets: map[string]ledger.Fleet{}, servers: map[string]map[int]ledger.Server{}, seconds: map[string]map[int]ledger.Server{},
		Bucket: map[string][]byte{}, Targets: map[string]string{}, Quota: 1e6}
	w.Agents = &Agents{world: w}
	return w
}

// Submit sends a job and gives its id.
func (w *World) Submit(kind, name, key, spec string) string {
	w.t.Helper()
	m := &jobs.Message{Type: jobs.Submit, Kind: kind, Name: name, Key: key, Spec: json.RawMessage(spec)}
	w.send(jobs.LaneNormal, m)
	return m.JobID("")
}

// Cancel asks for the first run's end.
func (w *World) Cancel(id string) {
	w.t.Helper()
	w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Cancel, Job: id, Run: 1})
}

// Ask gives the job's first run an order, as of now.
func (w *World) Ask(id string, verb jobs.Verb, value string) {
	w.t.Helper()
	w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Ordering, Job: id, Run: 1, Verb: verb, Value: value, At: time.Now()})
}

func (w *World) send(lane jobs.Lane, m *jobs.Message) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enqueue(lane, m, 0); err != nil {
		w.t.Fatal(err)
	}
}

// After does something once that much time of Run has passed. The test sees its effects when Run is over.
func (w *World) After(d time.Duration, do func()) {
	w.later.Add(1)
	time.AfterFunc(d, func() {
		defer w.later.Done()
		do()
	})
}

// SetLag changes Lag while workers run.
func (w *World) SetLag(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Lag = d
}

// DieAt lets the worker of the next Run die before or after its nth call.
func (w *World) DieAt(n int, after bool) {
	w.calls, w.dieAt, w.after = 0, n, after
}

// Run lets workers work until no message is left, and says how many calls they made. When one dies the next goes on.
func (w *World) Run() int {
	w.t.Helper()
	for end := time.Now().Add(6 * time.Hour); time.Now().Before(end); {
		if w.life() {
			w.later.Wait()
			return w.calls
		}
		w.died, w.dieAt = false, 0
	}
	w.t.Fatal("messages are left after six hours")
	return 0
}

// life is one worker's: it ends when it dies or when no message is left, which it reports.
func (w *World) life() bool {
	ctx, cancel := context.WithCancel(context.Background())
	quiet := slog.New(slog.DiscardHandler)
	engine := jobs.NewEngine(jobs.EngineConfig{Store: w, Families: w, Sender: w, Kinds: w.Kinds, Installation: "test", Log: quiet})
	worker := jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: w, Slots: 4, Log: quiet})
	done := make(chan struct{})
	go func() { worker.Run(ctx); close(done) }()
	for {
		time.Sleep(time.Second)
		w.mu.Lock()
		over, died := len(w.messages) == 0, w.died
		w.mu.Unlock()
		if over || died {
			cancel()
			<-done
			return over && !died
		}
	}
}

// Job loads a job.
func (w *World) Job(id string) *jobs.Job {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	row := w.load(id)
	if row == nil || row.Job == nil {
		w.t.Fatalf("no job %s; dead letters: %q", id, w.dead)
	}
	return row.Job
}

// Jobs loads all jobs.
func (w *World) Jobs() (all []*jobs.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.rows {
		all = append(all, w.load(id).Job)
	}
	return all
}

// WantState fails the test unless the job ended so.
func (w *World) WantState(id string, state jobs.State) *jobs.Job {
	w.t.Helper()
	job := w.Job(id)
	if job.State != state {
		w.t.Fatalf("%s is %s (%s), expected %s; its history:\n%s", id, job.State, job.Failure, state, History(job))
	}
	return job
}

// History writes a job's history in lines.
func History(job *jobs.Job) (text string) {
	for _, line := range job.History {
		text += fmt.Sprintf("%s %s: %s\n", line.Time.Format(time.TimeOnly), line.Step, line.Text)
	}
	return text
}

// Living are the instances that have not ended, by id.
func (w *World) Living() map[string]*Instance {
	w.at(time.Now())
	living := maps.Clone(w.instances)
	maps.DeleteFunc(living, func(_ string, i *Instance) bool { return i.State == "terminated" || i.State == "shutting-down" })
	return living
}

// Successors are what the second slots of a fleet hold, by ordinal.
func (w *World) Successors(fleet string) []ledger.Server {
	return slices.SortedFunc(maps.Values(w.seconds[fleet]), func(a, b ledger.Server) int { return a.Ordinal - b.Ordinal })
}

// Holders are the ledger's servers of a fleet, by ordinal.
func (w *World) Holders(fleet string) []ledger.Server {
	return slices.SortedFunc(maps.Values(w.servers[fleet]), func(a, b ledger.Server) int { return a.Ordinal - b.Ordinal })
}

// Fleet is the ledger's fleet.
func (w *World) Fleet(name string) (ledger.Fleet, bool) {
	fleet, known := w.fleets[name]
	return fleet, known
}

// WantFleet fails the test unless each of the ordinals has one living server and nothing else lives.
func (w *World) WantFleet(fleet string, ordinals ...int) {
	w.t.Helper()
	living := w.Living()
	var held []int
	for _, server := range w.Holders(fleet) {
		held = append(held, server.Ordinal)
		if living[server.InstanceID] == nil {
			w.t.Errorf("ordinal %d is held by %s, which does not live", server.Ordinal, server.InstanceID)
		}
		delete(living, server.InstanceID)
	}
	if !slices.Equal(held, ordinals) {
		w.t.Errorf("the fleet holds %v, expected %v", held, ordinals)
	}
	for id, i := range living {
		w.t.Errorf("%s (%s) lives and nobody holds it", id, i.ClientToken)
	}
}

// Kill ends an instance behind everybody's back.
func (w *World) Kill(id string) { w.instances[id].State = "terminated" }

// Instance is what the server is and was told.
func (w *World) Instance(id string) *Instance { return w.instances[id] }

// TargetGroup knows one target group.
func (w *World) TargetGroup(_ context.Context, name string) (string, error) {
	if name != "web" {
		return "", jobs.Fatalf("find the target group", name, "there is no such target group", "")
	}
	return "arn:web", nil
}

// Register makes targets healthy at once, but for sick ones.
func (w *World) Register(_ context.Context, _ string, ids ...string) error {
	return w.call(func() error {
		for _, id := range ids {
			w.Targets[id] = "healthy"
			if w.sick(id) {
				w.Targets[id] = "unhealthy"
			}
		}
		return nil
	})
}

// Deregister takes targets out at once, unless they drain.
func (w *World) Deregister(_ context.Context, _ string, ids ...string) error {
	return w.call(func() error {
		for _, id := range ids {
			delete(w.Targets, id)
			if w.Draining {
				w.Targets[id] = "draining"
			}
		}
		return nil
	})
}

// Health tells of targets.
func (w *World) Health(_ context.Context, _ string, ids ...string) (states []cloud.TargetHealth, err error) {
	err = w.call(func() error {
		for _, id := range ids {
			if state := w.Targets[id]; state != "" {
				states = append(states, cloud.TargetHealth{InstanceID: id, State: state})
			}
		}
		return nil
	})
	return states, err
}

// Parameter knows one parameter.
func (w *World) Parameter(_ context.Context, name string) (string, bool, error) {
	return "ami-0123456789abcdef0", name == "/images/web", nil
}

// Post takes every callback.
func (w *World) Post(context.Context, string, string, []byte) error { return nil }
