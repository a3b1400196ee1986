package cli

import (
	"cmp"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/policy"
)

func (c *command) policies() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "List, show, pause and resume policies"}
	cmd.AddCommand(c.policyList(), c.policyShow(),
		c.policyChange("pause", "Have policies do nothing until they are resumed", func(p policy.Policy) policy.Policy { return policy.Pause(p) }),
		c.policyChange("resume", "End a pause; what was missed meanwhile is not made up for", func(p policy.Policy) policy.Policy { return policy.Resume(p, time.Now()) }))
	return cmd
}

func (c *command) remove() *cobra.Command {
	cmd := &cobra.Command{Use: "delete", Short: "Forget policies"}
	cmd.AddCommand(&cobra.Command{
		Use: "policy NAME…", Short: "Forget policies; their jobs go on", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			for _, name := range names {
				if err := forget(cmd.Context(), a, name); err != nil {
					return err
				}
				row(c.Out, "deleted policy "+name)
			}
			return nil
		},
	})
	return cmd
}

// policyView is a policy for programs.
type policyView struct {
	policy.Policy
	Next *time.Time `json:"next,omitempty"`
}

func (c *command) policyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List policies", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			heads, err := a.Ledger.Policies(cmd.Context())
			unread, err := jobs.Unread(err)
			if err != nil {
				return err
			}
			now := time.Now()
			err = c.print(heads, func(w io.Writer) {
				row(w, "POLICY", "LOOKED AT NEXT", "LAST RUN", "LAST JOB", "NOTE")
				for _, h := range heads {
					last, job := "", ""
					if len(h.Runs) > 0 {
						last = ago(h.Runs[0].At, now)
						job = lastJob(h.Runs[0])
					}
					row(w, h.Name, dueText(h, now), last, job, h.Note)
				}
			})
			if err != nil || unread == nil {
				return err
			}
			return exitf(ExitFailure, "not all policies are listed: %w", unread)
		},
	}
}

func lastJob(run policy.Run) string {
	switch len(run.Jobs) {
	case 0:
		return ""
	case 1:
		return run.Jobs[0].Job
	}
	return count(len(run.Jobs), "job")
}

func dueText(h policy.Head, now time.Time) string {
	switch {
	case h.Paused:
		return "paused"
	case h.Due.IsZero():
		return "on a message"
	case !h.Due.After(now):
		return "now"
	}
	return "in " + short(h.Due.Sub(now))
}

func (c *command) policyShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a policy: its next and last occasions, and its last jobs", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			p, found, err := a.Ledger.Policy(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if !found {
				return noPolicy(args[0])
			}
			now := time.Now()
			v := policyView{Policy: p}
			if at, ok := p.NextTick(now); ok && !p.Paused {
				v.Next = &at
			}
			states := map[string]string{}
			var ids []string
			for _, run := range p.Runs {
				for _, sent := range run.Jobs {
					ids = append(ids, sent.Job)
				}
			}
			rows, err := a.Store.Rows(cmd.Context(), ids)
			if err != nil {
				return err
			}
			for id, r := range rows {
				if r.Job != nil {
					states[id] = string(r.Job.State)
				}
			}
			return c.print(v, func(w io.Writer) { showPolicy(w, v, states, now) })
		},
	}
}

func showPolicy(w io.Writer, v policyView, states map[string]string, now time.Time) {
	row(w, "policy", v.Name)
	row(w, "generation", v.Generation, "applied", ago(v.Applied, now))
	row(w, "when", compact(v.Spec.When))
	row(w, "do", strings.Join(v.Spec.Do.Kinds(), " "), v.Spec.Do.Name)
	row(w, "target", cmp.Or(v.Target.String(), "the worker's own account and region"))
	row(w, "looked at next", dueText(v.Head, now))
	if v.Next != nil {
		row(w, "next tick", nextText(v.Next))
	}
	if v.Next != nil || v.Paused { // an apply and a resume begin to count anew, without a tick
		row(w, "ticks count since", ago(v.Ticked, now))
	}
	if !v.Checked.IsZero() {
		row(w, "images looked at", ago(v.Checked, now))
	}
	if v.Note != "" {
		row(w, "note", v.Note)
	}
	for _, run := range v.Runs {
		row(w, "run", ago(run.At, now), run.Cause)
		for _, sent := range run.Jobs {
			row(w, "", sent.Job, cmp.Or(states[sent.Job], "not begun"))
		}
	}
}

func compact(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func (c *command) policyChange(verb, about string, change func(policy.Policy) policy.Policy) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME…", Short: about, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			for _, name := range names {
				_, err := changePolicy(cmd.Context(), a, name, func(stands *policy.Policy) (policy.Policy, error) {
					if stands == nil {
						return policy.Policy{}, noPolicy(name)
					}
					if stands.Paused == (verb == "pause") {
						return *stands, policy.ErrSame
					}
					return change(*stands), nil
				})
				if err := ignoreSame(err); err != nil {
					return err
				}
				row(c.Out, verb+"d policy "+name)
			}
			return nil
		},
	}
}

func noPolicy(name string) error {
	return exitf(ExitNotFound, "there is no policy %s; `stampmill policy list` shows all", oneLine(name))
}
