package jobs_test

import (
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestOfTwoOrdersTheNewerCountsAndAnOtherRunsNever(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0).UTC()
	job := func(state jobs.State, leased bool, known time.Time) *jobs.Row {
		j := &jobs.Job{State: state, Run: 2, Incarnation: "i", Seq: 7}
		if leased {
			j.Lease = now.Add(time.Minute)
		}
		if !known.IsZero() {
			j.Orders = map[jobs.Verb]jobs.Order{jobs.Pause: {At: known}}
		}
		return &jobs.Row{Job: j}
	}
	for name, c := range map[string]struct {
		row  *jobs.Row
		run  int
		want jobs.Verdict
	}{
		"the first":                        {job(jobs.Open, false, time.Time{}), 2, jobs.VerdictOrder},
		"the first, to a job in work":      {job(jobs.Open, true, time.Time{}), 2, jobs.VerdictOrder},
		"a newer one":                      {job(jobs.Open, true, now.Add(-time.Second)), 2, jobs.VerdictOrder},
		"the same once more":               {job(jobs.Open, false, now), 2, jobs.VerdictClaim},
		"the same, to a job in work":       {job(jobs.Open, true, now), 2, jobs.VerdictHide},
		"an older one":                     {job(jobs.Open, false, now.Add(time.Second)), 2, jobs.VerdictClaim},
		"to another run":                   {job(jobs.Open, false, time.Time{}), 1, jobs.VerdictClaim},
		"to a job that has ended":          {job(jobs.Failed, false, time.Time{}), 2, jobs.VerdictDelete},
		"to a job that is not there":       {nil, 2, jobs.VerdictDelete},
		"to a job of another incarnation":  {&jobs.Row{Job: &jobs.Job{State: jobs.Open, Run: 2, Incarnation: "other"}}, 2, jobs.VerdictDelete},
		"to a job cancelled before it was": {&jobs.Row{Tombstone: true}, 2, jobs.VerdictDelete},
	} {
		m := &jobs.Message{Type: jobs.Ordering, Job: "rollout-web-a", Incarnation: "i", Run: c.run, Verb: jobs.Pause, At: now}
		if got := jobs.Decide(c.row, m, "", now); got != c.want {
			t.Errorf("%s: verdict %d, want %d", name, got, c.want)
		}
	}
}

func TestAnOrderThatSaysNothingIsRefused(t *testing.T) {
	t.Parallel()
	for body, ok := range map[string]bool{
		`{"schema":1,"type":"order","job":"rollout-web-a","run":1,"verb":"pause","at":"2026-11-21T20:00:00Z"}`:                  true,
		`{"schema":1,"type":"order","job":"rollout-web-a","run":1,"verb":"approve","value":"2","at":"2026-11-21T20:00:00.5Z"}`:  true,
		`{"schema":1,"type":"order","job":"rollout-web-a","run":1,"verb":"dance","at":"2026-11-21T20:00:00Z"}`:                  false,
		`{"schema":1,"type":"order","job":"rollout-web-a","run":1,"verb":"pause"}`:                                              false,
		`{"schema":1,"type":"order","job":"rollout-web-a","verb":"pause","at":"2026-11-21T20:00:00Z"}`:                          false,
		`{"schema":1,"type":"order","job":"rollout-web-a","run":1,"verb":"pause","value":"\u0007","at":"2026-11-21T20:00:00Z"}`: false,
	} {
		if _, err := jobs.ParseMessage([]byte(body)); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}
