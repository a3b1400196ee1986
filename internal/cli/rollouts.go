package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

func (c *command) rollout() *cobra.Command {
	cmd := &cobra.Command{Use: "rollout", Short: "Watch rollouts of fleets, and steer them"}
	cmd.AddCommand(c.rolloutList(), c.rolloutShow(),
		c.rolloutOrder(jobs.Approve, "Let the rollout go on to the next wave", ""),
		c.rolloutOrder(jobs.Pause, "Stop at the next safe point; successors under way finish their part", ""),
		c.rolloutOrder(jobs.Resume, "Go on after a pause or a hold: what failed is tried again, gates are asked again", ""),
		c.rolloutCancel(),
		c.rolloutOrder(jobs.Revert, "Bring what was rolled back to the fleet's former image",
			`Brings the servers that the rollout has rolled back to the image that the fleet ran before. Of a rollout that has ended,
a new one to that image is submitted, with the options of the old one.`))
	return cmd
}

// rolloutView is a rollout as JSON and YAML show it.
type rolloutView struct {
	Job      string         `json:"job"`
	Region   string         `json:"region,omitempty"`
	State    string         `json:"state"`
	WaitsFor string         `json:"waitsFor,omitempty"`
	Failure  string         `json:"failure,omitempty"`
	Created  time.Time      `json:"created"`
	Status   rollout.Status `json:"rollout"`
	// Servers are what each was before and is after, once the rollout has ended.
	Servers []rollout.ServerReport `json:"servers,omitempty"`
}

func rolloutOf(job *jobs.Job) (rolloutView, error) {
	status, err := rollout.StatusOf(job)
	v := rolloutView{Job: job.ID, Region: job.Target.Region, State: string(job.State), Failure: job.Failure, Created: job.Created, Status: status}
	if job.Wait != nil && !job.Finished() {
		v.WaitsFor = job.Wait.For
	}
	return v, err
}

func (c *command) rolloutList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List rollouts, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			list, err := a.Store.List(cmd.Context(), store.Filter{Kind: rollout.KindName, Children: true, Limit: limit})
			if _, err := jobs.Unread(err); err != nil {
				return err
			}
			var views []rolloutView
			for _, job := range list {
				v, err := rolloutOf(job)
				if err != nil {
					return err
				}
				views = append(views, v)
			}
			return c.print(views, func(w io.Writer) {
				row(w, "JOB", "FLEET", "IMAGE", "STATE", "WAVE", "ROLLED", "FAILED", "LEFT", "WAITS FOR", "AGE")
				for _, v := range views {
					row(w, v.Job, v.Status.Fleet, v.Status.Image, v.State, v.Status.Wave, v.Status.Rolled.Len(), v.Status.Failed.Len(), v.Status.Left.Len(),
						v.WaitsFor, ago(v.Created, time.Now()))
				}
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many rollouts at most")
	return cmd
}

func (c *command) rolloutShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FLEET-or-JOB", Short: "Show a rollout: its waves, what it waits for, what its gates said", Args: cobra.ExactArgs(1),
		RunE: c.ofRollout(func(ctx context.Context, a *app.App, job *jobs.Job) error {
			v, err := rolloutOf(job)
			if err != nil {
				return err
			}
			if v.Servers, err = serversOf(ctx, a, job, v); err != nil {
				return err
			}
			return c.print(v, func(w io.Writer) { rolloutTable(w, v) })
		}),
	}
}

// serversOf reads what the servers were and are. A rollout that is under way has told only the first; reports are kept for 90 days.
func serversOf(ctx context.Context, a *app.App, job *jobs.Job, v rolloutView) ([]rollout.ServerReport, error) {
	if !job.Finished() || v.Status.Report == "" {
		return nil, nil
	}
	content, found, err := a.Files.Get(ctx, v.Status.Report)
	if err != nil || !found {
		return nil, err
	}
	var list []rollout.ServerReport
	if err := json.Unmarshal(content, &list); err != nil {
		return nil, fmt.Errorf("read s3://%s/%s: %w", a.Bucket, v.Status.Report, err)
	}
	return list, nil
}

// serversShown is how many servers a table shows; JSON has all.
const serversShown = 20

