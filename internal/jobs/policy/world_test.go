package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// world is everything that evaluators read and write, in memory, and as strict as the tables are.
type world struct {
	mu       sync.Mutex
	policies map[string]Policy
	pending  map[string][]*jobs.Message
	leases   map[string]lease
	rows     map[string]*jobs.Row
	sent     []*jobs.Message
	images   map[string]ledger.Image
	versions map[string]ledger.Version
	fleets   map[string]ledger.Fleet
	servers  map[string][]ledger.Server
	running  map[string]cloud.Instance
	newest   string
	calls    map[string]int
}

type lease struct {
	owner string
	until time.Time
}

func newWorld() *world {
	return &world{policies: map[string]Policy{}, pending: map[string][]*jobs.Message{}, leases: map[string]lease{}, rows: map[string]*jobs.Row{},
		images: map[string]ledger.Image{}, versions: map[string]ledger.Version{}, fleets: map[string]ledger.Fleet{},
		servers: map[string][]ledger.Server{}, running: map[string]cloud.Instance{}, calls: map[string]int{}}
}

// errDead is what a dead worker's calls answer.
var errDead = errors.New("this worker is dead")

// worker is one worker's way to the world. It dies at its so-manieth call, before its effect or after it.
type worker struct {
	*world
	dieAt, made int
	after, dead bool
}

// call lets one call happen, unless the worker is dead.
func (k *worker) call(name string, effect func() error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made++
	k.calls[name]++
	if k.made == k.dieAt {
		k.dead = true
		if k.after {
			_ = effect() // nobody hears of it
		}
	}
	if k.dead {
		return errDead
	}
	return effect()
}

func (k *worker) evaluator(owner string) *Evaluator {
	return New(Config{Store: k, Leases: k, Rows: k, Sender: k, Catalog: k, Fleets: k, EC2: func(jobs.Target) EC2 { return k },
		Parameters: func(jobs.Target) Parameters { return k }, Restamps: Selections{}, Region: "eu-west-1", Owner: owner, Log: slog.New(slog.DiscardHandler)})
}

func (k *worker) Policies(context.Context) (heads []Head, err error) {
	return heads, k.call("Policies", func() error {
		for _, name := range slices.Sorted(maps.Keys(k.policies)) {
			heads = append(heads, k.policies[name].Head)
		}
		return nil
	})
}

func (k *worker) Policy(_ context.Context, name string) (p Policy, found bool, err error) {
	return p, found, k.call("Policy", func() error {
		p, found = k.policies[name]
		return nil
	})
}

func (k *worker) PutPolicy(_ context.Context, p Policy, pending []*jobs.Message) (Policy, error) {
	err := k.call("PutPolicy", func() error {
		if k.policies[p.Name].Revision != p.Revision {
			return ErrChanged
		}
		p.Revision++
		p.Pending = len(pending)
		k.policies[p.Name], k.pending[p.Name] = p, pending
		return nil
	})
	return p, err
}

func (k *worker) Pending(_ context.Context, name string) (pending []*jobs.Message, err error) {
	return pending, k.call("Pending", func() error {
		pending = k.pending[name]
		return nil
	})
}

func (k *worker) SentPending(_ context.Context, p Policy) (Policy, error) {
	err := k.call("SentPending", func() error {
		if k.policies[p.Name].Revision != p.Revision {
			return ErrChanged
		}
		p.Revision++
		p.Pending = 0
		k.policies[p.Name] = p
		delete(k.pending, p.Name)
		return nil
	})
	return p, err
}

func (k *worker) DeletePolicy(context.Context, Policy) error { return errors.New("not in this world") }

func (k *worker) Lease(_ context.Context, name, owner string, now, until time.Time) (mine bool, err error) {
	return mine, k.call("Lease", func() error {
		if mine = k.leases[name].owner == owner || k.leases[name].until.Before(now); mine {
			k.leases[name] = lease{owner, until}
		}
		return nil
	})
}

func (k *worker) Rows(_ context.Context, ids []string) (rows map[string]*jobs.Row, err error) {
	rows = map[string]*jobs.Row{}
	return rows, k.call("Rows", func() error {
		for _, id := range ids {
			if row := k.rows[id]; row != nil {
				rows[id] = row
			}
		}
		return nil
	})
}

// Send takes a submission. The same key with another spec would go to the dead letters.
func (k *worker) Send(_ context.Context, _ jobs.Lane, m *jobs.Message, _ time.Duration) error {
	return k.call("Send", func() error {
		for _, other := range k.sent {
			if other.JobID("") == m.JobID("") && string(other.Spec) != string(m.Spec) {
				return fmt.Errorf("same key, another spec: %s", m.Key)
			}
		}
		k.sent = append(k.sent, m)
		return nil
	})
}

