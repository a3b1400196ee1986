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
	m.ended(0, m.submit(launchOf(m.ami(), 6, ""))...)
	before := m.ordinals("shop")
	job := m.ended(0, m.submit("kind: Terminate\nname: less\nspec: {fleet: shop, to: 2}\n")...)[0]
	if r := result[terminateResult](t, job); r.Terminated != "2-5" || r.Left != 2 {
		t.Errorf("the result is %s", job.Result)
	}
	after := m.ordinals("shop")
	if len(after) != 2 || after[0].InstanceID != before[0].InstanceID || after[1].InstanceID != before[1].InstanceID {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	m.leaves(2, 0)
	m.quiet()
}

func TestTerminateTakesTheOrdinalsThatItNames(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	m.ended(0, m.submit(launchOf(m.ami(), 4, ""))...)
	m.ended(0, m.submit("kind: Terminate\nname: some\nspec: {fleet: shop, ordinals: [1, 3-9]}\n")...)
	after := m.ordinals("shop")
	_, zero := after[0]
	_, two := after[2]
	if len(after) != 2 || !zero || !two {
		t.Errorf("after %+v", after)
	}
}

func TestTerminateAllForgetsTheFleet(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	m.ended(0, m.submit(launchOf(m.ami(), 3, ""))...)
	m.ended(0, m.submit("kind: Terminate\nname: none\nspec: {fleet: shop, all: true}\n")...)
	m.leaves(0, 0)
	if a := m.stampmill("fleet", "show", "shop"); a.code != exitNotFound {
		t.Errorf("the fleet is still known: %s", a)
	}
}
