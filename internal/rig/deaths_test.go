package rig_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/rig"
)

var background = context.Background()

// arm64 is Amazon Linux in the rig's region.
func arm64() string {
	for _, image := range seed.Images(rig.Region, 0) {
		if image.Architecture == "arm64" && image.Platform != "windows" {
			return image.ID
		}
	}
	panic("the endpoint has no arm64 AMI")
}

// mishap is something that befalls the first worker at one of its calls, or the job while it makes that call.
type mishap struct {
	name string
	at   func(story rig.Story, call int) (rig.Story, *rig.Line)
}

var deaths = []mishap{
	{"death before", func(s rig.Story, call int) (rig.Story, *rig.Line) { return s, &rig.Line{DieAt: call} }},
	{"death after", func(s rig.Story, call int) (rig.Story, *rig.Line) { return s, &rig.Line{DieAt: call, After: true} }},
}

// lostAnswer: the call takes effect, as do its repetitions, and the worker learns of a broken connection.
var lostAnswer = mishap{"lost answer", func(s rig.Story, call int) (rig.Story, *rig.Line) { return s, &rig.Line{DropAt: call} }}

// lateEffect: the connection breaks at once, and the call takes effect when everybody has long gone on.
var lateEffect = mishap{"late effect", func(s rig.Story, call int) (rig.Story, *rig.Line) {
	return s, &rig.Line{LateAt: call, LateFor: 4 * time.Minute}
}}

// drained: the worker is told to end, and another one comes when it has.
var drained = mishap{"drain", func(s rig.Story, call int) (rig.Story, *rig.Line) {
	line := &rig.Line{}
	line.At = func(n int, _ string) {
		if n == call {
			line.Drain()
		}
	}
	return s, line
}}

// frozen: the worker stands still for longer than lease and visibility, while a second one takes over; then it goes on.
var frozen = mishap{"freeze", func(s rig.Story, call int) (rig.Story, *rig.Line) {
	return s, &rig.Line{FreezeAt: call, FreezeFor: 3 * time.Minute}
}}

// cancelled: somebody cancels the job just before the call goes out.
var cancelled = mishap{"cancel", func(s rig.Story, call int) (rig.Story, *rig.Line) {
	reached, sent := make(chan struct{}), make(chan struct{})
	s.Meanwhile = func(ctx context.Context, r *rig.Rig, ids []string) {
		defer close(sent)
		select {
		case <-reached:
		case <-ctx.Done(): // the job was over before
			return
		}
		if err := r.Cancel(background, ids[0], 1); err != nil {
			panic(err)
		}
		time.Sleep(time.Second) // for it to be received
	}
	return s, &rig.Line{At: func(n int, _ string) {
		if n == call {
			close(reached)
			<-sent
		}
	}}
}}

// cancelledAndDead: the worker dies of the same call, before it can see the cancel.
var cancelledAndDead = mishap{"cancel and death", func(s rig.Story, call int) (rig.Story, *rig.Line) {
	s, line := cancelled.at(s, call)
	line.DieAt, line.After = call, true
	return s, line
}}

// everyDeath runs the story once in peace, and then with the worker's death before and after each call that it made.
func everyDeath(t *testing.T, story rig.Story) {
	t.Helper()
	everyCall(t, story, 4, deaths...)
}

// everyCall runs the story once in peace, and then with each mishap at each call that it made: at all calls where
// STAMPMILL_DEATHS is all (make deaths), else at a sample.
func everyCall(t *testing.T, story rig.Story, sample int, mishaps ...mishap) {
	t.Helper()
	if testing.Short() {
		sample = 1
	}
	someCalls(t, story, func(calls int) int { return strideOf(calls, sample) }, mishaps...)
}

// aFewCalls is everyCall for what would take hours at all calls: a dozen of them with make deaths, else one.
func aFewCalls(t *testing.T, story rig.Story, mishaps ...mishap) {
	t.Helper()
	sample := 1
	if os.Getenv("STAMPMILL_DEATHS") != "" {
		sample = 12
	}
	someCalls(t, story, func(calls int) int { return max(1, (calls+sample-1)/sample) }, mishaps...)
}

