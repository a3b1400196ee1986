package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
)

func (c *command) restamp() *cobra.Command {
	cmd := &cobra.Command{Use: "restamp", Short: "List, show, pause and resume restamps, and print their reports"}
	cmd.AddCommand(c.restampList(), c.restampShow(), c.restampReport(),
		c.restampOrder("pause", jobs.Pause, "Begin nothing more of a restamp: bakes and waves that are under way are finished"),
		c.restampOrder("resume", jobs.Resume, "Go on with a restamp that was paused"), c.restampCancel())
	return cmd
}

// restampView is one restamp in a list.
type restampView struct {
	Job     string    `json:"job"`
	Name    string    `json:"name"`
	State   string    `json:"state"`
	Paused  bool      `json:"paused,omitempty"`
	Created time.Time `json:"created"`
	Failure string    `json:"failure,omitempty"`
	restamp.Result
}

func restampViewOf(job *jobs.Job) restampView {
	v := restampView{Job: job.ID, Name: job.Name, State: string(job.State), Created: job.Created, Failure: job.Failure, Paused: pausedJob(job)}
	if len(job.Result) > 0 && json.Unmarshal(job.Result, &v.Result) != nil {
		v.Result = restamp.Result{}
	}
	return v
}

// pausedJob reports whether the last of the two orders was to pause.
func pausedJob(job *jobs.Job) bool {
	return job.State == jobs.Open && job.Paused()
}

func (v restampView) stateText() string {
	if v.Paused {
		return "paused"
	}
	return v.State
}

func (c *command) restampList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List restamps, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			found, err := restamps(cmd, a)
			if err != nil {
				return err
			}
			views := []restampView{}
			for _, job := range found {
				views = append(views, restampViewOf(job))
			}
			return c.print(views, func(w io.Writer) {
				row(w, "NAME", "STATE", "IMAGES", "FLEETS", "SERVERS", "AGE", "JOB")
				for _, v := range views {
					row(w, v.Name, v.stateText(), fmt.Sprintf("%d of %d", v.ImagesRenewed, v.Images), fmt.Sprintf("%d of %d", v.FleetsRolled, v.Fleets),
						v.ServersRolled, ago(v.Created, time.Now()), v.Job)
				}
			})
		},
	}
}

// restamps are those that the table still has, the newest first.
func restamps(cmd *cobra.Command, a *app.App) ([]*jobs.Job, error) {
	found, err := a.Store.List(cmd.Context(), store.Filter{Kind: restamp.KindName, Limit: 1000})
	if _, err := jobs.Unread(err); err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b *jobs.Job) int { return b.Created.Compare(a.Created) })
	return found, nil
}

// restampNamed is the newest restamp with the name, or the one with the job's id.
func (c *command) restampNamed(cmd *cobra.Command, name string) (*app.App, *jobs.Job, error) {
	a, err := c.open(cmd.Context())
	if err != nil {
		return nil, nil, err
	}
	found, err := restamps(cmd, a)
	if err != nil {
		return nil, nil, err
	}
	for _, job := range found {
		if job.Name == name || job.ID == name {
			return a, job, nil
		}
	}
	return nil, nil, exitf(ExitNotFound, "there is no restamp %s; `stampmill restamp list` shows all", oneLine(name))
}

// restampState is a restamp that is under way: what has begun so far.
type restampState struct {
	restampView
	Waiting  []string         `json:"waiting,omitempty"` // images and fleets that were not begun
	Outcomes []ledger.Outcome `json:"outcomes"`
}

func (c *command) restampShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show how far a restamp has come, or what came of it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, job, err := c.restampNamed(cmd, args[0])
			if err != nil {
				return err
			}
			if job.Finished() {
				return c.showReport(cmd, a, job)
			}
			state := restampState{restampView: restampViewOf(job), Outcomes: []ledger.Outcome{}}
			open, err := a.Ledger.OpenRestamps(cmd.Context())
			if err != nil {
				return err
			}
			for _, r := range open {
				if r.Job != job.ID {
					continue
				}
				if state.Outcomes, err = a.Ledger.Outcomes(cmd.Context(), r.RestampID); err != nil {
					return err
				}
				state.Images, state.Fleets = len(r.Images), len(r.Fleets)
				state.Waiting = notBegun(r, state.Outcomes)
			}
			return c.print(state, func(w io.Writer) { rowsOfState(w, state) })
		},
	}
}

func notBegun(r ledger.Restamp, begun []ledger.Outcome) []string {
	var names []string
	for _, name := range r.Images {
		if !slices.ContainsFunc(begun, func(o ledger.Outcome) bool { return o.Image == name }) {
			names = append(names, name)
		}
	}
	for _, name := range r.Fleets {
		if !slices.ContainsFunc(begun, func(o ledger.Outcome) bool { return o.Fleet == name }) {
			names = append(names, name)
		}
	}
	return names
}

