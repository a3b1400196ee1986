package jobs_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestAYieldGoesOnAtOnceInAnotherDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		turns, begun := 0, time.Now()
		w.kinds["Odd"] = odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step {
			return []jobs.Step{{Name: "long", Looks: true, Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
				if turns++; turns < 5 {
					return jobs.Yield(), nil
				}
				return jobs.Done(), nil
			}}}
		}}
		id := w.order("Odd")
		w.run()
		w.wantState(id, jobs.Succeeded)
		job := w.job(id)
		if job.Seq != 5 {
			t.Errorf("five turns took %d deliveries", job.Seq)
		}
		if took := job.Ended.Sub(begun); took > time.Second {
			t.Errorf("turns without a wait took %s", took)
		}
	})
}

// saving is a job of one step that makes a thing, and waits before another one.
func saving(w *world, shares bool, seen *int) string {
	made, waited := "", false
	w.kinds["Odd"] = odd{name: "Odd", data: func() any { return made }, steps: func(*jobs.Job) []jobs.Step {
		return []jobs.Step{
			{Name: "make", Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
				if made != "" {
					turn.OnlySaw()
					return jobs.Done(), nil
				}
				before := w.memory.calls
				_, _, err := jobs.Make(ctx, turn, jobs.Making[string]{Thing: "thing", SharesSave: shares,
					Recorded: func() (string, bool) { return made, made != "" },
					Act:      func(context.Context, string) (string, error) { return "i-1", nil },
					Record:   func(thing string) { made = thing }})
				*seen = w.memory.calls - before
				return jobs.Wait(time.Minute, "the thing"), err
			}},
			{Name: "next", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { waited = true; return jobs.Done(), nil }},
		}
	}}
	id := w.order("Odd")
	w.run()
	w.wantState(id, jobs.Succeeded)
	if !waited {
		w.t.Error("the next step was passed over")
	}
	if got := string(w.job(id).Data); got != `"i-1"` {
		w.t.Errorf("the job keeps %s", got)
	}
	return id
}

func TestARecordThatSharesItsSaveIsKeptWithTheWaitThatFollows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shares bool
		writes int
	}{{false, 1}, {true, 0}} {
		synctest.Test(t, func(t *testing.T) {
			writes := 0
			if saving(newWorld(t), c.shares, &writes); writes != c.writes {
				t.Errorf("a making that shares its save (%v) made %d writes of its own, want %d", c.shares, writes, c.writes)
			}
		})
	}
}

func TestWhatIsNotYetSavedIsSavedBeforeTheNextAct(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id, things := "", map[string]string{}
		making := func(thing string, act func()) jobs.Making[string] {
			return jobs.Making[string]{Thing: thing, SharesSave: true,
				Recorded: func() (string, bool) { return things[thing], things[thing] != "" },
				Act:      func(context.Context, string) (string, error) { act(); return thing, nil },
				Record:   func(made string) { things[thing] = made }}
		}
		w.kinds["Odd"] = odd{name: "Odd", data: func() any { return things }, steps: func(*jobs.Job) []jobs.Step {
			return []jobs.Step{{Name: "two", Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
				if _, _, err := jobs.Make(ctx, turn, making("a", func() {})); err != nil {
					return jobs.Move{}, err
				}
				_, _, err := jobs.Make(ctx, turn, making("b", func() {
					if kept := string(w.job(id).Data); kept != `{"a":"a"}` {
						t.Errorf("when the second thing is made the item has %s", kept)
					}
				}))
				return jobs.Done(), err
			}}}
		}}
		id = w.order("Odd")
		w.run()
		w.wantState(id, jobs.Succeeded)
	})
}

func TestAStepThatOnlySawCostsNoSave(t *testing.T) {
	t.Parallel()
	count := func(only bool) (calls int) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.kinds["Odd"] = odd{name: "Odd", steps: func(*jobs.Job) []jobs.Step {
				return []jobs.Step{
					{Name: "see", Do: func(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
						if only {
							turn.OnlySaw()
						}
						return jobs.Done(), nil
					}},
					{Name: "act", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { return jobs.Done(), nil }},
				}
			}}
			id := w.order("Odd")
			w.run()
			w.wantState(id, jobs.Succeeded)
			calls = w.memory.calls
		})
		return calls
	}
	if plain, only := count(false), count(true); only != plain-1 {
		t.Errorf("%d calls where a step only saw, %d where it did not say so; want one fewer", only, plain)
	}
}

func TestAWaitOnwardIsTheNextStepsAndTheStepBehindItIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id, made := "", 0
		w.kinds["Odd"] = odd{name: "Odd", data: func() any { return made }, steps: func(*jobs.Job) []jobs.Step {
			return []jobs.Step{
				{Name: "make", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
					made++
					return jobs.Wait(time.Minute, "the thing").Onward(), nil
				}},
				{Name: "see", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) {
					if kept := w.job(id); string(kept.Data) != "1" || kept.Step != "see" {
						t.Errorf("when the next step begins the item has %s at step %q", kept.Data, kept.Step)
					}
					return jobs.Done(), nil
				}},
			}
		}}
		id = w.order("Odd")
		w.run()
		w.wantState(id, jobs.Succeeded)
		if made != 1 || w.job(id).Seq != 2 {
			t.Errorf("the first step was carried out %d times, in %d deliveries in all", made, w.job(id).Seq)
		}
	})
}
