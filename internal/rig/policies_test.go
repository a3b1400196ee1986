package rig_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/rig"
)

const healProd = `
kind: Policy
name: heal-prod
spec:
  when: {every: 5m}
  do: {heal: {fleets: [web-prod]}}
`

// policing is an installation whose workers look at policies every half a minute.
func policing() rig.Config {
	c := rig.Config{Worker: func(w *config.Worker) { w.PolicyInterval, w.ReapInterval = 30*time.Second, 1000*time.Hour }}
	c.Endpoint.EC2.ImageMin, c.Endpoint.EC2.ImageMax = 5*time.Minute, 5*time.Minute
	return c
}

// stamped has a worker launch a fleet of three, and takes the worker away.
func (b *bubble) stamped() *rig.Worker {
	b.t.Helper()
	w := b.worker(nil)
	id := b.submit("first", fmt.Sprintf(`
kind: Launch
name: web-prod
labels: {env: prod}
spec: {image: %s, count: 3, pools: [{types: [m7g.large]}]}
`, arm64()))
	b.ends(id, jobs.Succeeded)
	return w
}

// lose terminates a server of the fleet behind everybody's back, and gives its id.
func (b *bubble) lose() string {
	b.t.Helper()
	servers, err := b.User.Ledger.Servers(background, "web-prod")
	b.must(err)
	b.must(b.User.EC2.For(jobs.Target{}).Terminate(background, servers[1].InstanceID))
	time.Sleep(2 * time.Minute)
	return servers[1].InstanceID
}

// whole says what is wrong with the fleet: three servers run, and they hold its three ordinals.
func whole(r *rig.Rig) error {
	servers, err := r.User.Ledger.Servers(background, "web-prod")
	if err != nil {
		return err
	}
	running := map[string]bool{}
	for _, i := range r.EC2().Inspect().Instances {
		if i.State == "running" || i.State == "pending" {
			running[i.ID] = true
		}
	}
	if len(servers) != 3 || len(running) != 3 {
		return fmt.Errorf("%d servers in the ledger, %d run, want 3", len(servers), len(running))
	}
	for _, s := range servers {
		if !running[s.InstanceID] || s.State != ledger.Healthy {
			return fmt.Errorf("ordinal %d is held by %s, %s", s.Ordinal, s.InstanceID, s.State)
		}
	}
	return nil
}

// launches are the jobs of the kind that policies submitted: their keys say so.
func (b *bubble) byPolicy() []*jobs.Job {
	b.t.Helper()
	all, err := b.User.Store.List(background, store.Filter{Limit: 1000})
	b.must(err)
	var found []*jobs.Job
	for _, job := range all {
		if strings.Count(job.Key, ".") >= 3 {
			found = append(found, job)
		}
	}
	return found
}

func TestAPolicyHealsAFleetOnceWhateverDies(t *testing.T) {
	t.Parallel()
	var calls []string
	healed := func(line *rig.Line) {
		line.Counts = func(call string) bool { return call != "sqs:ReceiveMessage" && call != "sqs:GetQueueAttributes" }
		installed(t, policing(), func(b *bubble) {
			b.stamped().Drain()
			b.must(b.Apply(background, healProd, "."))
			b.lose()
			worker, over := b.worker(line), make(chan struct{})
			go func() {
				select {
				case <-worker.Gone():
					if _, err := b.Start(nil); err != nil {
						b.t.Error(err)
					}
				case <-over:
				}
			}()
			time.Sleep(16 * time.Minute)
			close(over)
			synctest.Wait()
			if err := whole(b.Rig); err != nil {
				b.t.Error(err)
			}
			jobsOfIt := b.byPolicy()
			if len(jobsOfIt) != 1 || jobsOfIt[0].State != jobs.Succeeded {
				b.t.Errorf("%d jobs of the policy, want one: %+v", len(jobsOfIt), jobsOfIt)
			}
			calls = line.Calls()
		})
	}
	healed(&rig.Line{})
	stride := max(1, len(calls)/12)
	if testing.Short() {
		stride = max(1, len(calls)/3)
	}
	if os.Getenv("STAMPMILL_DEATHS") == "all" {
		stride = 1
	}
	peace := calls
	for at := 1; at <= len(peace); at += stride {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s after %t", at, peace[at-1], after), func(*testing.T) { healed(&rig.Line{DieAt: at, After: after}) })
		}
	}
}

func TestAHealOfAWholeFleetCostsOneDescribeAndNoJob(t *testing.T) {
	t.Parallel()
	installed(t, policing(), func(b *bubble) {
		b.stamped()
		b.must(b.Apply(background, healProd, "."))
		time.Sleep(10 * time.Minute)
		before := b.Endpoint.Calls()["ec2:DescribeInstances"].Calls
		time.Sleep(time.Hour)
		if n := b.Endpoint.Calls()["ec2:DescribeInstances"].Calls - before; n != 12 {
			b.t.Errorf("%d calls of DescribeInstances in an hour, want one every five minutes", n)
		}
		if made := b.byPolicy(); len(made) != 0 {
			b.t.Errorf("jobs: %+v", made)
		}
	})
}

func TestAPolicyNoticesANewerBaseAndBakes(t *testing.T) {
	t.Parallel()
	installed(t, policing(), func(b *bubble) {
		ssm := b.User.SSM.For(jobs.Target{})
		b.must(ssm.PutParameter(background, "/base", arm64(), "text"))
		b.worker(nil)
		b.must(b.Apply(background, `
kind: Policy
name: web-follows
labels: {team: edge}
spec:
  when: {newerBase: true, check: 5m}
  do:
    name: web
    bake:
      from: {parameter: /base}
      builder: {types: [m7g.large], instanceProfile: builder}
      bootTest: false
`, "."))
		current := func() int {
			image, _, err := b.User.Ledger.GetImage(background, "web")
			b.must(err)
			return image.Current
		}
		time.Sleep(2 * time.Hour)
		if n := current(); n != 1 {
			b.t.Fatalf("current is %d, want the first version and no more", n)
		}
		version, _, err := b.User.Ledger.GetVersion(background, "web", 1)
		b.must(err)
		b.must(ssm.PutParameter(background, "/base", version.Regions[rig.Region].AMI, "text"))
		time.Sleep(2 * time.Hour)
		if n := current(); n != 2 {
			b.t.Errorf("current is %d after a newer base came, want 2", n)
		}
		if image, _, err := b.User.Ledger.GetImage(background, "web"); err != nil || image.Labels["team"] != "edge" {
			b.t.Errorf("the image has labels %v, %v", image.Labels, err)
		}
	})
}

func TestATickMessageHasAPolicyLookedAt(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) { // nobody looks by itself
		b.worker(nil)
		b.must(b.Apply(background, `
kind: Policy
name: by-message
spec:
  when: {message: true}
  do: {name: web, bake: {from: {ami: ami-12345678}, builder: {types: [m7g.large]}}}
`, "."))
		time.Sleep(time.Minute)
		at := time.Now().Truncate(time.Second)
		for range 5 {
			b.must(b.User.Queue.Send(background, jobs.LaneNormal, &jobs.Message{Type: jobs.Tick, Policy: "by-message", At: at}, 0))
		}
		time.Sleep(10 * time.Minute)
		if made := b.byPolicy(); len(made) != 1 {
			b.t.Errorf("five messages of one tick made %d jobs", len(made))
		}
	})
}
