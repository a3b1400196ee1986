package rig_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/rig"
)

// installed runs a test with an installation in a bubble, and sees afterwards that nothing of its jobs is left.
func installed(t *testing.T, config rig.Config, test func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, err := rig.New(config)
		if err != nil {
			t.Fatal(err)
		}
		b := &bubble{Rig: r, t: t}
		defer func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(b)
		if err := r.Quiet(background); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
}

// bubble is an installation whose mistakes end the test.
type bubble struct {
	*rig.Rig
	t *testing.T
}

func (b *bubble) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bubble) worker(line *rig.Line) *rig.Worker {
	b.t.Helper()
	w, err := b.Start(line)
	b.must(err)
	return w
}

func (b *bubble) submit(key, text string) string {
	b.t.Helper()
	ids, err := b.Submit(background, text, ".", key, nil)
	b.must(err)
	return ids[0]
}

// job is the job as it stands; nil: there is none.
func (b *bubble) job(id string) *jobs.Job {
	b.t.Helper()
	row, err := b.User.Store.Load(background, id)
	b.must(err)
	if row == nil {
		return nil
	}
	return row.Job
}

// until waits until the job is as asked, and gives it.
func (b *bubble) until(id, what string, limit time.Duration, is func(*jobs.Job) bool) *jobs.Job {
	b.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(time.Second) {
		job := b.job(id)
		if job != nil && is(job) {
			return job
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s is not %s after %s: %+v", id, what, limit, job)
		}
	}
}

// ends waits for the job's end, and wants it in the state.
func (b *bubble) ends(id string, state jobs.State) *jobs.Job {
	b.t.Helper()
	job := b.until(id, "over", 8*time.Hour, (*jobs.Job).Finished)
	if job.State != state {
		b.t.Fatalf("%s is %s, want %s: %s; %s", id, job.State, state, job.Failure, history(job))
	}
	return job
}

func history(job *jobs.Job) string {
	var lines []string
	for _, l := range job.History {
		lines = append(lines, fmt.Sprintf("%s %s: %s", l.Time.UTC().Format(time.TimeOnly), l.Step, l.Text))
	}
	return strings.Join(lines, "\n")
}

// running are the instances that are not on their way out, by id.
func (b *bubble) running() map[string]ec2.Instance {
	all := map[string]ec2.Instance{}
	for _, i := range b.EC2().Inspect().Instances {
		if i.State != "terminated" && i.State != "shutting-down" {
			all[i.ID] = i
		}
	}
	return all
}

// wire sees every call to the endpoint, and puts faults around some.
type wire struct {
	mu    sync.Mutex
	calls []seen
	// fault, if not nil, says what befalls a call.
	fault func(*api.Request) localaws.Fault
}

// seen is a call as a test asks about it.
type seen struct {
	action, token, name, pool string
	time                      time.Time
}

func (w *wire) intercept(r *api.Request) localaws.Fault {
	w.mu.Lock()
	w.calls = append(w.calls, seen{action: r.Service + ":" + r.Action, token: r.Form.Get("ClientToken"), name: r.Form.Get("Name"),
		pool: r.Form.Get("InstanceType") + " " + r.Form.Get("SubnetId"), time: time.Now()})
	w.mu.Unlock()
	if w.fault == nil {
		return localaws.Fault{}
	}
	return w.fault(r)
}

func (w *wire) all(action string) []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []seen
	for _, s := range w.calls {
		if s.action == action {
			found = append(found, s)
		}
	}
	return found
}

// tokens are the client tokens of RunInstances, each with the pools that it was used for.
func (w *wire) tokens() map[string][]string {
	tokens := map[string][]string{}
	for _, s := range w.all("ec2:RunInstances") {
		if !slices.Contains(tokens[s.token], s.pool) {
			tokens[s.token] = append(tokens[s.token], s.pool)
		}
	}
	return tokens
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func throttled() localaws.Fault {
	return localaws.Fault{Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Status: http.StatusServiceUnavailable}
}