func (k *worker) ListImages(context.Context) (all []ledger.Image, err error) {
	return all, k.call("ListImages", func() error {
		for _, name := range slices.Sorted(maps.Keys(k.images)) {
			all = append(all, k.images[name])
		}
		return nil
	})
}

func (k *worker) GetImage(_ context.Context, name string) (i ledger.Image, found bool, err error) {
	return i, found, k.call("GetImage", func() error { i, found = k.images[name]; return nil })
}

func (k *worker) GetVersion(_ context.Context, image string, number int) (v ledger.Version, found bool, err error) {
	return v, found, k.call("GetVersion", func() error {
		v, found = k.versions[fmt.Sprintf("%s@%d", image, number)]
		return nil
	})
}

func (k *worker) ListFleets(context.Context) (all []ledger.Fleet, err error) {
	return all, k.call("ListFleets", func() error {
		for _, name := range slices.Sorted(maps.Keys(k.fleets)) {
			all = append(all, k.fleets[name])
		}
		return nil
	})
}

func (k *worker) GetFleet(_ context.Context, name string) (f ledger.Fleet, found bool, err error) {
	return f, found, k.call("GetFleet", func() error { f, found = k.fleets[name]; return nil })
}

func (k *worker) Servers(_ context.Context, fleet string) (s []ledger.Server, err error) {
	return s, k.call("Servers", func() error { s = k.servers[fleet]; return nil })
}

func (k *worker) NewestImage(context.Context, string, string, string) (i cloud.Image, found bool, err error) {
	return i, found, k.call("NewestImage", func() error {
		i, found = cloud.Image{ID: k.newest}, k.newest != ""
		return nil
	})
}

func (k *worker) Parameter(context.Context, string) (value string, found bool, err error) {
	return value, found, k.call("Parameter", func() error {
		value, found = k.newest, k.newest != ""
		return nil
	})
}

func (k *worker) InstancesTagged(_ context.Context, tags map[string]string, _ ...string) (list []cloud.Instance, err error) {
	return list, k.call("InstancesTagged", func() error {
		for _, id := range slices.Sorted(maps.Keys(k.running)) {
			if i := k.running[id]; i.Tags["stampmill:fleet"] == tags["stampmill:fleet"] && i.State != "terminated" {
				list = append(list, i)
			}
		}
		return nil
	})
}

func (k *worker) Instances(_ context.Context, ids ...string) (list []cloud.Instance, err error) {
	return list, k.call("Instances", func() error {
		for _, id := range ids {
			if i, there := k.running[id]; there {
				list = append(list, i)
			}
		}
		return nil
	})
}

// end ends a job that was submitted.
func (w *world) end(m *jobs.Message, state jobs.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rows[m.JobID("")] = &jobs.Row{Job: &jobs.Job{ID: m.JobID(""), State: state}}
}

// jobs are the ids of the jobs that were submitted, in order, each once.
func (w *world) jobs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	for _, m := range w.sent {
		if !slices.Contains(ids, m.JobID("")) {
			ids = append(ids, m.JobID(""))
		}
	}
	return ids
}

// apply keeps a policy as the command line does.
func (w *world) apply(t *testing.T, name, text string) Policy {
	t.Helper()
	next := Policy{Head: Head{Name: name}}
	if err := json.Unmarshal([]byte(text), &next.Spec); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var stands *Policy
	if p, found := w.policies[name]; found {
		stands = &p
	}
	kept, err := Apply(stands, next, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	kept.Revision++
	w.policies[name] = kept
	return kept
}

func (w *world) policy(name string) Policy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.policies[name]
}

// fleet puts a fleet of so many running servers into the world.
func (w *world) fleet(name string, count int) {
	f := ledger.Fleet{Name: name, Count: count, Image: "web@41", Labels: map[string]string{"env": "prod"}, Spec: json.RawMessage(`{"image":"web","count":1,"pools":[{"types":["m7g.large"]}]}`)}
	w.fleets[name] = f
	for ordinal := range count {
		id := fmt.Sprintf("i-%s%d", name, ordinal)
		w.servers[name] = append(w.servers[name], ledger.Server{Fleet: name, Ordinal: ordinal, InstanceID: id, Launched: time.Now().Add(-time.Hour)})
		w.running[id] = cloud.Instance{ID: id, State: "running", Tags: map[string]string{"stampmill:fleet": name}}
	}
}

// kill ends a server as EC2 shows it after an hour: not at all.
func (w *world) kill(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, id)
}

func (k *worker) CurrentVersions(_ context.Context, images []ledger.Image) (map[string]ledger.Version, error) {
	current := map[string]ledger.Version{}
	return current, k.call("CurrentVersions", func() error {
		for _, image := range images {
			if v, ok := k.versions[fmt.Sprintf("%s@%d", image.Name, image.Current)]; ok {
				current[image.Name] = v
			}
		}
		return nil
	})
}