// serverRows show the servers that changed.
func serverRows(w io.Writer, servers []rollout.ServerReport) {
	text := func(s *rollout.ServerState) string {
		if s == nil {
			return "no server"
		}
		return s.Instance + " " + s.Image
	}
	shown := 0
	for _, s := range servers {
		if s.Before != nil && s.After != nil && *s.Before == *s.After {
			continue
		}
		if shown++; shown <= serversShown {
			row(w, fmt.Sprintf("server %d", s.Ordinal), text(s.Before)+" → "+text(s.After))
		}
	}
	if shown > serversShown {
		row(w, "servers", fmt.Sprintf("%d more changed: -o json shows all", shown-serversShown))
	}
}

func rolloutTable(w io.Writer, v rolloutView) {
	s := v.Status
	row(w, "job", v.Job)
	row(w, "fleet", s.Fleet)
	row(w, "image", s.Image)
	row(w, "former image", s.Former)
	row(w, "state", v.State)
	row(w, "waits for", v.WaitsFor)
	if len(s.Ordered) > 0 {
		row(w, "ordered", strings.Join(s.Ordered, ", ")+": obeyed when a worker comes to it")
	}
	if s.Paused {
		row(w, "paused", "until a person's resume; what is under way is finished")
	}
	if s.Held != "" {
		row(w, "held", s.Held)
	}
	if v.Failure != "" {
		row(w, "failure", v.Failure)
	}
	if s.Back {
		row(w, "goes back", s.Why)
	}
	row(w, "rolled", s.Rolled.String())
	switch ended := v.State != string(jobs.Open); {
	case s.Rolled.Empty() || v.State == string(jobs.Succeeded):
	case s.Back && !ended:
		row(w, "not back yet", s.Rolled.String())
	case ended:
		row(w, "left as it is", fmt.Sprintf("%s is on %s, not on the others: a rollout to %s or to %s makes the fleet one again", s.Image, jobs.Count(s.Rolled.Len(), "server"), s.Image, s.Former))
	}
	row(w, "failed", s.Failed.String())
	row(w, "ran it before", s.Skipped.String())
	row(w, "no server", s.Vacant.String())
	for _, wave := range s.Waves {
		here := ""
		if wave.Name == s.Wave && v.State == string(jobs.Open) && !s.Back {
			here = ": " + s.Stage
		}
		row(w, "wave "+wave.Name, fmt.Sprintf("%d of %d rolled%s", wave.Rolled.Len(), wave.Ordinals.Len(), here))
	}
	for _, gate := range s.Gates {
		word := "passed"
		if !gate.Passed {
			word = "failed"
		}
		row(w, "gate "+gate.Gate, fmt.Sprintf("%s after wave %s: %s", word, gate.Wave, gate.Detail))
	}
	for _, failure := range s.Failures {
		row(w, fmt.Sprintf("ordinal %d", failure.Ordinal), failure.Reason)
	}
	serverRows(w, v.Servers)
}

// ofRollout does something with the rollout that a command's argument names.
func (c *command) ofRollout(do func(ctx context.Context, a *app.App, job *jobs.Job) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a, err := c.open(cmd.Context())
		if err != nil {
			return err
		}
		job, err := findRollout(cmd.Context(), a, args[0])
		if err != nil {
			return err
		}
		return do(cmd.Context(), a, job)
	}
}

// findRollout finds a rollout by its job's id, or a fleet's: the one that works on it, not one that stands in line behind that,
// else the newest.
func findRollout(ctx context.Context, a *app.App, name string) (*jobs.Job, error) {
	fleet, _, err := a.Ledger.GetFleet(ctx, name)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(fleet.Owner, strings.ToLower(rollout.KindName)+"-") {
		return find(ctx, a, fleet.Owner)
	}
	list, err := a.Store.List(ctx, store.Filter{Kind: rollout.KindName, Name: name, Children: true, Limit: 1})
	if _, err := jobs.Unread(err); err != nil {
		return nil, err
	}
	if len(list) > 0 {
		return list[0], nil
	}
	job, err := find(ctx, a, name)
	switch {
	case err != nil && !strings.HasPrefix(name, "rollout-"):
		return nil, exitf(ExitNotFound, "there is no rollout of a fleet %s; `stampmill rollout list` shows all", oneLine(name))
	case err == nil && job.Kind != rollout.KindName:
		return nil, exitf(ExitNotFound, "%s is a %s, not a Rollout", job.ID, job.Kind)
	}
	return job, err
}

