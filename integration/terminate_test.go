package integration

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// terminate ends a server behind Stampmill's back.
func (m *mill) terminate(id string) {
	m.t.Helper()
	if _, err := m.aws().EC2.TerminateInstances(m.t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
		m.t.Fatal(err)
	}
	m.until(id+" to be terminated", func() bool { return len(m.servers(filter("instance-id", id))) == 0 })
}

// terminateResult is what a Terminate tells.
type terminateResult struct {
	Terminated, Pending string
	Left                int
}

func TestTerminateGoesDownToACountHighestOrdinalsFirst(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	m.ended(0, m.submit(launchOf(linux, 3, ""))...)
	before := m.ordinals("shop")
	job := m.ended(0, m.submit("kind: Terminate\nname: less\nspec: {fleet: shop, to: 1}\n")...)[0]
	if r := result[terminateResult](t, job); r.Terminated != "1-2" || r.Left != 1 {
		t.Errorf("the result is %s", job.Result)
	}
	after := m.ordinals("shop")
	if len(after) != 1 || after[0].InstanceID != before[0].InstanceID {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	m.leaves(1, 0)
	m.quiet()
}

func TestTerminateTakesTheOrdinalsThatItNames(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	m.ended(0, m.submit(launchOf(linux, 3, ""))...)
	m.ended(0, m.submit("kind: Terminate\nname: some\nspec: {fleet: shop, ordinals: [0, 2-9]}\n")...)
	after := m.ordinals("shop")
	if _, kept := after[1]; len(after) != 1 || !kept {
		t.Errorf("after %+v", after)
	}
}

func TestTerminateAllForgetsTheFleet(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	m.ended(0, m.submit(launchOf(linux, 3, ""))...)
	m.ended(0, m.submit("kind: Terminate\nname: none\nspec: {fleet: shop, all: true}\n")...)
	m.leaves(0, 0)
	if a := m.stampmill("fleet", "show", "shop"); a.code != exitNotFound {
		t.Errorf("the fleet is still known: %s", a)
	}
}