func someCalls(t *testing.T, story rig.Story, stride func(calls int) int, mishaps ...mishap) {
	t.Helper()
	calls, begun := inPeace(t, story)
	by, tried := stride(len(calls)-begun), 0
	at := begun + 1
	if by == len(calls)-begun { // the first call is the least of a story
		at += by / 2
	}
	for ; at <= len(calls); at += by {
		for _, m := range mishaps {
			tried++
			try(t, story, m, at, calls[at-1])
		}
	}
	t.Logf("%d calls, %d mishaps", len(calls)-begun, tried)
}

// strideOf is by how many calls the tries are apart, for a sample of so many of them. STAMPMILL_DEATHS, a number, asks for another
// sample.
func strideOf(calls, sample int) int {
	asked := os.Getenv("STAMPMILL_DEATHS")
	if asked == "all" {
		return 1
	}
	if n, err := strconv.Atoi(asked); err == nil {
		sample = n
	}
	return max(1, (calls+sample-1)/max(sample, 1))
}

// everyCallTo is everyCall for the calls of the given names.
func everyCallTo(t *testing.T, story rig.Story, m mishap, sample int, names ...string) {
	t.Helper()
	calls, begun := inPeace(t, story)
	for _, name := range names {
		var at []int
		for i := begun; i < len(calls); i++ {
			if calls[i] == name {
				at = append(at, i+1)
			}
		}
		if len(at) == 0 {
			t.Errorf("the story makes no call %s", name)
		}
		for i := 0; i < len(at); i += strideOf(len(at), sample) {
			try(t, story, m, at[i], name)
		}
	}
}

// inPeace gives the calls of an undisturbed worker, and how many of them it makes before it has work.
func inPeace(t *testing.T, story rig.Story) (calls []string, begun int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if calls, err = story.Run(background, &rig.Line{}); err != nil {
			t.Fatal(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return calls, slices.Index(calls, "dynamodb:PutItem")
}

func try(t *testing.T, story rig.Story, m mishap, at int, call string) {
	t.Helper()
	t.Run(fmt.Sprintf("%s at %d %s", m.name, at, call), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			story, line := m.at(story, at)
			if _, err := story.Run(background, line); err != nil {
				t.Error(err)
			}
		})
	})
}

func launchStory() rig.Story {
	config := rig.Config{}
	config.Endpoint.EC2.Capacity = []ec2.CapacityRule{{Type: "m7g.large", Capacity: 12}, {Type: "m6g.large", Capacity: 11}}
	return rig.Story{
		Config: config, Key: "k", Folder: ".", Limit: 2 * time.Hour,
		Spec: fmt.Sprintf(`
kind: Launch
name: web-prod
spec:
  image: %s
  count: 30
  pools:
    - {types: [m7g.large]}
    - {types: [m6g.large]}
    - {types: [c7g.large]}
  hostname: web-{ordinal:04}
`, arm64()),
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			for _, job := range ended {
				if job.State != jobs.Succeeded {
					return fmt.Errorf("the launch is %s: %s", job.State, job.Failure)
				}
			}
			return thirty(r)
		},
	}
}

// thirty: thirty servers, each ordinal with one holder, in the ledger and in EC2.
func thirty(r *rig.Rig) error {
	servers, err := r.User.Ledger.Servers(background, "web-prod")
	if err != nil {
		return err
	}
	if len(servers) != 30 {
		return fmt.Errorf("the ledger has %d servers, want 30", len(servers))
	}
	holders := map[string]int{}
	for i, s := range servers {
		if s.Ordinal != i {
			return fmt.Errorf("the ledger's server %d has ordinal %d", i, s.Ordinal)
		}
		holders[s.InstanceID]++
	}
	types := map[string]int{}
	for _, instance := range r.EC2().Inspect().Instances {
		if instance.State != "running" {
			continue
		}
		if holders[instance.ID] != 1 {
			return fmt.Errorf("instance %s runs and holds %d ordinals", instance.ID, holders[instance.ID])
		}
		delete(holders, instance.ID)
		types[instance.Type]++
	}
	if len(holders) > 0 {
		return fmt.Errorf("the ledger names instances that do not run: %v", holders)
	}
	if types["m7g.large"] > 12 || types["m6g.large"] > 11 {
		return fmt.Errorf("more than the capacity: %v", types)
	}
	return nil
}

func TestALaunchSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, launchStory())
}
