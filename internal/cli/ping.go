package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ping"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// pong is what ping measured, in milliseconds.
type pong struct {
	Job       string `json:"job"`
	Taken     int64  `json:"takenMs"`
	Answered  int64  `json:"answeredMs"`
	RoundTrip int64  `json:"roundTripMs"`
}

func (c *command) ping() *cobra.Command {
	var count int
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "ping", Short: "Prove the set-up end to end: a job through queue, worker and table, measured", Args: cobra.NoArgs,
		Long: `Sends a job that does nothing, and waits until a worker has carried it out: queues, tables, rights and workers are
then right. Prints how long it took. JSON and YAML are one object, with --count above 1 a list.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 1 {
				return exitf(ExitUsage, "--count is %d; expected 1 or more", count)
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			var all []pong
			for range count {
				p, err := pingOnce(cmd, a, timeout)
				if err != nil {
					return err
				}
				if c.output == "table" {
					fmt.Fprintf(c.Out, "pong: taken by a worker after %d ms, done after %d ms, known here after %d ms (%s)\n",
						p.Taken, p.Answered, p.RoundTrip, p.Job)
				}
				all = append(all, p)
			}
			switch {
			case c.output == "table":
				return nil
			case count == 1:
				return c.print(all[0], func(io.Writer) {})
			}
			return c.print(all, func(io.Writer) {})
		},
	}
	cmd.Flags().IntVar(&count, "count", 1, "how many times")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "give up after this long; exit code 6")
	return cmd
}

func pingOnce(cmd *cobra.Command, a *app.App, timeout time.Duration) (pong, error) {
	begun := time.Now()
	m := message(spec.Document{Kind: ping.Kind{}.Name(), Name: "ping", Spec: json.RawMessage(`{}`)}, "", "")
	if err := a.Queue.Send(cmd.Context(), jobs.SubmitLane(jobs.Normal), m, 0); err != nil {
		return pong{}, err
	}
	id := m.JobID("")
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(timeout)
	for {
		row, err := a.Store.Load(cmd.Context(), id)
		if err != nil {
			return pong{}, err
		}
		if row != nil && row.Job != nil && row.Job.Finished() {
			return measured(row.Job, begun)
		}
		select {
		case <-cmd.Context().Done():
			return pong{}, exitf(ExitFailure, "stopped")
		case <-deadline:
			return pong{}, exitf(ExitTimeout, "no worker answered within %s: does one run with the same STAMPMILL_PREFIX, region and account?", timeout)
		case <-ticker.C:
		}
	}
}

func measured(job *jobs.Job, begun time.Time) (pong, error) {
	if job.State != jobs.Succeeded {
		return pong{}, exitf(ExitJobFailed, "the ping is %s: %s", job.State, job.Failure)
	}
	return pong{Job: job.ID, Taken: job.Created.Sub(begun).Milliseconds(), Answered: job.Ended.Sub(begun).Milliseconds(),
		RoundTrip: time.Since(begun).Milliseconds()}, nil
}
