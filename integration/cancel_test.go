package integration

import (
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestACancelledBakeLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]string{"while its builder is set up": "provision", "while its AMI is made": "available"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMill(t)
			m.work("STAMPMILL_PACE=4") // so that it waits at each step for seconds
			document := bakeInUserData
			if step == "provision" {
				document = strings.ReplaceAll(document, "echo stamped", "sleep 600; echo stamped")
			}
			id := m.submit(document)[0]
			if step == "available" {
				m.playBuilder(id)
			}
			m.waits(id, step)
			m.until("the builder", func() bool { return len(m.everLaunched()) == 1 })
			m.do("cancel", id)
			m.ended(exitCancelled, id)
			m.leaves(0, 0)
			if current := m.current("web"); current != 0 {
				t.Errorf("%d is current", current)
			}
			m.quiet()
		})
	}
}

func TestACancelledLaunchLeavesTheServersThatWereThereBefore(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	first := m.work()
	image := linux
	m.ended(0, m.submit(launchOf(image, 2, ""))...)
	before := ids(m.fleet("shop"))
	first.kill()
	m.work("STAMPMILL_PACE=1") // so that it waits for its servers for seconds
	id := m.submit(launchOf(image, 5, ""))[0]
	m.waits(id, "running-1")
	m.until("the new servers", func() bool { return len(m.fleet("shop")) == 5 })
	m.do("cancel", id)
	m.ended(exitCancelled, id)
	m.leaves(2, 0)
	if after := m.ordinals("shop"); after[0].InstanceID == "" || after[1].InstanceID == "" {
		t.Errorf("before %v, after %+v", before, after)
	}
	if fleet := show[struct{ Owner string }](m, "fleet", "show", "shop"); fleet.Owner != "" {
		t.Errorf("the fleet is still owned by %s", fleet.Owner)
	}
	m.quiet()
}

func TestACancelThatOvertakesItsSubmissionWins(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	id := jobs.Identity("Bake", "web", jobs.Target{}, "k")
	m.do("cancel", id)
	first := m.work()
	m.until("the tombstone", func() bool { row := m.row(id); return row != nil && row.Tombstone })
	first.kill()
	m.work()
	if sent := m.submit(bakeInUserData, "--key", "k"); sent[0] != id {
		t.Fatalf("the submission is %s, the cancel was for %s", sent[0], id)
	}
	m.ended(exitCancelled, id)
	if launched := m.everLaunched(); len(launched) != 0 {
		t.Errorf("it launched %v", ids(launched))
	}
	m.quiet()
}
