package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestAJobWithWaitsAndChildrenReachesItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Children: 3, Wait: 20 * time.Second})
		w.run()
		w.wantState(id, jobs.Succeeded)
		w.wantThings(2 + 3*2)
		if got := string(w.job(id).Result); got != `{"ended":3}` {
			t.Fatalf("result %s", got)
		}
	})
}

func TestAWorkerThatDiesAtAnyCallLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spec   stampSpec
		end    jobs.State
		things int
	}{
		{"success", stampSpec{Children: 2, Wait: 20 * time.Second}, jobs.Succeeded, 6},
		{"failure", stampSpec{Children: 2, Wait: 20 * time.Second, Fail: true}, jobs.Failed, 4}, // children that succeeded keep theirs
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.submit("web", "k", c.spec)
				w.run()
				calls = w.memory.calls
			})
			for at := 1; at <= calls; at++ {
				for _, after := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						w.memory.dieAt, w.memory.after = at, after
						id := w.submit("web", "k", c.spec)
						w.run()
						if w.job(id).State != c.end {
							t.Fatalf("death at call %d (after: %v): %s %s\n%v", at, after, w.job(id).State, w.job(id).Failure, w.job(id).History)
						}
						w.wantThings(c.things)
						if len(w.memory.dead) > 0 {
							t.Fatalf("death at call %d (after: %v): dead letters %v", at, after, w.memory.dead)
						}
					})
				}
			}
		})
	}
}

func TestTheSameSubmissionTwiceIsOneJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Wait: 5 * time.Second})
		w.submit("web", "k", stampSpec{Wait: 5 * time.Second})
		w.run()
		w.submit("web", "k", stampSpec{Wait: 5 * time.Second})
		w.run()
		w.wantState(id, jobs.Succeeded)
		w.wantThings(2)
	})
}

func TestTheSameKeyWithAnotherSpecIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submit("web", "k", stampSpec{})
		w.run()
		w.submit("web", "k", stampSpec{Wait: time.Second})
		w.run()
		if len(w.memory.dead) != 1 || !strings.Contains(w.memory.dead[0], "same key, another spec") {
			t.Fatalf("dead letters %v", w.memory.dead)
		}
	})
}

func TestACancelThatOvertakesItsSubmissionWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := jobs.Identity("Stamp", "web", jobs.Target{}, "k")
		w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Cancel, Job: id, Run: 1})
		w.run()
		w.submit("web", "k", stampSpec{})
		w.run()
		w.wantState(id, jobs.Cancelled)
		w.wantThings(0)
	})
}

func TestACancelWhileWaitingUndoesWhatWasMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Wait: time.Hour})
		go func() {
			time.Sleep(time.Minute)
			w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Cancel, Job: id, Run: 1})
		}()
		w.run()
		time.Sleep(2 * time.Minute)
		w.run()
		w.wantState(id, jobs.Cancelled)
		w.wantThings(0)
	})
}

func TestARetryIsTheNextRunWithOtherTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Fail: true})
		w.run()
		w.wantState(id, jobs.Failed)
		for range 2 { // the second names a run that is over
			w.send(jobs.LaneHigh, &jobs.Message{Type: jobs.Reopen, Job: id, Run: 1})
		}
		w.run()
		w.wantState(id, jobs.Failed)
		if job := w.job(id); job.Run != 2 {
			t.Fatalf("run %d, want 2", job.Run)
		}
		if len(w.memory.things) != 4 {
			t.Fatalf("tokens %v, want 2 a run", w.memory.things)
		}
	})
}

func TestAPanicIsTheJobsErrorAndFailsItAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		broken := w.submit("broken", "k", stampSpec{Panics: true})
		sound := w.submit("sound", "k", stampSpec{})
		w.run()
		w.wantState(sound, jobs.Succeeded)
		w.wantState(broken, jobs.Failed)
		if job := w.job(broken); !strings.Contains(job.Failure, "the kind is broken") {
			t.Fatalf("failure %q", job.Failure)
		}
		w.wantThings(2)
	})
}

