package cli

import (
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

func (c *command) fleet() *cobra.Command {
	cmd := &cobra.Command{Use: "fleet", Short: "List and show fleets and their servers"}
	cmd.AddCommand(c.fleetList(), c.fleetShow(), c.fleetServers())
	return cmd
}

func (c *command) fleetList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List fleets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			fleets, err := a.Ledger.ListFleets(cmd.Context())
			unread, err := jobs.Unread(err)
			if err != nil {
				return err
			}
			err = c.print(fleets, func(w io.Writer) {
				row(w, "FLEET", "IMAGE", "COUNT", "REGION", "OWNER", "LABELS", "UPDATED")
				for _, f := range fleets {
					row(w, f.Name, f.Image, f.Count, f.Target.Region, f.Owner, labelText(f.Labels), ago(f.Updated, time.Now()))
				}
			})
			if err != nil || unread == nil {
				return err
			}
			return exitf(ExitFailure, "not all fleets are listed: %w", unread)
		},
	}
}

// fleetView is a fleet with what its servers come to.
type fleetView struct {
	ledger.Fleet
	States map[string]int `json:"states"`
	Images map[string]int `json:"images"`
	Zones  map[string]int `json:"zones"`
}

func (c *command) fleetShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FLEET", Short: "Show a fleet: owner, line, and what its servers come to", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			fleet, servers, err := c.loadFleet(cmd, args[0])
			if err != nil {
				return err
			}
			v := fleetView{Fleet: fleet, States: map[string]int{}, Images: map[string]int{}, Zones: map[string]int{}}
			for _, s := range servers {
				v.States[string(s.State)]++
				v.Images[s.Image]++
				v.Zones[s.Zone]++
			}
			return c.print(v, func(w io.Writer) {
				row(w, "fleet", fleet.Name)
				row(w, "target", orDefault(fleet.Target.String(), "the worker's own account and region"))
				row(w, "image", fleet.Image)
				row(w, "count", fleet.Count)
				row(w, "servers", len(servers))
				counts(w, "  ", v.States)
				counts(w, "  on ", v.Images)
				counts(w, "  in ", v.Zones)
				row(w, "owner", fleet.Owner)
				row(w, "in line", strings.Join(fleet.Line, " "))
				row(w, "labels", labelText(fleet.Labels))
			})
		},
	}
}

// counts writes how many servers each name has.
func counts(w io.Writer, prefix string, by map[string]int) {
	for _, name := range slices.Sorted(maps.Keys(by)) {
		row(w, prefix+orDefault(name, "unknown"), by[name])
	}
}

func (c *command) fleetServers() *cobra.Command {
	var onlyIDs bool
	cmd := &cobra.Command{
		Use: "servers FLEET", Short: "List a fleet's servers by ordinal", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, servers, err := c.loadFleet(cmd, args[0])
			if err != nil {
				return err
			}
			return c.print(servers, func(w io.Writer) {
				if onlyIDs {
					for _, s := range servers {
						row(w, s.InstanceID)
					}
					return
				}
				row(w, "ORDINAL", "HOSTNAME", "STATE", "INSTANCE", "IMAGE", "TYPE", "ZONE", "ADDRESS", "AGE")
				for _, s := range servers {
					row(w, s.Ordinal, s.Hostname, s.State, s.InstanceID, s.Image, s.Type, s.Zone, s.PrivateIP, ago(s.Launched, time.Now()))
				}
			})
		},
	}
	cmd.Flags().BoolVar(&onlyIDs, "ids", false, "print the instance ids only")
	return cmd
}

func (c *command) loadFleet(cmd *cobra.Command, name string) (ledger.Fleet, []ledger.Server, error) {
	a, err := c.open(cmd.Context())
	if err != nil {
		return ledger.Fleet{}, nil, err
	}
	fleet, found, err := a.Ledger.GetFleet(cmd.Context(), name)
	if err != nil {
		return ledger.Fleet{}, nil, err
	}
	if !found {
		return ledger.Fleet{}, nil, exitf(ExitNotFound, "there is no fleet %s; `stampmill fleet list` shows all", oneLine(name))
	}
	servers, err := a.Ledger.Servers(cmd.Context(), name)
	return fleet, servers, err
}