func (c *command) rolloutOrder(verb jobs.Verb, short, long string) *cobra.Command {
	var wave string
	cmd := &cobra.Command{
		Use: string(verb) + " FLEET-or-JOB", Short: short, Long: long, Args: cobra.ExactArgs(1),
		RunE: c.ofRollout(func(ctx context.Context, a *app.App, job *jobs.Job) error {
			if job.Finished() && verb == jobs.Revert {
				return c.rollBack(ctx, a, job)
			}
			if job.Finished() {
				return exitf(ExitFailure, "%s has ended already: %s", job.ID, job.State)
			}
			if verb == jobs.Approve {
				var err error
				if wave, err = approvable(job, wave); err != nil {
					return err
				}
			}
			m := &jobs.Message{Type: jobs.Ordering, Job: job.ID, Run: job.Run, Incarnation: job.Incarnation, Verb: verb, Value: wave, At: time.Now().UTC()}
			if err := a.Queue.Send(ctx, jobs.LaneHigh, m, 0); err != nil {
				return err
			}
			note := "ordered to " + string(verb)
			if verb == jobs.Approve {
				note = "wave " + wave + " is approved"
			}
			return c.printOrders([]ordered{{job.ID, job.Run, true, note}})
		}),
	}
	if verb == jobs.Approve {
		cmd.Flags().StringVar(&wave, "wave", "", "the wave that is approved (default: the one under way)")
	}
	return cmd
}

// approvable is the wave that an approval means: the one that is named, or the one under way.
func approvable(job *jobs.Job, wave string) (string, error) {
	status, err := rollout.StatusOf(job)
	switch {
	case err != nil:
		return "", err
	case !status.Planned || status.Wave == "":
		return "", exitf(ExitFailure, "%s has no wave under way that could be approved; see `stampmill rollout show %s`", job.ID, job.ID)
	case !status.Approves:
		return "", exitf(ExitFailure, "%s asks for no approval: no gate of its spec says approve: true", job.ID)
	case wave == "":
		return status.Wave, nil
	}
	var names []string
	for _, w := range status.Waves {
		if w.Name == wave {
			return wave, nil
		}
		names = append(names, w.Name)
	}
	return "", exitf(ExitUsage, "%s has no wave %q; its waves are %s", job.ID, wave, strings.Join(names, ", "))
}

// rollBack submits a rollout of the fleet to what it ran before.
func (c *command) rollBack(ctx context.Context, a *app.App, job *jobs.Job) error {
	fleet, known, err := a.Ledger.GetFleet(ctx, job.Name)
	if err != nil {
		return err
	}
	if !known || fleet.Previous == "" || fleet.Rollout != job.ID {
		return exitf(ExitFailure, "%s is not what the fleet %s ran last; submit a Rollout to the image that it is to run", job.ID, job.Name)
	}
	var fields map[string]any
	if err := json.Unmarshal(job.Spec, &fields); err != nil {
		return fmt.Errorf("read the spec of %s: %w", job.ID, err)
	}
	fields["image"] = fleet.Previous
	spec, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	m := &jobs.Message{Type: jobs.Submit, Kind: rollout.KindName, Name: job.Name, Role: job.Target.Role, Region: job.Target.Region,
		Key: jobs.NewIncarnation(), Priority: job.Priority, Labels: job.Labels, Spec: spec}
	if err := a.Queue.Send(ctx, jobs.SubmitLane(job.Priority), m, 0); err != nil {
		return err
	}
	return c.printOrders([]ordered{{m.JobID(""), 1, true, "submitted: back to " + fleet.Previous}})
}

func (c *command) rolloutCancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel FLEET-or-JOB", Short: "Stop where it is: what was rolled stays, the unfinished part is tidied", Args: cobra.ExactArgs(1),
		RunE: c.ofRollout(func(ctx context.Context, a *app.App, job *jobs.Job) error {
			orders, err := c.order(ctx, []string{job.ID}, jobs.Cancel, 0)
			if err != nil {
				return err
			}
			return c.printOrders(orders)
		}),
	}
}
