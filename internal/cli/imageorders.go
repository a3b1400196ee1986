package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/catalog"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// orderFlags are what every order about an image takes.
type orderFlags struct {
	key, reason string
	noWait      bool
	timeout     time.Duration
}

func (f *orderFlags) add(cmd *cobra.Command, reasons bool) {
	cmd.Flags().StringVar(&f.key, "key", "", "names the request: the same key is the same job (default: a new one each call)")
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "print the job's id and return; the job goes on")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "give up waiting after this long (the job goes on)")
	if reasons {
		cmd.Flags().StringVar(&f.reason, "reason", "", "why; kept in the catalog")
	}
}

func (c *command) imagePromote() *cobra.Command {
	var flags orderFlags
	cmd := &cobra.Command{
		Use: "promote NAME@N", Short: "Make a later version current", Args: cobra.ExactArgs(1),
		Long: `Moves what is current forward, to a version that is verified and available: one that was held, or that a rollback left
behind. The published parameters and launch templates follow.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, number, err := pinned(args[0])
			if err != nil {
				return err
			}
			return c.sendOrder(cmd, catalog.Promote, name, catalog.PromoteSpec{Version: number, Reason: flags.reason}, flags)
		},
	}
	flags.add(cmd, true)
	return cmd
}

func (c *command) imageRollback() *cobra.Command {
	var flags orderFlags
	var to int
	cmd := &cobra.Command{
		Use: "rollback NAME", Short: "Make an earlier version current again", Args: cobra.ExactArgs(1),
		Long: `Moves what is current back, to the newest version before it that is verified and available, or to the one that --to names.
The published parameters and launch templates follow. Servers stay as they are: roll their fleets.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, number, err := imageRef(args[0])
			if err != nil {
				return err
			}
			if number > 0 {
				return exitf(ExitUsage, "%q names a version; write `stampmill image rollback %s --to N` with the version to go back to", args[0], name)
			}
			return c.sendOrder(cmd, catalog.Rollback, name, catalog.RollbackSpec{To: to, Reason: flags.reason}, flags)
		},
	}
	cmd.Flags().IntVar(&to, "to", 0, "the version's number (default: the newest good one before the current)")
	flags.add(cmd, true)
	return cmd
}

func (c *command) imageRecall() *cobra.Command {
	var flags orderFlags
	cmd := &cobra.Command{
		Use: "recall NAME@N", Short: "Take a version back: nothing is launched from it any more", Args: cobra.ExactArgs(1),
		Long: `Disables the version's AMIs in every region, so that EC2 refuses to launch from them, and whoever they were shared with loses
them. If it is current, the newest good version before it becomes current first, with the published parameters and launch templates.
Tells which fleets run it, and which images were baked from it: they stay as they are. stampmill image restore undoes it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, number, err := pinned(args[0])
			if err != nil {
				return err
			}
			return c.sendOrder(cmd, catalog.Recall, name, catalog.RecallSpec{Version: number, Reason: flags.reason}, flags)
		},
	}
	flags.add(cmd, true)
	return cmd
}

func (c *command) imageRestore() *cobra.Command {
	var flags orderFlags
	cmd := &cobra.Command{
		Use: "restore NAME@N", Short: "Make a recalled or disabled version available again", Args: cobra.ExactArgs(1),
		Long: `Enables the version's AMIs in every region and shares them again as before. It does not become current: promote does that.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, number, err := pinned(args[0])
			if err != nil {
				return err
			}
			return c.sendOrder(cmd, catalog.Restore, name, catalog.RestoreSpec{Version: number}, flags)
		},
	}
	flags.add(cmd, false)
	return cmd
}

// pinned is a reference that names a version.
func pinned(ref string) (name string, number int, err error) {
	if name, number, err = imageRef(ref); err == nil && number == 0 {
		err = exitf(ExitUsage, "%q names no version; expected NAME@VERSION, such as web@41", ref)
	}
	return name, number, err
}

