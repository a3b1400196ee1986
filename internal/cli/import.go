package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/adopt"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// importFlags are what both imports take.
type importFlags struct {
	specs        specFlags
	file         string
	region, role string
	labels       []string
	plan, yes    bool
	undo         bool
	timeout      time.Duration
}

func (f *importFlags) add(cmd *cobra.Command, kind string) {
	f.specs.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.file, "spec", "", "a file with one "+kind+" document, whose spec is kept")
	flags.StringVar(&f.region, "region", "", "where it stands (default: the installation's own region)")
	flags.StringVar(&f.role, "role", "", "the ARN of the role in whose account it stands")
	flags.StringArrayVar(&f.labels, "label", nil, "a label, NAME=VALUE; may be repeated")
	flags.BoolVar(&f.plan, "plan", false, "show what would be done, and do nothing")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	flags.BoolVar(&f.undo, "undo", false, "give it back: forget it, and take off exactly the tags that the import had put")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Minute, "give up waiting after this long (the job goes on)")
}

func (c *command) imports() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import", Short: "Import AMIs, servers and Auto Scaling groups that were there before",
		Long: `Writes rows of the ledger and tags on exactly what is imported; nothing else is changed. Shows first what it would do, and
asks. What is imported can be launched, rolled, terminated and looked at for drift like what Stampmill made.`,
	}
	cmd.AddCommand(c.importImage(), c.importFleet())
	return cmd
}

