package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// A queue keeps no order: whichever of two orders comes first, what was ordered last stands.
func TestWhatWasOrderedLastStandsWhicheverOrderComesFirst(t *testing.T) {
	t.Parallel()
	const same = 0
	for name, c := range map[string]struct {
		first, last    jobs.Verb
		apart          time.Duration
		paused, goBack bool
	}{
		"paused, then resumed":             {jobs.Pause, jobs.Resume, time.Second, false, false},
		"resumed, then paused":             {jobs.Resume, jobs.Pause, time.Second, true, false},
		"paused, then back":                {jobs.Pause, jobs.Revert, time.Second, false, true},
		"back, then paused":                {jobs.Revert, jobs.Pause, time.Second, true, true},
		"paused and resumed at one moment": {jobs.Pause, jobs.Resume, same, false, false},
		"paused and back at one moment":    {jobs.Pause, jobs.Revert, same, false, true},
	} {
		for order, verbs := range map[string][]jobs.Verb{"in order": {c.first, c.last}, "the later one first": {c.last, c.first}, "at once": nil} {
			t.Run(name+", "+order, func(t *testing.T) {
				t.Parallel()
				at := time.Now()
				given := map[jobs.Verb]jobs.Order{c.first: {At: at}, c.last: {At: at.Add(c.apart)}}
				r := &rollout{job: &jobs.Job{}}
				job := &jobs.Job{Orders: map[jobs.Verb]jobs.Order{}}
				for _, verb := range verbs {
					job.Orders[verb] = given[verb]
					r.obey(&jobs.Turn{Job: job})
				}
				job.Orders = given
				r.obey(&jobs.Turn{Job: job})
				if r.progress.Paused != c.paused || r.progress.Turning != c.goBack {
					t.Errorf("paused %t and on its way back %t, want %t and %t", r.progress.Paused, r.progress.Turning, c.paused, c.goBack)
				}
			})
		}
	}
}

func TestAnOrderIsObeyedOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := &rollout{job: &jobs.Job{}}
	job := &jobs.Job{Orders: map[jobs.Verb]jobs.Order{jobs.Resume: {At: now}, jobs.Approve: {At: now}}}
	r.obey(&jobs.Turn{Job: job})
	r.progress.Held = "a gate failed since"
	r.obey(&jobs.Turn{Job: job})
	if r.progress.Held == "" {
		t.Error("the resume of before ended a hold that came after it")
	}
	job.Orders[jobs.Resume] = jobs.Order{At: now.Add(time.Minute)}
	r.obey(&jobs.Turn{Job: job})
	if r.progress.Held != "" {
		t.Error("it still holds after another resume")
	}
	noted := slices.DeleteFunc(job.History, func(l jobs.Line) bool { return !strings.HasPrefix(l.Text, "ordered: ") })
	if len(noted) != 2 {
		t.Errorf("its history tells of %d orders, want the two resumes: %v", len(noted), noted)
	}
}
