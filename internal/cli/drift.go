package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/drift"
)

// ExitDrift says that what stands is not what the ledger says.
const ExitDrift = 8

func (c *command) drift() *cobra.Command {
	var userData, asJSON bool
	cmd := &cobra.Command{
		Use: "drift [FLEET…]", Short: "Compare fleets with what stands in EC2; changes nothing",
		Long: `Finds servers that run another image than their fleet's, that are gone or stopped, that carry a fleet's tags and are nobody's,
whose type, security groups or settings somebody changed, and ordinals without a server; of Auto Scaling groups, instances of
another launch template version. Tells how old the images are that the servers run, deregistered ones too.
Without names: all fleets, in all their accounts and regions. A thousand servers are two calls; --user-data adds one a server.

Exit codes: 0 no drift, 8 drift, 1 some fleets could not be looked at.`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if asJSON {
				c.output = "json"
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			report, err := a.Drift(cmd.Context(), userData, names...)
			if jobs.IsClass(err, jobs.NotFound) {
				return &exit{ExitNotFound, err}
			}
			if err != nil {
				return err
			}
			if err := c.print(report, func(w io.Writer) { driftTable(w, report) }); err != nil {
				return err
			}
			switch {
			case report.Failed() > 0:
				return exitf(ExitFailure, "%s could not be looked at", count(report.Failed(), "fleet"))
			case report.Drifted() > 0:
				return exitf(ExitDrift, "%s", count(report.Drifted(), "drift"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&userData, "user-data", false, "read every server's user data too: one call a server")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as -o json")
	return cmd
}

func driftTable(w io.Writer, r drift.Report) {
	row(w, "FLEET", "IMAGE", "SERVERS", "AGE", "OLDEST", "DRIFT", "NOTE")
	for _, f := range r.Fleets {
		row(w, f.Name, f.Image, fmt.Sprintf("%d/%d", f.Stand, f.Count), inDays(f.AgeDays), inDays(f.OldestDays), len(f.Findings), driftNote(f))
	}
	heads := false
	for _, f := range r.Fleets {
		for _, found := range f.Findings {
			if !heads {
				fmt.Fprintln(w)
				row(w, "FLEET", "ORDINAL", "INSTANCE", "DRIFT", "WANT", "FOUND")
				heads = true
			}
			ordinal := "-"
			if found.Ordinal != nil {
				ordinal = fmt.Sprint(*found.Ordinal)
			}
			row(w, f.Name, ordinal, orDefault(found.Instance, "-"), string(found.Kind), orDefault(oneLine(found.Want), "-"), oneLine(found.Found))
		}
	}
	for _, stray := range r.Strays {
		row(w, "-", "-", stray.Instance, string(stray.Kind), "-", oneLine(stray.Found))
	}
	var calls []string
	for _, action := range slices.Sorted(maps.Keys(r.Calls)) {
		calls = append(calls, fmt.Sprintf("%d %s", r.Calls[action], action))
	}
	fmt.Fprintf(w, "\ncalls: %s\n", strings.Join(calls, ", "))
}

func driftNote(f drift.Fleet) string {
	switch {
	case f.Error != "":
		return oneLine(f.Error)
	case f.Owner != "":
		return f.Owner + " works on it"
	case f.Current != "":
		return f.Current + " is current"
	}
	return ""
}

func inDays(n int) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprintf("%dd", n)
}
