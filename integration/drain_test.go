package integration

import (
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestSIGTERMLetsARunningStepFinish(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	first := between(t, call{service: "EC2", action: "RunInstances"})
	drained := m.work(first.setting())
	id := m.submit(bakeInUserData)[0]
	m.held(first, drained)
	drained.terminate()
	drained.says(`"msg":"draining"`)
	if !drained.running() {
		t.Fatal("it did not wait for its step")
	}
	close(first.letGo)
	if code := drained.ended(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if data := string(m.row(id).Job.Data); !strings.Contains(data, ids(m.everLaunched())[0]) {
		t.Errorf("the builder is not recorded: %s", data)
	}
	second := between(t, call{service: "EC2", action: "none"})
	m.work(second.setting())
	m.playBuilder(id)
	m.ended(0, id)
	if n := second.count("RunInstances"); n != 0 {
		t.Errorf("the next worker launched again, %d times", n)
	}
	m.leaves(0, 1)
	m.quiet()
}

func TestSIGTERMLosesNothingOfABacklog(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	sent := m.submit(many(40, "kind: Ping\nname: many-%d\nspec: {wait: 1s}\n"))
	drained := m.work("STAMPMILL_SLOTS=2")
	drained.says(`"msg":"claimed"`)
	drained.terminate()
	if code := drained.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if text := drained.read(); !strings.Contains(text, `"msg":"drained"`) || strings.Contains(text, `"level":"ERROR"`) {
		t.Errorf("it does not say that it has drained:\n%s", text)
	}
	open := 0
	for _, id := range sent {
		if row := m.row(id); row == nil || row.Job.State == jobs.Open {
			open++
		}
	}
	if open == 0 {
		t.Error("it drained only when all was done")
	}
	m.work()
	for _, job := range m.ended(0, sent...) {
		if job.Run != 1 {
			t.Error(job)
		}
	}
	m.quiet()
}
