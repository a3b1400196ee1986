package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

func (c *command) image() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "List, compare and move images and their versions"}
	cmd.AddCommand(c.imageList(), c.imageShow(), c.imageDiff(), c.imageLineage(), c.imagePromote(), c.imageRollback(), c.imageRecall(), c.imageRestore(), c.imagePrune())
	return cmd
}

func (c *command) imageList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List images", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			images, err := a.Ledger.ListImages(cmd.Context())
			unread, err := jobs.Unread(err)
			if err != nil {
				return err
			}
			err = c.print(images, func(w io.Writer) {
				row(w, "IMAGE", "CURRENT", "LABELS", "UPDATED")
				for _, image := range images {
					current := ""
					if image.Current > 0 {
						current = fmt.Sprintf("%s@%d", image.Name, image.Current)
					}
					row(w, image.Name, current, labelText(image.Labels), ago(image.Updated, time.Now()))
				}
			})
			if err != nil || unread == nil {
				return err
			}
			return exitf(ExitFailure, "not all images are listed: %w", unread)
		},
	}
}

// imageView is an image with its versions, as JSON and YAML show it.
type imageView struct {
	ledger.Image
	Versions []ledger.Version `json:"versions"`
	// Fleets run the versions, by the versions' names.
	Fleets map[string][]string `json:"fleets,omitempty"`
	// Moves are what people ordered to be current, the oldest first.
	Moves []ledger.Move `json:"moves,omitempty"`
}

// fleetsOn are the fleets that run the versions.
func fleetsOn(ctx context.Context, a *app.App, versions []ledger.Version) (map[string][]string, error) {
	on := map[string][]string{}
	for _, v := range versions {
		running, err := usesOf(ctx, a, v)
		if err != nil {
			return nil, err
		}
		for _, use := range running {
			on[v.Ref()] = append(on[v.Ref()], fmt.Sprintf("%s(%s)", use.Fleet, use.size()))
		}
	}
	return on, nil
}

// moveTable tells the last moves.
func moveTable(w io.Writer, moves []ledger.Move) {
	if len(moves) == 0 {
		return
	}
	fmt.Fprintln(w)
	row(w, "MOVED", "FROM", "TO", "WHEN", "WHY", "JOB")
	for _, m := range moves[max(len(moves)-10, 0):] {
		row(w, m.How, m.From, m.To, ago(m.At, time.Now()), oneLine(m.Reason), m.Job)
	}
}

func (c *command) imageShow() *cobra.Command {
	var onlyAMI bool
	var region string
	cmd := &cobra.Command{
		Use: "show IMAGE[@VERSION]", Short: "Show an image's versions, or one AMI id with --ami", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			name, number, err := imageRef(args[0])
			if err != nil {
				return err
			}
			image, found, err := a.Ledger.GetImage(cmd.Context(), name)
			if err != nil {
				return err
			}
			if !found {
				return exitf(ExitNotFound, "there is no image %s; `stampmill image list` shows all", name)
			}
			versions, err := a.Ledger.Versions(cmd.Context(), name)
			if err != nil {
				return err
			}
			if number > 0 {
				versions = only(versions, number)
				if len(versions) == 0 {
					return exitf(ExitNotFound, "image %s has no version %d", name, number)
				}
			}
			if onlyAMI {
				return c.printAMI(image, versions, number, orDefault(region, a.Clients.Region()))
			}
			view := imageView{Image: image, Versions: versions}
			if view.Fleets, err = fleetsOn(cmd.Context(), a, versions); err != nil {
				return err
			}
			if view.Moves, err = a.Ledger.Moves(cmd.Context(), name); err != nil {
				return err
			}
			return c.print(view, func(w io.Writer) {
				versionTable(w, image, versions, view.Fleets)
				moveTable(w, view.Moves)
			})
		},
	}
	cmd.Flags().BoolVar(&onlyAMI, "ami", false, "print the AMI's id only: the current version's, or the one that is named")
	cmd.Flags().StringVar(&region, "region", "", "with --ami: in this region, or ACCOUNT/REGION (default: the configured one)")
	return cmd
}

func (c *command) printAMI(image ledger.Image, versions []ledger.Version, number int, region string) error {
	if number == 0 {
		number = image.Current
	}
	if number == 0 {
		return exitf(ExitNotFound, "image %s has no current version: no bake has succeeded yet", image.Name)
	}
	versions = only(versions, number)
	if len(versions) == 0 {
		return exitf(ExitNotFound, "image %s has no version %d", image.Name, number)
	}
	v := versions[0]
	if copied, ok := v.At(region); ok && copied.AMI != "" && (v.State == ledger.Available || v.State == ledger.Retiring) {
		_, err := fmt.Fprintln(c.Out, copied.AMI)
		return err
	}
	return exitf(ExitNotFound, "%s@%d (%s) has no AMI in %s; it is in: %s", image.Name, number, v.State, region, regionsOf(v))
}

func versionTable(w io.Writer, image ledger.Image, versions []ledger.Version, fleets map[string][]string) {
	row(w, "VERSION", "STATE", "AMI", "PARENT", "ARCHITECTURE", "PACKAGES", "FLEETS", "CREATED", "JOB")
	for _, v := range slices.Backward(versions) {
		packages := ""
		if v.Content != nil {
			packages = strconv.Itoa(v.Content.Packages)
		}
		row(w, v.Ref(), v.Standing(image.Current), regionsOf(v), v.Parent, v.Architecture, packages, strings.Join(fleets[v.Ref()], " "), ago(v.Created, time.Now()), v.Job)
	}
}

func regionsOf(v ledger.Version) string {
	var parts []string
	for _, ami := range v.AMIs() {
		if ami.AMI != "" && !ami.Leaving {
			parts = append(parts, ami.Place()+"="+ami.AMI)
		}
	}
	return strings.Join(parts, " ")
}

func only(versions []ledger.Version, number int) []ledger.Version {
	for _, v := range versions {
		if v.Number == number {
			return []ledger.Version{v}
		}
	}
	return nil
}

func imageRef(ref string) (name string, number int, err error) {
	name, version, pinned := strings.Cut(ref, "@")
	if !pinned {
		return name, 0, nil
	}
	number, err = strconv.Atoi(version)
	if err != nil || number < 1 {
		return "", 0, exitf(ExitUsage, "%q is not an image; expected NAME or NAME@VERSION, such as web@41", ref)
	}
	return name, number, nil
}
