package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
)

// waitInterval is how often jobs that are waited for are read: one read each, cheap and soon enough for people.
const waitInterval = time.Second

func (c *command) wait() *cobra.Command {
	var timeout time.Duration
	var run int
	cmd := &cobra.Command{
		Use: "wait JOB…", Short: "Wait until jobs have ended", Args: cobra.MinimumNArgs(1),
		Long: `Waits until all jobs have ended, and shows how they go on: bars on a terminal, a line a step in a pipe, on
standard error. A job that no worker has taken yet is waited for too, by its whole id.

Exit codes: 0 all succeeded, 4 one failed, 5 one was cancelled, 6 the time is over (the jobs go on).`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			if ids, err = findOrAwaited(cmd.Context(), a, ids); err != nil {
				return err
			}
			runs := map[string]int{}
			for _, id := range ids {
				runs[id] = run
			}
			return c.waitFor(cmd.Context(), a, ids, timeout, runs)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up waiting after this long (the jobs go on); exit code 6")
	cmd.Flags().IntVar(&run, "run", 0, "wait for this run, or a later one, which may not have begun yet (default: the current one)")
	return cmd
}

// waitFor waits until all jobs are terminal, each in its run of runs or a later one. The exit code is the worst end's.
func (c *command) waitFor(ctx context.Context, a *app.App, ids []string, timeout time.Duration, runs map[string]int) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	progress := c.newProgress(a)
	defer progress.end()
	ticker := time.NewTicker(waitInterval)
	defer ticker.Stop()
	for {
		rows, err := a.Store.Rows(ctx, ids)
		if err != nil && ctx.Err() == nil {
			return err
		}
		open := 0
		var unread error
		for _, id := range ids {
			row := rows[id]
			if row != nil && row.Unreadable != nil {
				unread, rows[id] = errors.Join(unread, row.Unreadable), nil
				continue
			}
			if row != nil && row.Job != nil && row.Job.Run < runs[id] {
				row, rows[id] = nil, nil
			}
			if row == nil || row.Job == nil || !row.Job.Finished() {
				open++
			}
		}
		if err == nil {
			progress.show(ctx, ids, rows)
		}
		if err == nil && open == 0 && unread != nil {
			return unread
		}
		if err == nil && open == 0 {
			return c.ended(ids, rows)
		}
		select {
		case <-ctx.Done():
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
