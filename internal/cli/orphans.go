package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
)

// orphansView is what orphans shows.
type orphansView struct {
	Orphans []orphanView        `json:"orphans"`
	History []jobs.OrphanRecord `json:"history"`
}

// orphanView is a thing that nobody names now.
type orphanView struct {
	Kind      string     `json:"kind"`
	ID        string     `json:"id"`
	Name      string     `json:"name,omitempty"`
	Job       string     `json:"job"`
	Region    string     `json:"region,omitempty"`
	Role      string     `json:"role,omitempty"`
	Created   *time.Time `json:"created,omitempty"`
	Since     time.Time  `json:"since"`
	GraceLeft int        `json:"graceLeftSeconds"`
	Due       bool       `json:"due"`
	Held      string     `json:"held,omitempty"`
	Removed   bool       `json:"removed"`
	Error     string     `json:"error,omitempty"`
}

func (c *command) orphans() *cobra.Command {
	var dryRun, yes bool
	var limit int
	cmd := &cobra.Command{
		Use: "orphans", Short: "List what no live job and no image or fleet names, what the reaper removed, and remove what is due", Args: cobra.NoArgs,
		Long: `Lists everything that carries this installation's tags and is named neither by a live run nor by the ledger: what a crash
left behind. Workers remove it after its grace (STAMPMILL_REAP_GRACE) by themselves; the history shows what they did.

--dry-run looks only: it changes nothing, and writes nothing. Without it, what is found is recorded, which begins its grace where
no worker reaps, and what is due is removed after a question. Without a terminal nothing is removed unless --yes is given.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return exitf(ExitUsage, "--limit is %d; expected 1 or more", limit)
			}
			if dryRun && yes {
				return exitf(ExitUsage, "--dry-run removes nothing, and --yes removes without asking; expected one of them")
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			reaper, err := c.reaper(a)
			if err != nil {
				return err
			}
			if dryRun {
				return c.showOrphans(cmd.Context(), a, reaper, limit)
			}
			return c.reap(cmd.Context(), a, reaper, limit, yes)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only look: change nothing")
	cmd.Flags().BoolVar(&yes, "yes", false, "remove what is due without asking")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many lines of history are shown")
	return cmd
}

// reaper is the workers' own, with the settings that they take from the environment.
func (c *command) reaper(a *app.App) (*jobs.Reaper, error) {
	var worker config.Worker
	if err := config.Load(&worker, nil); err != nil {
		return nil, &exit{ExitUsage, err}
	}
	targets, err := app.ParseTargets(worker.Targets)
	if err != nil {
		return nil, &exit{ExitUsage, err}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "somewhere"
	}
	return jobs.NewReaper(jobs.ReaperConfig{Estate: a.Estate, Rows: a.Store, Records: a.Store, Installation: c.config.Installation,
		Owner: "command line on " + host, Grace: worker.ReapGrace, Targets: a.TargetsKnown(targets), Only: map[string]bool{},
		Log: slog.New(slog.DiscardHandler)}), nil
}

// showOrphans looks only.
func (c *command) showOrphans(ctx context.Context, a *app.App, r *jobs.Reaper, limit int) error {
	found, unseen := r.Look(ctx)
	if unseen != nil && found == nil {
		return unseen
	}
	return errors.Join(c.printOrphans(ctx, a, found, limit), unseen)
}

// reap shows what there is, asks, and removes what was shown as due and still is.
func (c *command) reap(ctx context.Context, a *app.App, r *jobs.Reaper, limit int, yes bool) error {
	found, unseen := r.Reap(ctx) // may remove nothing yet
	if unseen != nil && found == nil {
		return unseen
	}
	if due := dueOf(found); len(due) > 0 {
		switch {
		case !yes && !c.asks(c.In):
			fmt.Fprintf(c.Err, "%s; --yes removes them, and workers do by themselves\n", removable(due))
		default:
			if c.output == "table" {
				c.orphanTable(found)
			}
			if err := c.confirm(yes, removable(due)+":"); err != nil {
				return err
			}
			for _, o := range due {
				r.Only[o.ID] = true
			}
			if found, unseen = r.Reap(ctx); unseen != nil && found == nil {
				return unseen
			}
		}
	}
	err := errors.Join(c.printOrphans(ctx, a, found, limit), unseen)
	failed := slices.DeleteFunc(slices.Clone(found), func(o jobs.Orphan) bool { return o.Error == "" })
	if err == nil && len(failed) > 0 {
		err = exitf(ExitFailure, "%s could not be removed: the column WHAT says why", plural(len(failed), "orphan"))
	}
	return err
}

// dueOf are the orphans that may be removed now.
func dueOf(all []jobs.Orphan) []jobs.Orphan {
	return slices.DeleteFunc(slices.Clone(all), func(o jobs.Orphan) bool { return o.Left > 0 || o.Held != "" || o.Removed })
}

// removable counts by kind what is about to be removed.
func removable(due []jobs.Orphan) string {
	counts := map[string]int{}
	for _, o := range due {
		counts[o.Kind]++
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, plural(counts[kind], kind))
	}
	return fmt.Sprintf("%s can be removed now (%s)", plural(len(due), "orphan"), strings.Join(parts, ", "))
}

func (c *command) printOrphans(ctx context.Context, a *app.App, found []jobs.Orphan, limit int) error {
	history, err := a.Store.Orphans(ctx, false, limit)
	if err != nil {
		return err
	}
	v := orphansView{Orphans: []orphanView{}, History: append([]jobs.OrphanRecord{}, history...)}
	for _, o := range found {
		v.Orphans = append(v.Orphans, viewOfOrphan(o))
	}
	return c.print(v, func(w io.Writer) {
		rowsOfOrphans(w, found, time.Now())
		fmt.Fprintln(w)
		if len(history) == 0 {
			row(w, "nothing was removed in the last 90 days")
			return
		}
		row(w, "WHEN", "WHAT", "KIND", "ID", "WHERE", "NAME", "JOB", "BY")
		for _, r := range history {
			row(w, ago(r.Changed, time.Now()), r.State, r.Kind, r.ID, r.Target, r.Name, r.Job, r.By)
		}
	})
}

func viewOfOrphan(o jobs.Orphan) orphanView {
	v := orphanView{Kind: o.Kind, ID: o.ID, Name: o.Tags["Name"], Job: o.Tags[jobs.TagJob], Region: o.Target.Region, Role: o.Target.Role, Since: o.Since,
		GraceLeft: int(o.Left.Seconds()), Due: o.Left <= 0 && o.Held == "" && !o.Removed, Held: o.Held, Removed: o.Removed, Error: o.Error}
	if !o.Created.IsZero() {
		v.Created = &o.Created
	}
	return v
}

// orphanTable shows the orphans before the question.
func (c *command) orphanTable(found []jobs.Orphan) {
	w := tabwriter.NewWriter(c.Err, 0, 0, 2, ' ', 0)
	rowsOfOrphans(w, found, time.Now())
	if err := w.Flush(); err != nil {
		return // nobody reads it
	}
}

func rowsOfOrphans(w io.Writer, found []jobs.Orphan, now time.Time) {
	if len(found) == 0 {
		row(w, "no orphans: everything with this installation's tags is named by a job, an image or a fleet")
		return
	}
	row(w, "KIND", "ID", "WHERE", "NAME", "JOB", "AGE", "GRACE LEFT", "WHAT")
	for _, o := range found {
		age := ""
		if !o.Created.IsZero() {
			age = short(now.Sub(o.Created))
		}
		row(w, o.Kind, o.ID, o.Target, o.Tags["Name"], o.Tags[jobs.TagJob], age, short(o.Left), whatOf(o))
	}
}

func whatOf(o jobs.Orphan) string {
	switch {
	case o.Removed:
		return "removed"
	case o.Error != "":
		return "cannot be removed: " + o.Error
	case o.Held != "":
		return "held back: " + o.Held
	case o.Left > 0:
		return "waits for its grace"
	}
	return "is removed next"
}
