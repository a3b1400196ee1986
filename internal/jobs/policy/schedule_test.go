package policy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

const nightly = `{"when":{"schedule":"30 2 * * *","zone":"Europe/Berlin"},"do":{"bake":{"from":{"ami":"ami-12345678"}},"name":"web"}}`

// ended ends all jobs that were sent, so that no run waits for the last one.
func (w *world) ended() {
	w.mu.Lock()
	sent := slices.Clone(w.sent)
	w.mu.Unlock()
	for _, m := range sent {
		w.end(m, jobs.Succeeded)
	}
}

// keys are the causes in the keys of the jobs that were submitted.
func (w *world) causes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, m := range w.sent {
		all = append(all, strings.SplitN(m.Key, ".", 4)[3])
	}
	return all
}

func TestEachTickRunsOnceHoweverManyLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply(t, "nightly", nightly)
		ctx, cancel := context.WithCancel(t.Context())
		for _, owner := range []string{"a", "b", "c"} {
			go (&worker{world: w}).evaluator(owner).Run(ctx)
		}
		for range 3 {
			time.Sleep(24 * time.Hour)
			w.ended()
		}
		cancel()
		synctest.Wait()
		want := []string{"tick.2000-01-01T01:30:00Z", "tick.2000-01-02T01:30:00Z", "tick.2000-01-03T01:30:00Z"}
		if got := w.causes(); !slices.Equal(got, want) {
			t.Errorf("submitted %v, want %v", got, want)
		}
	})
}

func TestTwoWithoutALeaseStillRunATickOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply(t, "nightly", nightly)
		time.Sleep(3 * time.Hour)
		for _, owner := range []string{"a", "b"} {
			go func() { _ = (&worker{world: w}).evaluator(owner).look(t.Context(), "nightly", time.Time{}) }()
		}
		synctest.Wait()
		if got := w.jobs(); len(got) != 1 {
			t.Errorf("submitted %v", got)
		}
	})
}

func TestATimeThatTheClockLeapsOverOrShowsTwiceRunsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		time.Sleep(time.Until(time.Date(2000, 3, 25, 12, 0, 0, 0, time.UTC)))
		w.apply(t, "nightly", nightly)
		e := (&worker{world: w}).evaluator("a")
		round := func(until time.Time) {
			for time.Now().Before(until) {
				time.Sleep(10 * time.Minute)
				w.ended()
				if err := e.Round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		round(time.Date(2000, 3, 27, 12, 0, 0, 0, time.UTC))
		if got, want := w.causes(), []string{"tick.2000-03-26T01:00:00Z", "tick.2000-03-27T00:30:00Z"}; !slices.Equal(got, want) {
			t.Errorf("in spring %v, want %v", got, want)
		}
		w.mu.Lock()
		w.sent = nil
		w.mu.Unlock()
		time.Sleep(time.Until(time.Date(2000, 10, 28, 12, 0, 0, 0, time.UTC)))
		round(time.Date(2000, 10, 30, 12, 0, 0, 0, time.UTC))
		if got, want := w.causes()[1:], []string{"tick.2000-10-29T00:30:00Z", "tick.2000-10-30T01:30:00Z"}; !slices.Equal(got, want) {
			t.Errorf("in autumn %v, want %v", got, want)
		}
	})
}

func TestAMissedTickRunsOnceNotOnceForEachTimeMissed(t *testing.T) {
	t.Parallel()
	for about, text := range map[string]string{
		"a schedule": `{"when":{"schedule":"0 * * * *"},"do":{"bake":{},"name":"web"}}`,
		"every hour": `{"when":{"every":"1h"},"do":{"bake":{},"name":"web"}}`,
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.apply(t, "hourly", text)
				e := (&worker{world: w}).evaluator("a")
				time.Sleep(50*time.Hour + 20*time.Minute) // no worker runs
				for range 3 {
					if err := e.Round(t.Context()); err != nil {
						t.Fatal(err)
					}
					w.ended()
					time.Sleep(5 * time.Minute)
				}
				if got, want := w.causes(), []string{"tick.2000-01-03T02:00:00Z"}; !slices.Equal(got, want) {
					t.Errorf("submitted %v, want %v", got, want)
				}
			})
		})
	}
}

func TestADeathBeforeOrAfterAnyCallNeitherLosesATickNorDoublesIt(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for dieAt := 1; ; dieAt++ {
			died := false
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.apply(t, "nightly", nightly)
				time.Sleep(2 * time.Hour)
				first := &worker{world: w, dieAt: dieAt, after: after}
				_ = first.evaluator("a").Round(t.Context())
				died = first.dead
				// The policy changes in between: the tick that was begun goes on as it was, and does not come again.
				if w.policy("nightly").Pending > 0 {
					w.apply(t, "nightly", strings.Replace(nightly, "ami-12345678", "ami-87654321", 1))
				}
				time.Sleep(5 * time.Minute) // the dead worker's lease ends
				second := (&worker{world: w}).evaluator("b")
				for range 3 {
					if err := second.Round(t.Context()); err != nil {
						t.Error(err)
					}
				}
				if got := w.jobs(); len(got) != 1 {
					t.Errorf("death at call %d (after it: %t): submitted %v", dieAt, after, got)
				}
				if p := w.policy("nightly"); p.Pending != 0 || len(p.Runs) != 1 {
					t.Errorf("death at call %d (after it: %t): %d pending, %d runs", dieAt, after, p.Pending, len(p.Runs))
				}
			})
			if !died {
				break
			}
		}
	}
}

