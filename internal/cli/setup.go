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

func (c *command) setup() *cobra.Command {
	return &cobra.Command{
		Use: "setup", Short: "Make the queues, tables and bucket, where CloudFormation is not wanted",
		Long: "Makes what is missing of the installation; running it again changes nothing. deploy/cloudformation does the same, and the IAM policies too.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := c.options()
			if err != nil {
				return err
			}
			in, err := app.Build(options).Installation(cmd.Context())
			if err != nil {
				return err
			}
			type made struct {
				Thing string `json:"thing"`
				Name  string `json:"name"`
				Made  bool   `json:"made"`
			}
			var all []made
			in.Tell = func(thing, name string, now bool) { all = append(all, made{thing, name, now}) }
			if err := in.Make(cmd.Context()); err != nil {
				return err
			}
			return c.print(all, func(w io.Writer) {
				for _, m := range all {
					state := "was there"
					if m.Made {
						state = "made"
					}
					row(w, m.Thing, m.Name, state)
				}
			})
		},
	}
}

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
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			for range count {
				if err := c.pingOnce(cmd, a, timeout); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&count, "count", 1, "how many times")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "give up after this long; exit code 6")
	return cmd
}

func (c *command) pingOnce(cmd *cobra.Command, a *app.App, timeout time.Duration) error {
	begun := time.Now()
	m := message(spec.Document{Kind: ping.Kind{}.Name(), Name: "ping", Spec: json.RawMessage(`{}`)}, "", "")
	if err := a.Queue.Send(cmd.Context(), jobs.SubmitLane(jobs.Normal), m, 0); err != nil {
		return err
	}
	id := m.JobID("")
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(timeout)
	for {
		row, err := a.Store.Load(cmd.Context(), id)
		if err != nil {
			return err
		}
		if row != nil && row.Job != nil && row.Job.Finished() {
			return c.pong(row.Job, begun)
		}
		select {
		case <-cmd.Context().Done():
			return exitf(ExitFailure, "stopped")
		case <-deadline:
			return exitf(ExitTimeout, "no worker answered within %s: does one run with the same STAMPMILL_PREFIX, region and account?", timeout)
		case <-ticker.C:
		}
	}
}

func (c *command) pong(job *jobs.Job, begun time.Time) error {
	if job.State != jobs.Succeeded {
		return exitf(ExitJobFailed, "the ping failed: %s", job.Failure)
	}
	p := pong{Job: job.ID, Taken: job.Created.Sub(begun).Milliseconds(), Answered: job.Ended.Sub(begun).Milliseconds(),
		RoundTrip: time.Since(begun).Milliseconds()}
	if c.output != "table" {
		return c.print(p, nil)
	}
	_, err := fmt.Fprintf(c.Out, "pong: taken by a worker after %d ms, done after %d ms, known here after %d ms (%s)\n",
		p.Taken, p.Answered, p.RoundTrip, p.Job)
	return err
}
