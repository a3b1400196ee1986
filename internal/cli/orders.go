package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/jobs"
)

func (c *command) cancel() *cobra.Command {
	var run int
	cmd := &cobra.Command{
		Use: "cancel JOB…", Short: "Cancel jobs: what they made is undone",
		Long: `Cancels the current run of each job. A job that is not there yet is cancelled before it begins.
Past its commit point (a bake's new version is current) a job goes on to its end, whole.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			orders, err := c.order(cmd.Context(), ids, jobs.Cancel, run)
			if err != nil {
				return err
			}
			return c.printOrders(orders)
		},
	}
	cmd.Flags().IntVar(&run, "run", 0, "the run that is meant (default: the current one)")
	return cmd
}

func (c *command) retry() *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "retry JOB…", Short: "Open the next run of jobs that have ended", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			orders, err := c.order(cmd.Context(), ids, jobs.Reopen, 0)
			if err != nil {
				return err
			}
			if !wait {
				return c.printOrders(orders)
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			runs := map[string]int{}
			for i, o := range orders {
				ids[i], runs[o.Job] = o.Job, o.Run+1
			}
			return c.waitFor(cmd.Context(), a, ids, timeout, runs)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the runs have ended, with progress")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "with --wait: give up waiting after this long (the jobs go on)")
	return cmd
}

// ordered is what cancel and retry tell of each job.
type ordered struct {
	Job  string `json:"job"`
	Run  int    `json:"run"`
	Sent bool   `json:"sent"`
	Note string `json:"note"`
}

// order sends a command to jobs; commands name the run that they mean. All jobs are looked up before the first is sent.
func (c *command) order(ctx context.Context, ids []string, what jobs.MessageType, run int) ([]ordered, error) {
	a, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	var orders []ordered
	var messages []*jobs.Message
	for _, id := range ids {
		job, err := find(ctx, a, id)
		switch {
		case err != nil && (what != jobs.Cancel || !wholeID.MatchString(id) || codeOf(err) != ExitNotFound):
			return nil, err
		case err != nil:
			orders = append(orders, ordered{id, max(run, 1), true, "not taken by a worker yet: it is cancelled as soon as it is"})
			messages = append(messages, &jobs.Message{Type: what, Job: id, Run: max(run, 1)})
			continue
		case what == jobs.Reopen && !job.Finished():
			return nil, exitf(ExitFailure, "%s is still open; only what has ended can be retried", job.ID)
		case what == jobs.Cancel && job.Finished():
			orders = append(orders, ordered{job.ID, job.Run, false, "has ended already: " + string(job.State)})
			continue
		}
		m := &jobs.Message{Type: what, Job: job.ID, Run: job.Run, Incarnation: job.Incarnation}
		note := "asked to cancel"
		if what == jobs.Reopen {
			note = fmt.Sprintf("asked to begin run %d", job.Run+1)
		} else if run > 0 {
			m.Run = run
		}
		orders, messages = append(orders, ordered{job.ID, m.Run, true, note}), append(messages, m)
	}
	for _, m := range messages {
		if err := a.Queue.Send(ctx, jobs.LaneHigh, m, 0); err != nil {
			return nil, err
		}
	}
	return orders, nil
}

func (c *command) printOrders(orders []ordered) error {
	return c.print(orders, func(w io.Writer) {
		for _, o := range orders {
			row(w, o.Job, o.Note)
		}
	})
}