func TestARunThatIsNotOverIsWaitedForOrSkipped(t *testing.T) {
	t.Parallel()
	for overlap, want := range map[string][]string{
		Wait: {"tick.2000-01-01T01:00:00Z", "tick.2000-01-01T03:00:00Z"}, // the one of 02:00 is made up for with it
		Skip: {"tick.2000-01-01T01:00:00Z", "tick.2000-01-01T04:00:00Z"},
	} {
		t.Run(overlap, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.apply(t, "hourly", `{"when":{"schedule":"0 * * * *"},"do":{"bake":{},"name":"web"},"overlap":"`+overlap+`"}`)
				e := (&worker{world: w}).evaluator("a")
				for time.Now().Before(time.Date(2000, 1, 1, 4, 30, 0, 0, time.UTC)) {
					time.Sleep(10 * time.Minute)
					if at := time.Now(); at.Hour() == 1 && at.Minute() == 20 {
						w.end(w.sent[0], jobs.Open)
					} else if at.Hour() == 3 && at.Minute() == 30 {
						if note := w.policy("hourly").Note; !strings.Contains(note, w.sent[0].JobID("")) {
							t.Errorf("the note is %q", note)
						}
						w.end(w.sent[0], jobs.Failed)
					}
					if err := e.Round(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if got := w.causes(); len(got) < 2 || !slices.Equal(got[:2], want) {
					t.Errorf("submitted %v, want %v", got, want)
				}
			})
		})
	}
}

func TestAPausedPolicyDoesNothingAndMakesUpForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.policies["nightly"] = Pause(w.apply(t, "nightly", nightly))
		e := (&worker{world: w}).evaluator("a")
		time.Sleep(30 * time.Hour)
		for _, look := range []func() error{
			func() error { return e.Round(t.Context()) },
			func() error { _, err := e.Tick(t.Context(), "nightly", time.Now()); return err },
		} {
			if err := look(); err != nil {
				t.Fatal(err)
			}
		}
		w.policies["nightly"] = Resume(w.policy("nightly"), time.Now())
		if err := e.Round(t.Context()); err != nil || len(w.sent) != 0 {
			t.Fatalf("submitted %v, %v", w.causes(), err)
		}
		time.Sleep(20 * time.Hour)
		if err := e.Round(t.Context()); err != nil || len(w.sent) != 1 {
			t.Errorf("after the pause submitted %v, %v", w.causes(), err)
		}
	})
}

func TestATickMessageRunsOnceWhateverComesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply(t, "by-message", `{"when":{"message":true},"do":{"bake":{},"name":"web"}}`)
		w.apply(t, "nightly", nightly)
		e := (&worker{world: w}).evaluator("a")
		time.Sleep(time.Hour)
		now := time.Now()
		for _, c := range []struct {
			about, policy string
			at            time.Time
			refused       bool
		}{
			{"the tick", "by-message", now, false},
			{"again", "by-message", now, false},
			{"an older one", "by-message", now.Add(-time.Minute), false},
			{"one of long ago", "by-message", now.Add(-400 * time.Hour), false},
			{"one of a time to come", "by-message", now.Add(time.Hour), true},
			{"one of nothing", "nothing", now, false},
			{"one of a policy that is not due", "nightly", now, false},
		} {
			if refused, err := e.Tick(t.Context(), c.policy, c.at); err != nil || (refused != "") != c.refused {
				t.Errorf("%s: %q, %v", c.about, refused, err)
			}
			w.ended()
		}
		if got, want := w.causes(), []string{"tick.2000-01-01T01:00:00Z"}; !slices.Equal(got, want) {
			t.Errorf("submitted %v, want %v", got, want)
		}
	})
}

func TestWhatIsNotDueCostsOneQueryALook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for _, name := range []string{"a", "b", "c", "d"} {
			w.apply(t, name, nightly)
		}
		e := (&worker{world: w}).evaluator("a")
		for range 100 {
			time.Sleep(30 * time.Second)
			if err := e.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if w.calls["Policies"] != 100 || w.calls["Lease"] != 100 || len(w.calls) != 2 {
			t.Errorf("100 looks at 4 policies took %v", w.calls)
		}
	})
}

func TestApplyingTheSameChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	first := w.apply(t, "nightly", nightly)
	next := Policy{Head: Head{Name: "nightly"}, Spec: first.Spec}
	if same, err := Apply(&first, next, time.Now()); !errors.Is(err, ErrSame) || same.Generation != 1 {
		t.Errorf("generation %d, %v", same.Generation, err)
	}
	next.Spec.When.Zone = "Asia/Tokyo"
	later := time.Now().Add(100 * time.Hour)
	changed, err := Apply(&first, next, later)
	if err != nil || changed.Generation != 2 || changed.Incarnation != first.Incarnation || !changed.Ticked.Equal(later) {
		t.Errorf("changed: %+v, %v", changed.Head, err)
	}
}
