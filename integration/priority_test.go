package integration

import "testing"

func TestAHighJobPassesALowBacklog(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	const backlog = 60
	low := m.submit(many(backlog, "kind: Ping\nname: low-%d\npriority: low\n"))
	high := m.submit("kind: Ping\nname: high\n", "--priority", "high")[0]
	m.work("STAMPMILL_SLOTS=1")
	passed := m.ended(0, append(low, high)...)
	last := passed[backlog]
	before := 0
	for _, job := range passed[:backlog] {
		if job.Ended.Before(last.Ended) {
			before++
		}
	}
	// What stood in the worker's buffer may go first, no more.
	if before > backlog/3 {
		t.Errorf("%d of %d low jobs went before the high one", before, backlog)
	}
}

func TestALowJobIsNotStarvedByNormalOnes(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	const backlog = 60
	normal := m.submit(many(backlog, "kind: Ping\nname: normal-%d\n"))
	low := m.submit("kind: Ping\nname: low\npriority: low\n")[0]
	m.work("STAMPMILL_SLOTS=1")
	all := m.ended(0, append(normal, low)...)
	after := 0
	for _, job := range all[:backlog] {
		if job.Ended.After(all[backlog].Ended) {
			after++
		}
	}
	if after == 0 {
		t.Error("the low job came last of all")
	}
}