func rowsOfState(w io.Writer, s restampState) {
	row(w, "restamp", s.Name)
	row(w, "job", s.Job)
	row(w, "state", s.stateText())
	row(w, "images", s.Images)
	row(w, "fleets", s.Fleets)
	for _, o := range s.Outcomes {
		text := map[jobs.State]string{jobs.Open: "is baked", jobs.Succeeded: "done"}[o.State]
		row(w, "  "+o.Image+o.Fleet, cmp.Or(text, string(o.State)), o.From, o.To, oneLine(o.Failure))
	}
	if len(s.Waiting) > 0 {
		row(w, "not ended", strings.Join(s.Waiting, " "))
	}
	row(w, "", "`stampmill rollout list` shows the fleets that are being rolled")
}

func (c *command) restampReport() *cobra.Command {
	return &cobra.Command{
		Use: "report NAME", Short: "Print what came of a restamp; with -o json the whole report, server by server", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, job, err := c.restampNamed(cmd, args[0])
			if err != nil {
				return err
			}
			return c.showReport(cmd, a, job)
		},
	}
}

func (c *command) showReport(cmd *cobra.Command, a *app.App, job *jobs.Job) error {
	v := restampViewOf(job)
	if v.Report == "" {
		return exitf(ExitNotFound, "%s has no report: it is %s; %s", job.ID, job.State, cmp.Or(oneLine(job.Failure), "a report is written at the end"))
	}
	content, found, err := a.Files.Get(cmd.Context(), v.Report)
	if err == nil && !found {
		err = exitf(ExitNotFound, "the report s3://%s/%s is gone: reports are kept for 90 days", a.Bucket, v.Report)
	}
	if err != nil {
		return err
	}
	var report restamp.Report
	if err := json.Unmarshal(content, &report); err != nil {
		return errors.New("the report cannot be read: " + err.Error())
	}
	return c.print(report, func(w io.Writer) { rowsOfReport(w, job, report) })
}

func rowsOfReport(w io.Writer, job *jobs.Job, r restamp.Report) {
	row(w, "restamp", r.Name)
	row(w, "job", r.Job)
	row(w, "state", job.State, oneLine(job.Failure))
	row(w, "took", r.Ended.Sub(r.Begun).Round(time.Second))
	row(w, "came of it", r.Totals)
	for _, p := range r.Phases {
		row(w, "  "+p.What, p.Of, took(p.Spent), bound(p.Spent))
	}
	for _, i := range r.Images {
		row(w, i.Image, i.State, i.From, cmp.Or(i.To, "-"), took(i.Spent), oneLine(i.Why))
	}
	for _, f := range r.Fleets {
		row(w, f.Fleet, f.State, f.From, cmp.Or(f.To, "-"), took(f.Spent), bound(f.Spent), oneLine(f.Why))
	}
	for _, l := range r.Left {
		row(w, l.Image+l.Fleet, "left out", oneLine(l.Why))
	}
}

func took(s restamp.Spent) string {
	if s.Begun.IsZero() {
		return "-"
	}
	return (time.Duration(s.Seconds) * time.Second).String()
}

func bound(s restamp.Spent) string {
	if s.Bound == "" {
		return "no budget held it up"
	}
	return fmt.Sprintf("%.0f s of it in the line of %s", s.BoundSeconds, s.Bound)
}

// restampOrder is a command that gives the newest restamp with the name an order.
func (c *command) restampOrder(use string, verb jobs.Verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.orderRestamp(cmd, args[0], func(job *jobs.Job) *jobs.Message {
				return &jobs.Message{Type: jobs.Ordering, Job: job.ID, Incarnation: job.Incarnation, Run: job.Run, Verb: verb, At: time.Now().UTC()}
			})
		},
	}
}

func (c *command) restampCancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel NAME", Short: "Cancel a restamp with all that it began: versions that are published stay", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.orderRestamp(cmd, args[0], func(job *jobs.Job) *jobs.Message {
				return &jobs.Message{Type: jobs.Cancel, Job: job.ID, Incarnation: job.Incarnation, Run: job.Run}
			})
		},
	}
}

func (c *command) orderRestamp(cmd *cobra.Command, name string, message func(*jobs.Job) *jobs.Message) error {
	a, job, err := c.restampNamed(cmd, name)
	if err != nil {
		return err
	}
	if job.Finished() {
		return exitf(ExitFailure, "%s has ended already: %s", job.ID, job.State)
	}
	m := message(job)
	if err := a.Queue.Send(cmd.Context(), jobs.LaneHigh, m, 0); err != nil {
		return err
	}
	// the restamp passes it on to all that it has under way
	return c.printOrders([]ordered{{job.ID, job.Run, true, "asked to " + cmp.Or(string(m.Verb), string(m.Type))}})
}