func (c *command) importImage() *cobra.Command {
	var f importFlags
	var ami string
	var version int
	cmd := &cobra.Command{
		Use: "image NAME", Short: "Import an AMI as the next version of an image", Args: cobra.ExactArgs(1),
		Long: `Imports an AMI of the account's own as the next version of the image NAME; it becomes current.
With --spec, the Bake document's spec is kept, and a Restamp can rebuild the image from source. Without one the version can be
launched, be a parent and be patched by one more layer, but not be rebuilt from source.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s := adopt.Spec{Undo: "image", Version: version}
			var uploads []spec.Upload
			if !f.undo {
				s = adopt.Spec{Image: &adopt.Image{AMI: ami}}
				given, documents, err := keptSpec[bake.Spec](f, bake.Name)
				if err != nil {
					return err
				}
				s.Image.Bake, uploads = given, documents
			}
			return c.importing(cmd, args[0], f, s, uploads)
		},
	}
	f.add(cmd, bake.Name)
	cmd.Flags().StringVar(&ami, "ami", "", "the AMI's id")
	cmd.Flags().IntVar(&version, "version", 0, "with --undo: which version (default: the newest that was imported)")
	return cmd
}

func (c *command) importFleet() *cobra.Command {
	var f importFlags
	var fleet adopt.Fleet
	var filters []string
	cmd := &cobra.Command{
		Use: "fleet NAME", Short: "Import servers, or an Auto Scaling group, as a fleet", Args: cobra.ExactArgs(1),
		Long: `Imports servers as the fleet NAME. Their ordinals follow their launch times. A Launch spec of which successors can be made is
derived of them, unless --spec gives one; what differs by server is told.
An Auto Scaling group stays the owner of its servers: the fleet only names it, and no tag is put.`,
		Example: `  stampmill import fleet web --filter Name=tag:app,Values=web --plan
  stampmill import fleet web --auto-scaling-group web-asg
  stampmill import fleet web --instance i-0123456789abcdef0 --instance i-0fedcba9876543210 --image web@3
  stampmill import fleet web --undo`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s := adopt.Spec{Undo: "fleet"}
			var uploads []spec.Upload
			if !f.undo {
				for _, text := range filters {
					filter, err := parseFilter(text)
					if err != nil {
						return err
					}
					fleet.Filters = append(fleet.Filters, filter)
				}
				var err error
				if fleet.Launch, uploads, err = keptSpec[launch.Spec](f, launch.KindName); err != nil {
					return err
				}
				s = adopt.Spec{Fleet: &fleet}
			}
			return c.importing(cmd, args[0], f, s, uploads)
		},
	}
	f.add(cmd, launch.KindName)
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "a filter as the AWS CLI takes it: Name=tag:app,Values=web,web2; all must fit")
	cmd.Flags().StringArrayVar(&fleet.Instances, "instance", nil, "a server's id; may be repeated")
	cmd.Flags().StringVar(&fleet.Group, "auto-scaling-group", "", "the name of an Auto Scaling group")
	cmd.Flags().StringVar(&fleet.Image, "image", "", "what they are taken to run: web@3 (default: the version whose AMI most of them run)")
	return cmd
}

// parseFilter reads Name=NAME,Values=A,B.
func parseFilter(text string) (adopt.Filter, error) {
	rest, named := strings.CutPrefix(text, "Name=")
	name, values, both := strings.Cut(rest, ",Values=")
	if !named || !both || name == "" || values == "" {
		return adopt.Filter{}, exitf(ExitUsage, "--filter is %q; expected Name=tag:app,Values=web", text)
	}
	return adopt.Filter{Name: name, Values: strings.Split(values, ",")}, nil
}

// keptSpec reads the spec of the one document that the file must have.
func keptSpec[T any](f importFlags, kind string) (*T, []spec.Upload, error) {
	if f.file == "" {
		return nil, nil, nil
	}
	documents, err := f.specs.load([]string{f.file})
	if err != nil {
		return nil, nil, err
	}
	if len(documents) != 1 || documents[0].Kind != kind {
		return nil, nil, exitf(ExitInvalid, "--spec %s: expected one document of kind %s", f.file, kind)
	}
	given, err := spec.Read[T](documents[0].Spec)
	return &given, documents[0].Uploads, err
}

// importing shows, asks, submits and waits.
func (c *command) importing(cmd *cobra.Command, name string, f importFlags, s adopt.Spec, uploads []spec.Upload) error {
	d, err := importDocument(name, f, s)
	if err != nil {
		return err
	}
	d.Uploads = uploads
	limits, err := workersLimits()
	if err != nil {
		return err
	}
	a, err := c.open(cmd.Context())
	if err != nil {
		return err
	}
	planned, err := planOne(cmd.Context(), a.Planners(planFiles{a.Files, []spec.Document{d}}, limits), d, jobs.Foreseen{})
	if err != nil {
		return err
	}
	if f.plan || c.output == "table" {
		if err := c.print(planned, func(w io.Writer) { importTable(w, planned) }); err != nil {
			return err
		}
	}
	if len(planned.Problems) > 0 {
		return exitf(ExitFailure, "%s cannot be imported or given back: %s", oneLine(name), problemsText(planned.Problems))
	}
	if f.plan {
		return nil
	}
	if s.Fleet != nil {
		if details, ok := planned.Details.(adopt.Planned); ok {
			s.Fleet.Confirmed = details.Confirm
		}
	}
	question := "This writes the rows and tags above, and changes nothing else."
	if f.undo {
		question = "This takes the rows and tags above away, and changes nothing else."
	}
	if err := c.confirm(f.yes, question); err != nil {
		return err
	}
	if d, err = importDocument(name, f, s); err != nil {
		return err
	}
	d.Uploads = uploads
	sent, err := c.send(cmd.Context(), a, []spec.Document{d}, "", "")
	if err != nil {
		return err
	}
	return c.waitFor(cmd.Context(), a, []string{sent[0].Job}, f.timeout, nil)
}

func importDocument(name string, f importFlags, s adopt.Spec) (spec.Document, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return spec.Document{}, fmt.Errorf("encode the import: %w", err)
	}
	if _, err := spec.Decode[adopt.Spec](raw); err != nil {
		return spec.Document{}, &exit{ExitUsage, err}
	}
	d := spec.Document{Kind: adopt.KindName, Name: name, Region: f.region, Role: f.role, Spec: raw, File: "command line", Line: 1}
	for _, pair := range f.labels {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return d, exitf(ExitUsage, "--label is %q; expected NAME=VALUE", pair)
		}
		if d.Labels == nil {
			d.Labels = map[string]string{}
		}
		d.Labels[key] = value
	}
	return d, nil
}

func importTable(w io.Writer, p planView) {
	for _, line := range p.Finds {
		row(w, oneLine(line.About), oneLine(line.Text))
	}
	for _, warning := range p.Warnings {
		text := warning.Message
		if warning.Hint != "" {
			text += " (" + warning.Hint + ")"
		}
		row(w, "warning", oneLine(text))
	}
}
