package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
)

// waitInterval is how often jobs that are waited for are read: one read each, cheap and soon enough for people.
const waitInterval = time.Second

func (c *command) wait() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "wait JOB…", Short: "Wait until jobs have ended", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			for _, id := range ids {
				if _, err := find(cmd.Context(), a, id); err != nil {
					return err
				}
			}
			return c.waitFor(cmd.Context(), a, ids, timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up waiting after this long (the jobs go on); exit code 6")
	return cmd
}

// waitFor waits until all jobs are terminal. The exit code is the worst end's.
func (c *command) waitFor(ctx context.Context, a *app.App, ids []string, timeout time.Duration) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	progress := c.newProgress()
	ticker := time.NewTicker(waitInterval)
	defer ticker.Stop()
	for {
		rows, err := a.Store.Rows(ctx, ids)
		if err != nil && ctx.Err() == nil {
			return err
		}
		open := 0
		for _, id := range ids {
			row := rows[id]
			if row == nil || row.Job == nil || !row.Job.Finished() {
				open++
			}
		}
		if err == nil {
			progress.show(ids, rows)
		}
		if err == nil && open == 0 {
			progress.end()
			return c.ended(ids, rows)
		}
		select {
		case <-ctx.Done():
			progress.end()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return exitf(ExitTimeout, "%d of %d jobs had not ended after %s; they go on", open, len(ids), timeout)
			}
			return exitf(ExitFailure, "stopped waiting; the jobs go on")
		case <-ticker.C:
		}
	}
}

// ended tells how the jobs ended, and gives the exit code.
func (c *command) ended(ids []string, rows map[string]*jobs.Row) error {
	code := ExitOK
	var list []*jobs.Job
	for _, id := range ids {
		job := rows[id].Job
		list = append(list, job)
		switch job.State {
		case jobs.Failed:
			code = ExitJobFailed
		case jobs.Cancelled:
			if code == ExitOK {
				code = ExitCancelled
			}
		}
	}
	if c.output != "table" {
		views := make([]jobView, len(list))
		for i, job := range list {
			views[i] = view(job)
		}
		if err := c.print(views, nil); err != nil {
			return err
		}
	}
	if code != ExitOK {
		return &exit{code: code}
	}
	return nil
}

// progress shows how jobs go on: drawn in place on a terminal, a line a change elsewhere.
type progress struct {
	w        io.Writer
	inPlace  bool
	colour   bool
	lines    int
	told     map[string]string
	begun    time.Time
	quiet    bool
	finished map[string]bool
}

func (c *command) newProgress() *progress {
	return &progress{w: c.Err, inPlace: c.terminal(), colour: c.colour(), told: map[string]string{}, begun: time.Now(),
		quiet: c.output != "table" && !c.terminal()}
}

func (p *progress) show(ids []string, rows map[string]*jobs.Row) {
	if p.quiet {
		return
	}
	if p.inPlace && p.lines > 0 {
		fmt.Fprintf(p.w, "\x1b[%dA", p.lines)
	}
	p.lines = 0
	for _, id := range ids {
		line := p.line(id, rows[id])
		if p.inPlace {
			fmt.Fprintf(p.w, "\x1b[2K%s\n", line)
			p.lines++
		} else if p.told[id] != line {
			fmt.Fprintln(p.w, line)
		}
		p.told[id] = line
	}
}

func (p *progress) end() {}

// line is one job's progress.
func (p *progress) line(id string, row *jobs.Row) string {
	if row == nil || row.Job == nil {
		return fmt.Sprintf("%-9s %s  waiting for a worker", "queued", id)
	}
	job := row.Job
	state := string(job.State)
	if job.Phase == jobs.Undoing {
		state = "undoing"
	}
	text := fmt.Sprintf("%-9s %s", p.paint(state), id)
	switch {
	case job.Finished() && job.Failure != "":
		text += "  " + clip(oneLine(job.Failure), 160)
	case job.Finished():
		text += "  in " + short(job.Ended.Sub(job.Created))
	default:
		text += "  " + job.Step
		if job.Wait != nil {
			text += ": " + clip(oneLine(job.Wait.For), 100)
		}
		if p.inPlace {
			text += "  " + strings.TrimSpace(short(time.Since(job.Created)))
		}
	}
	return text
}

func (p *progress) paint(state string) string {
	if !p.colour {
		return state
	}
	code := map[string]string{"succeeded": "32", "failed": "31", "cancelled": "33", "undoing": "33"}[state]
	if code == "" {
		return state
	}
	return "\x1b[" + code + "m" + state + "\x1b[0m"
}

// find loads a job, or tells that there is none.
func find(ctx context.Context, a *app.App, id string) (*jobs.Job, error) {
	row, err := a.Store.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if row == nil || row.Job == nil {
		return nil, exitf(ExitNotFound, "there is no job %s: either no worker has taken it yet, or it has expired; `stampmill job list` shows all", oneLine(id))
	}
	return row.Job, nil
}
