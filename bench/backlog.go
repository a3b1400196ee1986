package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

var waiting100k = measure{
	name: "waiting-100k",
	what: "the worker's peak resident memory, in MB, while 1,000 and 100,000 jobs are submitted and come to wait for two hours, " +
		"real processes; the bound is that of 1,000",
	bound: "that of 1,000: a job that waits holds neither goroutine nor timer nor memory",
	bars:  []bar{{name: "100000", value: 1.2, ratio: true}},
	take:  waiting,
}

var breadth = measure{
	name: "breadth",
	what: "20,000 jobs of nine stages, each a delivery of its own that is sent without delay, submitted at once, one worker, real " +
		"processes: jobs that were open at once at the worst; case first: the time to the first job's end over that to the last's",
	bound: "64, the worker's slots: no more can be worked on at once",
	bars:  []bar{{name: "open", value: 2000}, {name: "first", value: 0.1}},
	take:  wide,
}

// waiting compares workers' peaks; each has a queue of its own that it empties.
func waiting(k *taking) error {
	least := 0.0
	for _, count := range []int{1000, 100_000} {
		peak, err := waitingPeak(k, count)
		if err != nil {
			return err
		}
		if least == 0 {
			least = peak
		}
		if err := k.report(fmt.Sprint(count), peak, "MB", round(least)); err != nil {
			return err
		}
	}
	return nil
}

func waitingPeak(k *taking, count int) (peak float64, err error) {
	messages, err := pingsWith(count, map[string]any{"wait": "2h"})
	if err != nil {
		return 0, err
	}
	err = onSockets(k.t.Context(), func(ctx context.Context, s *site) error {
		jobs, err := s.carried(ctx, messages)
		if err != nil {
			return err
		}
		for _, job := range jobs.all {
			if job.Finished() || job.Wait == nil || !job.Wait.Due {
				return fmt.Errorf("%s does not wait: %s", job.ID, job.State)
			}
		}
		peak, err = jobs.worker.peak()
		return err
	})
	return peak, err
}

func wide(k *taking) error {
	const count, stages = 20_000, 9
	messages, err := pingsWith(count, map[string]any{"stages": stages})
	if err != nil {
		return err
	}
	return onSockets(k.t.Context(), func(ctx context.Context, s *site) error {
		jobs, err := s.carried(ctx, messages)
		if err != nil {
			return err
		}
		for _, job := range jobs.all {
			if !job.Finished() || job.Seq != stages {
				return fmt.Errorf("%s is %s after %d deliveries; expected its end after %d", job.ID, job.State, job.Seq, stages)
			}
		}
		open, first := spans(jobs.all, jobs.begun)
		if err := k.report("open", float64(open), "jobs", 64); err != nil {
			return err
		}
		return k.report("first", first, "of the total", 0)
	})
}

// spans gives how many jobs were open at once at the worst, and the time to the first end over that to the last.
func spans(all []*jobs.Job, begun time.Time) (open int, first float64) {
	type change struct {
		at time.Time
		by int
	}
	var changes []change
	for _, job := range all {
		changes = append(changes, change{job.Created, 1}, change{job.Ended, -1})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), -cmp.Compare(a.by, b.by)) })
	firstEnd, lastEnd, now := time.Time{}, time.Time{}, 0
	for _, c := range changes {
		now += c.by
		open = max(open, now)
		if c.by < 0 {
			if firstEnd.IsZero() {
				firstEnd = c.at
			}
			lastEnd = c.at
		}
	}
	return open, firstEnd.Sub(begun).Seconds() / lastEnd.Sub(begun).Seconds()
}

// carriage is jobs that a worker has taken from the queues, as they stand.
type carriage struct {
	worker *process
	begun  time.Time // the worker's start
	all    []*jobs.Job
}

// carried lets a worker empty the queues of the submissions, and reads what became of them.
func (s *site) carried(ctx context.Context, messages []*jobs.Message) (carriage, error) {
	if err := submitAll(ctx, s.Queue, messages); err != nil {
		return carriage{}, err
	}
	c := carriage{begun: time.Now()}
	var err error
	if c.worker, err = s.work(); err != nil {
		return carriage{}, err
	}
	if err := s.drained(ctx, c.worker, 200*time.Millisecond); err != nil {
		return carriage{}, err
	}
	rows, err := s.Store.Rows(ctx, ids(messages))
	if err != nil {
		return carriage{}, err
	}
	for _, row := range rows {
		if row.Job != nil {
			c.all = append(c.all, row.Job)
		}
	}
	if len(c.all) != len(messages) {
		return carriage{}, fmt.Errorf("%d of %d jobs are in the table", len(c.all), len(messages))
	}
	return c, nil
}
