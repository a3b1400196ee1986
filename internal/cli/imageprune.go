package cli

import (
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

func (c *command) imagePrune() *cobra.Command {
	var flags orderFlags
	var keep lifecycle.Spec
	var age, deprecated, disabled time.Duration
	cmd := &cobra.Command{
		Use: "prune NAME", Short: "Retire old versions that nothing uses", Args: cobra.ExactArgs(1),
		Long: `Brings each version beyond those to keep, that nothing uses, to its next stage: deprecated, disabled, deregistered with its
snapshots. Without flags it keeps what the current version's own Bake keeps. Nothing that a fleet, a server, a launch template or a
parameter uses goes, in any region, nor what accounts with which it is shared use.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			keep.Age, keep.Deprecated, keep.Disabled = spec.Duration(age), spec.Duration(deprecated), spec.Duration(disabled)
			if keep == (lifecycle.Spec{}) {
				stored, err := c.storedKeep(cmd, args[0])
				if err != nil {
					return err
				}
				keep = stored
			}
			return c.sendOrder(cmd, lifecycle.KindName, args[0], keep, flags)
		},
	}
	cmd.Flags().IntVar(&keep.Versions, "versions", 0, "how many of the newest versions stay")
	cmd.Flags().DurationVar(&age, "age", 0, "versions that are younger stay")
	cmd.Flags().DurationVar(&deprecated, "deprecated", 0, "for how long a version is deprecated before the next stage")
	cmd.Flags().DurationVar(&disabled, "disabled", 0, "for how long it is disabled before it is deregistered")
	flags.add(cmd, false)
	return cmd
}

// storedKeep is what the current version's Bake keeps.
func (c *command) storedKeep(cmd *cobra.Command, name string) (lifecycle.Spec, error) {
	a, err := c.open(cmd.Context())
	if err != nil {
		return lifecycle.Spec{}, err
	}
	image, _, err := a.Ledger.GetImage(cmd.Context(), name)
	if err != nil {
		return lifecycle.Spec{}, err
	}
	v, found, err := a.Ledger.GetVersion(cmd.Context(), name, image.Current)
	if err != nil {
		return lifecycle.Spec{}, err
	}
	var stored struct {
		Keep lifecycle.Spec `json:"keep"`
	}
	if found && len(v.Spec) > 0 {
		if err := json.Unmarshal(v.Spec, &stored); err != nil {
			return lifecycle.Spec{}, exitf(ExitFailure, "the stored Bake of %s cannot be read: %w", v.Ref(), err)
		}
	}
	if stored.Keep.Versions == 0 && stored.Keep.Age == 0 {
		return lifecycle.Spec{}, exitf(ExitUsage, "the Bake of %s keeps all versions; say with --versions or --age what stays", oneLine(name))
	}
	return stored.Keep, nil
}
