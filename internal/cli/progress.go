package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
)

// progress shows how jobs go on: bars drawn in place on a terminal, elsewhere a line whenever a job comes to another step.
type progress struct {
	app     *app.App
	w       io.Writer
	inPlace bool
	colour  bool
	quiet   bool
	drawn   int
	told    map[string]string
	begun   time.Time
	hinted  bool
}

const (
	// barWidth is a bar's.
	barWidth = 20
	// unclaimed is how long a job may stand on the queue before a person is told what may be wrong.
	unclaimed = 30 * time.Second
)

func (c *command) newProgress(a *app.App) *progress {
	watched := terminal(c.Err)
	return &progress{app: a, w: c.Err, inPlace: watched, colour: colours(c.Err), told: map[string]string{}, begun: time.Now(),
		quiet: c.output != "table" && !watched}
}

func (p *progress) show(ctx context.Context, ids []string, rows map[string]*jobs.Row) {
	if p.quiet {
		return
	}
	p.hint(ids, rows)
	if p.inPlace {
		p.draw(ctx, ids, rows)
		return
	}
	for _, id := range ids {
		key, line := p.plain(ctx, id, rows[id])
		if p.told[id] != key {
			fmt.Fprintln(p.w, line)
			p.told[id] = key
		}
	}
}

// end leaves the last picture as it is.
func (p *progress) end() { p.drawn = 0 }

// hint says once what may keep a job from beginning.
func (p *progress) hint(ids []string, rows map[string]*jobs.Row) {
	if p.hinted || time.Since(p.begun) < unclaimed {
		return
	}
	for _, id := range ids {
		if row := rows[id]; row == nil || row.Job == nil {
			p.hinted = true
			p.erase()
			fmt.Fprintf(p.w, "no worker has taken %s for %s: does one run (`stampmill ping` tells), and is the id right?\n", oneLine(id), short(time.Since(p.begun)))
			return
		}
	}
}

// erase goes back to before what was drawn.
func (p *progress) erase() {
	if p.inPlace && p.drawn > 0 {
		fmt.Fprintf(p.w, "\x1b[%dA\x1b[J", p.drawn)
	}
	p.drawn = 0
}

// draw draws a line a job over the last picture. Lines are cut at the terminal's width: one that wraps would be two.
func (p *progress) draw(ctx context.Context, ids []string, rows map[string]*jobs.Row) {
	width := widthOf(p.w)
	var b strings.Builder
	for _, id := range ids {
		state, line := p.picture(ctx, id, rows[id])
		line = clip(fmt.Sprintf("%-9s %s", state, line), width-1)
		b.WriteString(p.paint(state, line) + "\n")
	}
	p.erase()
	fmt.Fprint(p.w, b.String())
	p.drawn = len(ids)
}

// picture is one job's line on a terminal.
func (p *progress) picture(ctx context.Context, id string, row *jobs.Row) (state, line string) {
	if row == nil || row.Job == nil {
		return "queued", oneLine(id) + "  waiting for a worker  " + short(time.Since(p.begun))
	}
	job := row.Job
	state = stateOf(job)
	if job.Finished() {
		return state, id + "  " + endOf(job)
	}
	g := measure(ctx, p.app, job)
	parts := []string{id, g.bar(barWidth), g.String(), short(time.Since(job.Created)), waitOf(job)}
	return state, strings.Join(nonEmpty(parts), "  ")
}

// plain is one job's line in a pipe, and the key under which it is news: another state, step or count of servers.
func (p *progress) plain(ctx context.Context, id string, row *jobs.Row) (key, line string) {
	if row == nil || row.Job == nil {
		return "queued", fmt.Sprintf("%-9s %s  waiting for a worker", "queued", oneLine(id))
	}
	job := row.Job
	state := stateOf(job)
	if job.Finished() {
		return state, fmt.Sprintf("%-9s %s  %s", state, id, endOf(job))
	}
	g := measure(ctx, p.app, job)
	text := strings.Join(nonEmpty([]string{id, g.String(), waitOf(job)}), "  ")
	return fmt.Sprint(state, job.Step, g.Launched, g.Healthy), fmt.Sprintf("%-9s %s", state, text)
}

func stateOf(job *jobs.Job) string {
	if job.Phase == jobs.Undoing && !job.Finished() {
		return "undoing"
	}
	return string(job.State)
}

// waitOf says at which step an open job is, and what it waits for.
func waitOf(job *jobs.Job) string {
	text := job.Step
	switch {
	case job.Wait == nil || job.Wait.For == "":
	case strings.HasPrefix(job.Wait.For, job.Step+" "):
		text = oneLine(job.Wait.For)
	default:
		text += ": " + oneLine(job.Wait.For)
	}
	if job.Phase == jobs.Undoing && job.Failure != "" {
		text += " (" + oneLine(job.Failure) + ")"
	}
	return text
}

func endOf(job *jobs.Job) string {
	text := "in " + short(job.Ended.Sub(job.Created))
	if job.Failure != "" {
		text += ": " + oneLine(job.Failure)
	}
	if n := len(job.Warnings); n > 0 {
		text += fmt.Sprintf(" (%d warnings, see `stampmill job show`)", n)
	}
	return text
}

func (p *progress) paint(state, line string) string {
	code := map[string]string{"succeeded": "32", "failed": "31", "cancelled": "33", "undoing": "33"}[state]
	if !p.colour || code == "" {
		return line
	}
	return "\x1b[" + code + "m" + state + "\x1b[0m" + strings.TrimPrefix(line, state)
}

func nonEmpty(parts []string) []string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return kept
}
