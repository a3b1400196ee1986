package integration

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

// strike kills a worker by SIGKILL while it is at the call, and lets another one carry on.
func (m *mill) strike(document string, play bool, c call) []string {
	m.t.Helper()
	between := between(m.t, c)
	victim := m.work(between.setting())
	sent := m.submit(document)
	if play {
		m.playBuilder(sent[0])
	}
	m.held(between, victim)
	victim.kill()
	m.work()
	return sent
}

// held waits until the call is held, and fails if it never comes.
func (m *mill) held(i *intermediary, w *worker) {
	m.t.Helper()
	m.until("the call "+i.service+" "+i.action+" of "+w.name, func() bool {
		select {
		case <-i.held:
			return true
		default:
			return false
		}
	})
}

// deathsBeforeALaunch are those after which the next worker has to look by its token for the server that there may be.
var deathsBeforeALaunch = map[string]call{
	"when its job is in the table":   {service: "DYNAMODB", action: "PutItem", words: []string{"bake-web"}},
	"before the builder is launched": {service: "EC2", action: "RunInstances", before: true},
	"when the builder is launched":   {service: "EC2", action: "RunInstances"},
}

// Each row is a place where a worker dies in a bake. What it left is taken over by another one, which makes nothing twice.
var deaths = map[string]call{
	"before its job is in the table":     {service: "DYNAMODB", action: "PutItem", words: []string{"bake-web"}, before: true},
	"before the next message is sent":    {service: "SQS", action: "SendMessageBatch", before: true},
	"when the next message is sent":      {service: "SQS", action: "SendMessageBatch"},
	"before a message is deleted":        {service: "SQS", action: "DeleteMessageBatch", before: true},
	"when the version is reserved":       {service: "DYNAMODB", action: "TransactWriteItems", words: []string{"candidate"}},
	"before the AMI is begun":            {service: "EC2", action: "CreateImage", before: true},
	"when the AMI is begun":              {service: "EC2", action: "CreateImage"},
	"before the version is published":    {service: "DYNAMODB", action: "TransactWriteItems", words: []string{"available"}, before: true},
	"when the version is published":      {service: "DYNAMODB", action: "TransactWriteItems", words: []string{"available"}},
	"when the builder's end was ordered": {service: "EC2", action: "TerminateInstances"},
}

func TestABakeOutlivesItsWorker(t *testing.T) {
	t.Parallel()
	outlives(t, deaths)
}

func TestABakeOutlivesItsWorkerBeforeAndAtALaunch(t *testing.T) {
	t.Parallel()
	unserved(t, everyFault(noTokens))
	outlives(t, deathsBeforeALaunch)
}

func outlives(t *testing.T, deaths map[string]call) {
	for name, c := range deaths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMill(t)
			id := m.strike(bakeInUserData, playsBefore(c), c)[0]
			if !playsBefore(c) {
				m.playBuilder(id)
			}
			m.ended(0, id)
			m.leaves(0, 1)
			if launched := m.everLaunched(); len(launched) != 1 {
				t.Errorf("it launched %v", ids(launched))
			}
			if image := show[versions](m, "image", "show", "web"); image.Current != 1 || len(image.Versions) != 1 {
				t.Errorf("the catalog has %+v", image)
			}
			m.quiet()
		})
	}
}

// playsBefore: the builder has to stop before the worker comes to the call.
func playsBefore(c call) bool {
	return c.action == "CreateImage" || c.action == "TransactWriteItems" || c.action == "TerminateInstances"
}

func TestAKillAfterALaunchMakesNoSecondServer(t *testing.T) {
	t.Parallel()
	unserved(t, everyFault(noTokens))
	m := newMill(t)
	sent := m.strike(launchOf(linux, 4, ""), false, call{service: "EC2", action: "RunInstances"})
	m.ended(0, sent...)
	if fleet := m.ordinals("shop"); len(fleet) != 4 || len(m.everLaunched()) != 4 {
		t.Errorf("the fleet has %d servers; %d were launched", len(fleet), len(m.everLaunched()))
	}
	m.quiet()
}

func TestATerminateOutlivesItsWorker(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	first := m.work()
	m.ended(0, m.submit(launchOf(linux, 3, ""))...)
	first.kill()
	m.ended(0, m.strike("kind: Terminate\nname: less\nspec: {fleet: shop, to: 1}\n", false, call{service: "EC2", action: "TerminateInstances"})...)
	if fleet := m.ordinals("shop"); len(fleet) != 1 || fleet[0].InstanceID == "" {
		t.Errorf("the fleet is %+v", fleet)
	}
	m.leaves(1, 0)
}

func TestManyJobsOutliveWorkersThatAreKilledInTurn(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	sent := m.submit(many(30, "kind: Ping\nname: many-%d\nspec: {message: hi, wait: 2s}\n"))
	for range 3 {
		w := m.work("STAMPMILL_SLOTS=4")
		w.says(`"msg":"claimed"`)
		w.kill()
	}
	m.work()
	for _, job := range m.ended(0, sent...) {
		if job.State != jobs.Succeeded || job.Run != 1 || !strings.Contains(string(job.Result), `"hi"`) {
			t.Error(job)
		}
	}
	m.quiet()
	if dead := m.dead(); len(dead) != 0 {
		t.Errorf("dead letters: %v", dead)
	}
}

func TestAFrozenWorkerThatComesBackChangesNothing(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	between := between(t, call{service: "DYNAMODB", action: "TransactWriteItems", words: []string{"available"}, before: true})
	frozen := m.work(between.setting())
	id := m.submit(bakeInUserData)[0]
	m.playBuilder(id)
	m.held(between, frozen)
	frozen.freeze()
	m.work()
	m.ended(0, id)
	m.leaves(0, 1)
	before := m.row(id).Job
	published := show[versions](m, "image", "show", "web")
	frozen.thaw()
	close(between.letGo) // now its write comes to the table, long after its claim has passed to another
	frozen.drain()
	if after := m.row(id).Job; after.Fence != before.Fence || after.Seq != before.Seq || !after.Updated.Equal(before.Updated) {
		t.Errorf("the job was changed from %+v\nto %+v", before, after)
	}
	if after := show[versions](m, "image", "show", "web"); !reflect.DeepEqual(after, published) {
		t.Errorf("the catalog was changed from %+v\nto %+v", published, after)
	}
	m.quiet()
}