func TestWhatNobodyCanReadGoesToTheDeadLettersWithItsReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, reason string }{
		"not JSON":      {`{`, "not a JSON object"},
		"unknown field": {`{"schema":1,"type":"submit","kind":"Stamp","name":"a","spec":{},"colour":"red"}`, "colour"},
		"unknown kind":  {`{"schema":1,"type":"submit","kind":"Boil","name":"a","spec":{}}`, `"Boil"`},
		"bad name":      {`{"schema":1,"type":"submit","kind":"Stamp","name":"a\u0000b","spec":{}}`, `"name"`},
		"bad spec":      {`{"schema":1,"type":"submit","kind":"Stamp","name":"a","spec":{"wait":"x"}}`, "spec of Stamp a"},
		"bad type":      {`{"schema":1,"type":"destroy"}`, `"type"`},
		"two objects":   {`{"schema":1,"type":"cancel","job":"a-b","run":1}{}`, "after top-level value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.memory.messages = append(w.memory.messages, &queued{id: "poison", lane: jobs.LaneNormal, body: []byte(c.body)})
				sound := w.submit("sound", "k", stampSpec{})
				w.run()
				w.wantState(sound, jobs.Succeeded)
				if len(w.memory.dead) != 1 || !strings.Contains(w.memory.dead[0], c.reason) || !strings.HasPrefix(w.memory.dead[0], "poison: ") {
					t.Fatalf("dead letters %q, want the reason %q", w.memory.dead, c.reason)
				}
			})
		})
	}
}

func TestADrainedWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var ids []string
		for i := range 40 {
			ids = append(ids, w.submit(fmt.Sprint("web-", i), "k", stampSpec{Wait: 2 * time.Second}))
		}
		for range 5 {
			ctx, cancel := context.WithCancel(context.Background())
			engine := jobs.NewEngine(jobs.EngineConfig{Store: w.memory, Families: w.memory, Sender: w.memory, Kinds: w.kinds})
			worker := jobs.NewWorker(jobs.WorkerConfig{Engine: engine, Queue: w.memory, Slots: 2})
			go func() { time.Sleep(700 * time.Millisecond); cancel() }()
			worker.Run(ctx)
		}
		w.run()
		for _, id := range ids {
			w.wantState(id, jobs.Succeeded)
		}
		w.wantThings(80)
	})
}

func TestAJobThatKillsItsWorkersFailsForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{})
		w.send(jobs.LaneNormal, &jobs.Message{Type: jobs.Nudge, Job: id, Run: 1})
		for range jobs.MaxClaims {
			row, ok, err := w.memory.Claim(t.Context(), jobs.Claim{ID: id, Now: time.Now(), Until: time.Now().Add(time.Minute), Delivery: "x"})
			if err != nil || (row != nil && !ok) {
				t.Fatal(row, ok, err)
			}
			if row == nil { // the first is the creation
				job := &jobs.Job{ID: id, Schema: 1, Kind: "Stamp", Name: "web", Incarnation: jobs.NewIncarnation(), Run: 1, Spec: json.RawMessage(`{"children":0,"wait":0,"fail":false,"panics":false,"kills":false}`),
					State: jobs.Open, Fence: 1, Claims: 1, Lease: time.Now().Add(time.Minute), Error: "out of memory"}
				digest, err := jobs.Digest(job.Spec)
				if err != nil {
					t.Fatal(err)
				}
				job.Digest = digest
				if _, err := w.memory.Create(t.Context(), job, false); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Minute)
		}
		w.run()
		w.wantState(id, jobs.Failed)
		if job := w.job(id); !strings.Contains(job.Failure, "out of memory") {
			t.Fatalf("failure %q, want the last error in it", job.Failure)
		}
	})
}

func TestAStaleWorkerChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("web", "k", stampSpec{Wait: 5 * time.Second})
		w.run()
		job := w.job(id)
		job.Fence--
		job.State = jobs.Open
		if _, err := w.memory.Save(t.Context(), job, jobs.Saving{Seq: job.Seq}); !errors.Is(err, jobs.ErrFenced) {
			t.Fatalf("a save with an old fence answered %v", err)
		}
		w.wantState(id, jobs.Succeeded)
	})
}
