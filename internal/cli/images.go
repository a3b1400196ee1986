package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

func (c *command) image() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "List and show images and their versions"}
	cmd.AddCommand(c.imageList(), c.imageShow())
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
			return c.print(imageView{image, versions}, func(w io.Writer) { versionTable(w, image, versions) })
		},
	}
	cmd.Flags().BoolVar(&onlyAMI, "ami", false, "print the AMI's id only: the current version's, or the one that is named")
	cmd.Flags().StringVar(&region, "region", "", "with --ami: in this region (default: the configured one)")
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
	if copied, ok := v.Regions[region]; ok && copied.AMI != "" && (v.State == ledger.Available || v.State == ledger.Retiring) {
		_, err := fmt.Fprintln(c.Out, copied.AMI)
		return err
	}
	return exitf(ExitNotFound, "%s@%d (%s) has no AMI in %s; it is in: %s", image.Name, number, v.State, region, regionsOf(v))
}

func versionTable(w io.Writer, image ledger.Image, versions []ledger.Version) {
	row(w, "VERSION", "STATE", "AMI", "PARENT", "ARCHITECTURE", "CREATED", "JOB")
	for _, v := range slices.Backward(versions) {
		state := string(v.State)
		if v.Number == image.Current {
			state = "current"
		}
		row(w, fmt.Sprintf("%s@%d", v.Image, v.Number), state, regionsOf(v), v.Parent, v.Architecture, ago(v.Created, time.Now()), v.Job)
	}
}

func regionsOf(v ledger.Version) string {
	var parts []string
	for _, region := range slices.Sorted(maps.Keys(v.Regions)) {
		if ami := v.Regions[region].AMI; ami != "" {
			parts = append(parts, region+"="+ami)
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
