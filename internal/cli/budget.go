package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/budgets"
	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// budgetView is one budget's tokens of one sort.
type budgetView struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	Action  string `json:"action"`
	// Tokens are requests or resources.
	Tokens string `json:"tokens"`
	// Level is how many are there, of at most Size; Rate how many come a second now, of Limit.
	Level float64 `json:"level"`
	Size  float64 `json:"size"`
	Rate  float64 `json:"ratePerSecond"`
	Limit float64 `json:"limitPerSecond"`
	// Waiting is how many are waited for, by priority.
	Waiting   map[jobs.Priority]float64 `json:"waiting"`
	Throttles int                       `json:"throttles"`
	Throttled *time.Time                `json:"throttled,omitempty"`
	Jobs      []waiterView              `json:"jobs"`
}

// waiterView is a job that waits for its turn.
type waiterView struct {
	Job      string        `json:"job"`
	Priority jobs.Priority `json:"priority"`
	Servers  float64       `json:"servers,omitempty"`
	Until    *time.Time    `json:"until,omitempty"`
}

func (c *command) budget() *cobra.Command {
	cmd := &cobra.Command{Use: "budget", Short: "What EC2 grants: tokens, rates and who waits for them"}
	var waiters int
	list := &cobra.Command{
		Use: "list", Short: "List the budgets with level, rate, who waits, and the throttles seen", Args: cobra.NoArgs,
		Long: `Lists what all workers share of EC2's throttling buckets, one for each account, region and action that was called: tokens that are
there, tokens that come a second, what is waited for by priority, and how often EC2 refused a call all the same. A rate under its limit
was learned from such a refusal; it recovers. Limits are AWS's defaults, or STAMPMILL_LIMITS, less STAMPMILL_HEADROOM: set them here
as on the workers.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if waiters < 0 {
				return exitf(ExitUsage, "--jobs is %d; expected 0 or more", waiters)
			}
			limits, err := workersLimits()
			if err != nil {
				return err
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			return c.listBudgets(cmd.Context(), a, limits, waiters)
		},
	}
	list.Flags().IntVar(&waiters, "jobs", 10, "how many of the jobs that wait are shown for each budget")
	cmd.AddCommand(list)
	return cmd
}

func (c *command) listBudgets(ctx context.Context, a *app.App, limits budget.Limits, waiters int) error {
	all := budgets.New(budgets.Config{API: a.DynamoDB(), Table: setup.JobsTable(a.Common.Prefix), Limits: limits})
	entries, unread := all.List(ctx)
	if unread != nil && entries == nil {
		return unread
	}
	waiting := map[string][]waiterView{}
	if slices.ContainsFunc(entries, func(e budgets.Entry) bool { return waits(e.State) > 0 }) {
		var err error
		if waiting, err = c.waiters(ctx, a); err != nil {
			return err
		}
	}
	views := []budgetView{}
	for _, e := range entries {
		jobs := waiting[e.Name]
		requests, resources := e.State.Rates(e.Limit)
		views = append(views, viewOf(e, "requests", e.State.Requests, e.Limit.Requests, requests, jobs[:min(len(jobs), waiters)]))
		if e.State.Resources != nil {
			views = append(views, viewOf(e, "servers", *e.State.Resources, e.Limit.Resources, resources, nil))
		}
	}
	if err := c.print(views, func(w io.Writer) { rowsOfBudgets(w, views, waiting) }); err != nil {
		return err
	}
	return unread
}

// workersLimits are what workers may take, if they are configured as this shell is.
func workersLimits() (budget.Limits, error) {
	var worker config.Worker
	if err := config.Load(&worker, nil); err != nil {
		return budget.Limits{}, &exit{ExitUsage, err}
	}
	limits, err := worker.Budget()
	if err != nil {
		return limits, &exit{ExitUsage, err}
	}
	return limits, nil
}

func waits(b budget.Bucket) (tokens float64) {
	for i, line := range b.Requests.Lines {
		tokens += line.Waiting()
		if b.Resources != nil {
			tokens += b.Resources.Lines[i].Waiting()
		}
	}
	return tokens
}

// waiters are the open jobs that hold a place, by budget, the next ones first.
func (c *command) waiters(ctx context.Context, a *app.App) (map[string][]waiterView, error) {
	const most = 5000
	open, err := a.Store.List(ctx, store.Filter{States: []jobs.State{jobs.Open}, Children: true, Limit: most})
	if err != nil && open == nil {
		return nil, err
	}
	waiting := map[string][]waiterView{}
	for _, job := range open {
		for _, grant := range job.Grants {
			v := waiterView{Job: job.ID, Priority: cmp.Or(job.Priority, jobs.Normal), Servers: grant.Resources}
			if job.Wait != nil {
				v.Until = &job.Wait.Until
			}
			waiting[grant.Bucket] = append(waiting[grant.Bucket], v)
		}
	}
	for _, list := range waiting {
		slices.SortStableFunc(list, func(a, b waiterView) int {
			if a.Until == nil || b.Until == nil {
				return 0
			}
			return a.Until.Compare(*b.Until)
		})
	}
	return waiting, nil
}

func viewOf(e budgets.Entry, sort string, tokens budget.Tokens, limit budget.Rate, rate float64, waiting []waiterView) budgetView {
	v := budgetView{Account: e.Account, Region: e.Region, Action: e.Action, Tokens: sort, Level: tokens.Level, Size: limit.Size, Rate: rate, Limit: limit.Refill,
		Waiting: map[jobs.Priority]float64{}, Throttles: e.State.Throttles, Jobs: append([]waiterView{}, waiting...)}
	for i, priority := range []jobs.Priority{jobs.High, jobs.Normal, jobs.Low} {
		v.Waiting[priority] = tokens.Lines[i].Waiting()
	}
	if !e.State.Throttled.IsZero() {
		v.Throttled = &e.State.Throttled
	}
	return v
}

func rowsOfBudgets(w io.Writer, views []budgetView, waiting map[string][]waiterView) {
	if len(views) == 0 {
		row(w, "no budgets: no worker has called EC2 yet")
		return
	}
	now := time.Now()
	row(w, "ACCOUNT", "REGION", "ACTION", "TOKENS", "LEVEL", "RATE", "WAITING", "THROTTLES", "LAST")
	for _, v := range views {
		last := ""
		if v.Throttled != nil {
			last = ago(*v.Throttled, now)
		}
		rate := fmt.Sprintf("%.4g/s", v.Rate)
		if v.Rate < v.Limit*0.999 {
			rate = fmt.Sprintf("%.4g of %.4g/s", v.Rate, v.Limit)
		}
		row(w, v.Account, v.Region, v.Action, v.Tokens, fmt.Sprintf("%.0f of %.0f", v.Level, v.Size), rate, waitingText(v.Waiting), v.Throttles, last)
	}
	for _, v := range views {
		if len(v.Jobs) == 0 {
			continue
		}
		name := v.Account + "/" + v.Region + "/" + v.Action
		fmt.Fprintf(w, "\n%s in line for %s in %s, the next %d:\n", plural(len(waiting[name]), "job"), v.Action, v.Region, len(v.Jobs))
		for _, job := range v.Jobs {
			until := ""
			if job.Until != nil {
				until = "in " + short(max(job.Until.Sub(now), 0))
			}
			row(w, job.Job, job.Priority, fmt.Sprintf("%.0f servers", job.Servers), until)
		}
	}
}

func waitingText(waiting map[jobs.Priority]float64) string {
	var parts []string
	for _, priority := range []jobs.Priority{jobs.High, jobs.Normal, jobs.Low} {
		if n := waiting[priority]; n >= 0.5 {
			parts = append(parts, fmt.Sprintf("%.0f %s", n, priority))
		}
	}
	return strings.Join(parts, ", ")
}
