package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
)

const (
	// grace is how long after the last job the reaper may take: its own grace, and a few looks.
	grace = 20 * time.Second
	// mending is how long what is then still wrong may take to become right. It never does by itself; it is for a slow machine.
	mending = 40 * time.Second
)

var errFound = errors.New("the storm did damage")

// conclude waits until all is still, judges, and gives the verdict.
func (s *storm) conclude(ctx context.Context) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	found, w, err := s.judge(ctx)
	if err != nil {
		return err
	}
	s.pool.close()
	s.report(found, w)
	counts := map[class]int{}
	for _, f := range found {
		counts[f.class]++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kills := 0
	for _, n := range s.killed {
		kills += n
	}
	_, err = fmt.Fprintf(s.out, "kills=%d jobs=%d lost=%d doubled=%d orphaned=%d wrong=%d\n", kills, len(s.requests), counts[lost], counts[doubled], counts[orphaned], counts[wrong])
	if len(found) > 0 {
		return errors.Join(errFound, err)
	}
	return err
}

// settle waits until no message can wake anything any more, and then for the reaper's grace.
func (s *storm) settle(ctx context.Context) error {
	s.say("all users are done; letting it settle")
	for end := time.Now().Add(patience); time.Now().Before(end); {
		w, err := s.survey(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(w.messages, func(m sqs.Held) bool { return !w.dies(m) }) {
			break
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return pause(ctx, grace)
}

// judge judges until nothing is found, or what is found stays.
func (s *storm) judge(ctx context.Context) (found []finding, w *world, err error) {
	end := time.Now().Add(mending)
	for {
		if w, err = s.survey(ctx); err != nil {
			return nil, nil, err
		}
		s.mu.Lock()
		found = slices.Concat(s.findings, judge(w, s.requests, s.fleets))
		past := len(s.findings)
		s.mu.Unlock()
		if len(found) == past || time.Now().After(end) {
			return append(found, s.seen.doubles()...), w, nil // what was made twice stays so
		}
		if err := pause(ctx, 2*time.Second); err != nil {
			return nil, nil, err
		}
	}
}

// mostTold is how many findings are told with their job's history.
const mostTold = 20

// report tells what was killed, how the jobs ended, and what was found.
func (s *storm) report(found []finding, w *world) {
	ends := map[string]int{}
	retried, children := 0, 0
	for _, job := range w.jobs {
		if job.Parent != nil {
			children++
			continue
		}
		ends[job.Kind+" "+string(job.State)]++
		if job.Run > 1 {
			retried++
		}
	}
	s.mu.Lock()
	reaped := s.reaped
	s.mu.Unlock()
	s.say("killed: %v; the reaper removed %d things that late calls had made", s.killed, reaped)
	s.say("jobs: %v; %d of them retried, %d children; %d servers and %d AMIs stand in the end", ends, retried, children, s.seen.standing(), len(w.Images))
	for n, f := range found {
		if n == mostTold {
			s.say("and %d more", len(found)-n)
			return
		}
		text := f.String()
		if f.job != "" {
			text += "\n" + history(w.jobs[f.job]) + s.children(w, f.job)
		}
		s.say("%s", text)
	}
}

func (s *storm) children(w *world, id string) (text string) {
	for _, child := range sorted(w.jobs) {
		if job := w.jobs[child]; job.Parent != nil && job.Parent.ID == id && job.State != jobs.Succeeded {
			text += "\n  child " + child + "\n" + history(job)
		}
	}
	return text
}
