package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// decide finds the occasions that have come, marks them as acted on, and gives the submissions that follow.
func (e *Evaluator) decide(ctx context.Context, p *Policy, now time.Time) ([]*jobs.Message, error) {
	p.Note = ""
	tick, ticks := p.tick(now)
	checks := p.Spec.When.watches() && (!p.Checked.Add(p.Spec.When.Check.Or(DefaultCheck)).After(now) || p.Asked.After(p.Checked))
	if !ticks && !checks {
		p.Due = p.next(now)
		return nil, nil
	}
	past, err := e.history(ctx, *p, now)
	if err != nil {
		return nil, err
	}
	if p.Spec.Do.Heal != nil || p.Spec.Do.Launch != nil {
		return e.fill(ctx, p, tick, now, past)
	}
	if len(past.open) > 0 {
		p.overlap(tick, ticks, now, past.open)
		return nil, nil
	}
	if ticks {
		p.Ticked, p.Due = tick, p.next(now)
		return p.order(now, "tick."+instant(tick), "it is "+instant(tick), work{raw: p.Spec.Do.raw()}), nil
	}
	causes, err := e.causes(ctx, p, now)
	if err != nil {
		return nil, err
	}
	p.Checked = now
	p.Due = p.next(now)
	if len(causes) == 0 {
		return nil, nil
	}
	return e.renew(p, causes, now)
}

// overlap lets an occasion wait until the last one's job is over, or skips it.
func (p *Policy) overlap(tick time.Time, ticks bool, now time.Time, open map[string]string) {
	job := open[slices.Sorted(maps.Keys(open))[0]]
	if !ticks {
		p.Note = "images are looked at again when " + job + " is over"
		return
	}
	if p.Spec.Overlap == Skip {
		p.Ticked, p.Due = tick, p.next(now)
		p.Note = fmt.Sprintf("%s was skipped: %s was not over", instant(tick), job)
		return
	}
	p.Note = fmt.Sprintf("%s waits until %s is over", instant(tick), job)
}

// renew submits what the images with a cause ask for.
func (e *Evaluator) renew(p *Policy, causes map[string]string, now time.Time) ([]*jobs.Message, error) {
	tries := maps.Clone(p.Tries)
	if tries == nil {
		tries = map[string]Try{}
	}
	var texts, identity []string
	names := slices.Sorted(maps.Keys(causes))
	for _, name := range names {
		try := tries[name]
		if try.Cause != causes[name] {
			try = Try{Cause: causes[name]}
		}
		try.At, try.Times = now, try.Times+1
		tries[name] = try
		texts = append(texts, name+": "+causes[name])
		identity = append(identity, fmt.Sprintf("%s %s %d", name, try.Cause, try.Times))
	}
	p.Tries = tries
	raw := p.Spec.Do.raw()
	if p.Spec.Do.Restamp != nil {
		only, err := e.Restamps.Only(raw, names)
		if err != nil {
			return nil, err
		}
		raw = only
	}
	return p.order(now, "cause."+hash(strings.Join(identity, "\n")), clip(strings.Join(texts, "; ")), work{raw: raw}), nil
}

// work is one job that is to be submitted. What it does not say is the policy's.
type work struct {
	kind, name string
	target     *jobs.Target
	labels     map[string]string
	raw        json.RawMessage
}

// order makes the submissions and remembers the run.
func (p *Policy) order(now time.Time, cause, text string, all ...work) []*jobs.Message {
	run := Run{At: now, Cause: text}
	var orders []*jobs.Message
	for _, w := range all {
		m := p.message(w)
		m.Key = p.key(cause)
		orders = append(orders, m)
		run.Jobs = append(run.Jobs, Sent{Job: m.JobID(""), Name: m.Name})
	}
	p.Runs = append([]Run{run}, p.Runs...)
	p.Runs = p.Runs[:min(len(p.Runs), keptRuns)]
	return orders
}

func (p *Policy) message(w work) *jobs.Message {
	do := p.Spec.Do
	m := &jobs.Message{Schema: jobs.SchemaVersion, Type: jobs.Submit, Kind: w.kind, Name: w.name, Labels: w.labels, Spec: w.raw, Priority: jobs.Priority(do.Priority)}
	if m.Priority == "" {
		m.Priority = p.Priority
	}
	if m.Kind == "" {
		m.Kind = do.kind()
	}
	if m.Name == "" {
		if m.Name = do.Name; m.Name == "" {
			m.Name = p.Name
		}
	}
	if m.Labels == nil {
		if m.Labels = do.Labels; m.Labels == nil {
			m.Labels = p.Labels
		}
	}
	target := do.target(p.Target)
	if w.target != nil {
		target = *w.target
	}
	m.Role, m.Region = target.Role, target.Region
	return m
}

// history is what became of the jobs of former runs, by their names.
type history struct {
	open     map[string]string // jobs that are not over
	failures map[string]int    // how many failed in a row, up to the last one
	last     map[string]time.Time
}

func (e *Evaluator) history(ctx context.Context, p Policy, now time.Time) (history, error) {
	past := history{open: map[string]string{}, failures: map[string]int{}, last: map[string]time.Time{}}
	var ids []string
	for _, run := range p.Runs {
		for _, sent := range run.Jobs {
			ids = append(ids, sent.Job)
		}
	}
	if len(ids) == 0 {
		return past, nil
	}
	rows, err := e.Rows.Rows(ctx, ids)
	if err != nil {
		return past, err
	}
	settled := map[string]bool{}
	for _, run := range p.Runs { // the newest first
		for _, sent := range run.Jobs {
			job := &jobs.Job{State: jobs.Succeeded} // forgotten since
			if row := rows[sent.Job]; row != nil && row.Job != nil {
				job = row.Job
			} else if row == nil && now.Sub(run.At) < unseen {
				job.State = jobs.Open
			}
			if past.last[sent.Name].IsZero() {
				past.last[sent.Name] = run.At
			}
			switch {
			case job.State == jobs.Open:
				past.open[sent.Name] = sent.Job
			case job.State == jobs.Failed && !settled[sent.Name]:
				past.failures[sent.Name]++
			default:
				settled[sent.Name] = true
			}
		}
	}
	return past, nil
}

// target is where the job works: as it says, else as the policy's document does.
func (d Do) target(document jobs.Target) jobs.Target {
	if d.Region != "" {
		document.Region = d.Region
	}
	if d.Role != "" {
		document.Role = d.Role
	}
	return document
}

func (d Do) kind() string {
	switch {
	case d.Restamp != nil:
		return "Restamp"
	case d.Bake != nil:
		return "Bake"
	}
	return "Launch"
}

func (d Do) raw() json.RawMessage {
	switch {
	case d.Restamp != nil:
		return d.Restamp
	case d.Bake != nil:
		return d.Bake
	}
	return d.Launch
}

func instant(at time.Time) string { return at.UTC().Format(time.RFC3339) }
