package jobs_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stampmill/stampmill/internal/jobs"
)

// Nobody gathers the children of an undo: a step that has some made ends with a warning, and the job with it, instead of making them
// for ever.
func TestAnUndoHasNoChildrenAndEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tries, tidied := 0, false
		w.kinds = jobs.NewKinds(stamp{w.memory}, odd{name: "Odd",
			steps: func(*jobs.Job) []jobs.Step {
				return []jobs.Step{{Name: "make", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { return jobs.Fail("it cannot be made"), nil }}}
			},
			undo: func(*jobs.Job) []jobs.Step {
				return []jobs.Step{
					{Name: "try", Do: func(_ context.Context, turn *jobs.Turn) (jobs.Move, error) {
						if tries++; tries > 5 || turn.Children() != nil {
							t.Errorf("it was tried %d times", tries)
							return jobs.Done(), nil
						}
						return jobs.FanOut(jobs.Child{Kind: "Stamp", Name: "leaf", Spec: json.RawMessage(`{}`)}), nil
					}},
					{Name: "tidy", Do: func(context.Context, *jobs.Turn) (jobs.Move, error) { tidied = true; return jobs.Done(), nil }},
				}
			}})
		id := w.order("Odd")
		w.run()
		w.wantState(id, jobs.Failed)
		warned := slices.ContainsFunc(w.job(id).Warnings, func(text string) bool { return strings.Contains(text, "no children") })
		if tries != 1 || !tidied || !warned {
			t.Errorf("%d tries, tidied %t, warnings %q", tries, tidied, w.job(id).Warnings)
		}
	})
}
