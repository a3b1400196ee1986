package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
)

// jobView is a job as JSON and YAML show it.
type jobView struct {
	ID          string            `json:"id"`
	Kind        string            `json:"kind"`
	Name        string            `json:"name"`
	Region      string            `json:"region,omitempty"`
	Role        string            `json:"role,omitempty"`
	Key         string            `json:"key"`
	Priority    string            `json:"priority"`
	Labels      map[string]string `json:"labels,omitempty"`
	State       string            `json:"state"`
	Undoing     bool              `json:"undoing,omitempty"`
	Run         int               `json:"run"`
	Incarnation string            `json:"incarnation"`
	Step        string            `json:"step,omitempty"`
	WaitsFor    string            `json:"waitsFor,omitempty"`
	WaitsUntil  *time.Time        `json:"waitsUntil,omitempty"`
	Attempts    map[string]int    `json:"attempts,omitempty"`
	Error       string            `json:"error,omitempty"`
	Failure     string            `json:"failure,omitempty"`
	Warnings    []string          `json:"warnings,omitempty"`
	Parent      string            `json:"parent,omitempty"`
	Children    int               `json:"children,omitempty"`
	Result      json.RawMessage   `json:"result,omitempty"`
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`
	Ended       *time.Time        `json:"ended,omitempty"`
	History     []lineView        `json:"history,omitempty"`
	Spec        json.RawMessage   `json:"spec,omitempty"`
}

type lineView struct {
	Time time.Time `json:"time"`
	Run  int       `json:"run"`
	Step string    `json:"step,omitempty"`
	Text string    `json:"text"`
}

func view(j *jobs.Job) jobView {
	v := jobView{ID: j.ID, Kind: j.Kind, Name: j.Name, Region: j.Target.Region, Role: j.Target.Role, Key: j.Key, Priority: string(j.Priority),
		Labels: j.Labels, State: string(j.State), Undoing: j.Phase == jobs.Undoing, Run: j.Run, Incarnation: j.Incarnation, Attempts: j.Attempts,
		Error: j.Error, Failure: j.Failure, Warnings: j.Warnings, Result: j.Result, Created: j.Created, Updated: j.Updated}
	if !j.Finished() {
		v.Step = j.Step
	} else {
		v.Ended = &j.Ended
	}
	if j.Wait != nil {
		v.WaitsFor, v.WaitsUntil = j.Wait.For, &j.Wait.Until
	}
	if j.Parent != nil {
		v.Parent = j.Parent.ID
	}
	if j.Fan != nil {
		v.Children = j.Fan.Count
	}
	return v
}

func (c *command) job() *cobra.Command {
	cmd := &cobra.Command{Use: "job", Short: "List and show jobs"}
	cmd.AddCommand(c.jobList(), c.jobShow())
	return cmd
}

func (c *command) jobList() *cobra.Command {
	var f store.Filter
	var states, labels []string
	var since time.Duration
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range states {
				switch state := jobs.State(s); state {
				case jobs.Open, jobs.Succeeded, jobs.Failed, jobs.Cancelled:
					f.States = append(f.States, state)
				default:
					return exitf(ExitUsage, "--state is %q; expected open, succeeded, failed or cancelled", s)
				}
			}
			f.Labels = map[string]string{}
			for _, l := range labels {
				name, value, ok := strings.Cut(l, "=")
				if !ok {
					return exitf(ExitUsage, "--label is %q; expected NAME=VALUE", l)
				}
				f.Labels[name] = value
			}
			if since > 0 {
				f.Since = time.Now().Add(-since)
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			list, err := a.Store.List(cmd.Context(), f)
			unread, err := jobs.Unread(err)
			if err != nil {
				return err
			}
			views := make([]jobView, len(list))
			for i, job := range list {
				views[i] = view(job)
			}
			if err := c.print(views, func(w io.Writer) { jobTable(w, list, time.Now()) }); err != nil || unread == nil {
				return err
			}
			return exitf(ExitFailure, "not all jobs are listed: %w", unread)
		},
	}
	cmd.Flags().StringSliceVar(&states, "state", nil, "open, succeeded, failed, cancelled; several with commas")
	cmd.Flags().StringVar(&f.Kind, "kind", "", "only this kind")
	cmd.Flags().StringVar(&f.Name, "name", "", "only this name")
	cmd.Flags().StringArrayVar(&labels, "label", nil, "only with this label, NAME=VALUE; may be repeated")
	cmd.Flags().DurationVar(&since, "since", 0, "only those created in the last …")
	cmd.Flags().BoolVar(&f.Children, "children", false, "also jobs that others fanned out")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "how many at the most")
	return cmd
}

func jobTable(w io.Writer, list []*jobs.Job, now time.Time) {
	row(w, "JOB", "KIND", "NAME", "STATE", "RUN", "AGE", "STEP", "WAITS FOR / FAILURE")
	for _, j := range list {
		state, about := string(j.State), j.Failure
		if j.Phase == jobs.Undoing {
			state = "undoing"
		} else if j.Wait != nil {
			about = j.Wait.For
		}
		step := j.Step
		if j.Finished() {
			step = ""
		}
		row(w, j.ID, j.Kind, j.Name, state, j.Run, short(now.Sub(j.Created)), step, clip(oneLine(about), 80))
	}
}

func (c *command) jobShow() *cobra.Command {
	var withSpec bool
	cmd := &cobra.Command{
		Use: "show JOB", Short: "Show a job: its timeline, what it waits for, what it made", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			j, err := find(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			v := view(j)
			for _, l := range j.History {
				v.History = append(v.History, lineView{Time: l.Time, Run: l.Run, Step: l.Step, Text: l.Text})
			}
			if withSpec {
				v.Spec = j.Spec
			}
			return c.print(v, func(w io.Writer) { showJob(w, j, v, time.Now()) })
		},
	}
	cmd.Flags().BoolVar(&withSpec, "spec", false, "also the spec")
	return cmd
}

func showJob(w io.Writer, j *jobs.Job, v jobView, now time.Time) {
	state := v.State
	if v.Undoing {
		state += ", undoing, then " + string(j.End)
	}
	row(w, "job", j.ID)
	row(w, "kind", j.Kind)
	row(w, "target", orDefault(j.Target.String(), "the worker's own account and region"))
	row(w, "state", fmt.Sprintf("%s (run %d, created %s)", state, j.Run, ago(j.Created, now)))
	row(w, "key", j.Key)
	if len(j.Labels) > 0 {
		row(w, "labels", labelText(j.Labels))
	}
	if j.Parent != nil {
		row(w, "parent", j.Parent.ID)
	}
	if !j.Finished() {
		row(w, "step", j.Step)
		if j.Wait != nil {
			row(w, "waits for", j.Wait.For)
			row(w, "looks again", "in "+short(j.Wait.Until.Sub(now)))
		}
		if j.Cancel == j.Run {
			row(w, "cancel", "asked for")
		}
	}
	for _, thing := range slices.Sorted(maps.Keys(j.Attempts)) {
		row(w, "attempts", fmt.Sprintf("%s: %d", thing, j.Attempts[thing]))
	}
	if j.Error != "" {
		row(w, "last error", j.Error)
	}
	if j.Failure != "" {
		row(w, "failure", j.Failure)
	}
	for _, warning := range j.Warnings {
		row(w, "warning", warning)
	}
	if len(j.Result) > 0 {
		row(w, "result", string(j.Result))
	}
	fmt.Fprintln(w)
	row(w, "TIME", "RUN", "STEP", "WHAT")
	for _, l := range j.History {
		row(w, l.Time.UTC().Format("2006-01-02 15:04:05Z"), l.Run, l.Step, clip(oneLine(l.Text), 200))
	}
	if v.Spec != nil {
		fmt.Fprintf(w, "\n%s\n", escaped(string(v.Spec)))
	}
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