// sendOrder submits a job about an image, waits for it, and tells what it did.
func (c *command) sendOrder(cmd *cobra.Command, kind, name string, body any, flags orderFlags) error {
	a, err := c.open(cmd.Context())
	if err != nil {
		return err
	}
	image, found, err := a.Ledger.GetImage(cmd.Context(), name)
	if err != nil {
		return err
	}
	if !found {
		return exitf(ExitNotFound, "there is no image %s; `stampmill image list` shows all", oneLine(name))
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	region, err := c.homeOf(cmd, image)
	if err != nil {
		return err
	}
	d := spec.Document{Kind: kind, Name: name, Role: image.Role, Region: region, Spec: raw, Priority: "high"}
	sent, err := c.send(cmd.Context(), a, []spec.Document{d}, flags.key, "")
	if err != nil {
		return err
	}
	if flags.noWait || c.output == "table" {
		if err := c.print(sent, func(w io.Writer) { row(w, sent[0].Job) }); err != nil || flags.noWait {
			return err
		}
	}
	waited := c.waitFor(cmd.Context(), a, []string{sent[0].Job}, flags.timeout, nil)
	if c.output != "table" {
		return waited
	}
	row, err := a.Store.Load(cmd.Context(), sent[0].Job)
	if err != nil || row == nil || row.Job == nil || row.Job.State != jobs.Succeeded {
		return waited
	}
	return c.printResult(kind, row.Job.Result)
}

func (c *command) printResult(kind string, raw json.RawMessage) error {
	var result catalog.Result
	var retired lifecycle.Outcome
	var err error
	if kind == lifecycle.KindName {
		err = json.Unmarshal(raw, &retired)
	} else {
		err = json.Unmarshal(raw, &result)
	}
	if err != nil {
		return fmt.Errorf("the job's result: %w", err)
	}
	return c.print(result, func(w io.Writer) {
		if kind == lifecycle.KindName {
			pruneTable(w, retired)
		} else {
			orderTable(w, result)
		}
	})
}

func pruneTable(w io.Writer, o lifecycle.Outcome) {
	for _, stage := range []struct {
		about string
		list  []int
	}{{"deprecated", o.Deprecated}, {"disabled", o.Disabled}, {"retired", o.Retired}} {
		for _, number := range stage.list {
			row(w, stage.about, number)
		}
	}
	for _, s := range o.Stay {
		row(w, "stays", s.Version, oneLine(s.Because))
	}
	if len(o.Deprecated)+len(o.Disabled)+len(o.Retired)+len(o.Stay) == 0 {
		row(w, "nothing", "no version is beyond those to keep, or its stage still stands")
	}
}

// homeOf is where the image's newest version was baked, as far as its job is known: an order works from there.
func (c *command) homeOf(cmd *cobra.Command, image ledger.Image) (string, error) {
	a, err := c.open(cmd.Context())
	if err != nil {
		return "", err
	}
	versions, err := a.Ledger.Versions(cmd.Context(), image.Name)
	if _, err := jobs.Unread(err); err != nil {
		return "", err
	}
	own := a.Clients.Region()
	for _, v := range slices.Backward(versions) {
		if v.Home != "" {
			return v.Home, nil
		}
		if len(v.Regions) == 1 {
			for region := range v.Regions {
				return region, nil
			}
		}
	}
	return own, nil
}

func orderTable(w io.Writer, r catalog.Result) {
	row(w, "image", r.Image)
	if r.Current != "" {
		row(w, "current", r.Current)
		row(w, "before", r.From)
	}
	for _, region := range sortedKeys(r.AMIs) {
		row(w, "ami in "+region, r.AMIs[region])
	}
	for _, f := range r.Fleets {
		row(w, "still on it", fmt.Sprintf("fleet %s, %s", f.Fleet, count(f.Servers, "server")))
	}
	for _, image := range r.Images {
		row(w, "baked from it", image)
	}
}
