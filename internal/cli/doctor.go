package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/setup/doctor"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
)

func (c *command) doctor() *cobra.Command {
	var role, region string
	var worker, all bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Examine the set-up, and say what is wrong and what to do", Args: cobra.NoArgs,
		Long: `Examines queues, tables, indexes, TTL, bucket, clock, workers, and in each account and region that is in use the rights and
the way to SSM. It changes nothing: rights are tried by EC2's dry runs. Exit code 1 where there is a problem; warnings alone are 0.

Rights are those of whoever runs it: run it with --worker where workers run, too.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings, err := c.examine(cmd.Context(), jobs.Target{Role: role, Region: region}, worker)
			if err != nil {
				return err
			}
			return c.printFindings(findings, all)
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "examine this role's account, too")
	cmd.Flags().StringVar(&region, "region", "", "examine this region, too (of the role, if one is given)")
	cmd.Flags().BoolVar(&worker, "worker", false, "workers run as whoever runs this: a right that they lack is a problem")
	cmd.Flags().BoolVar(&all, "all", false, "show what is well, too")
	return cmd
}

// examine builds what doctor needs without opening the installation: it may be what is wrong.
func (c *command) examine(ctx context.Context, extra jobs.Target, asWorker bool) ([]doctor.Finding, error) {
	var worker config.Worker
	if err := config.Load(&worker, nil); err != nil {
		return nil, &exit{ExitUsage, err}
	}
	targets, err := app.ParseTargets(worker.Targets)
	if err != nil {
		return nil, &exit{ExitUsage, err}
	}
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	a := app.Build(options)
	a.Wire()
	if extra != (jobs.Target{}) {
		targets = append(targets, extra)
	}
	return doctor.Examine(ctx, doctor.Config{
		Clients: options.Clients, Prefix: c.config.Prefix, Installation: c.config.Installation, Bucket: c.config.Bucket,
		Lease: worker.Lease, Visibility: worker.Visibility, Retention: worker.Retention,
		Targets: targets, Known: a.TargetsKnown(nil), Holder: a.Store.Holder, AsWorker: asWorker,
	})
}

func (c *command) printFindings(findings []doctor.Finding, all bool) error {
	counts := map[doctor.Level]int{}
	for _, f := range findings {
		counts[f.Level]++
	}
	err := c.print(findings, func(w io.Writer) {
		writeFindings(w, doctor.Problem, findings)
		writeFindings(w, doctor.Warning, findings)
		if all {
			writeFindings(w, doctor.OK, findings)
		}
		summary := fmt.Sprintf("%s, %s, %d well", plural(counts[doctor.Problem], "problem"), plural(counts[doctor.Warning], "warning"), counts[doctor.OK])
		if counts[doctor.OK] > 0 && !all {
			summary += " (--all shows them)"
		}
		fmt.Fprintln(w, summary)
	})
	if err == nil && counts[doctor.Problem] > 0 {
		err = &exit{code: ExitFailure}
	}
	return err
}

// writeFindings writes those of one level. What is to be done about several in a row stands behind the last of them.
func writeFindings(w io.Writer, level doctor.Level, findings []doctor.Finding) {
	findings = slices.DeleteFunc(slices.Clone(findings), func(f doctor.Finding) bool { return f.Level != level })
	for i, f := range findings {
		fmt.Fprintf(w, "%s  %s %s: %s\n", level, f.Area, oneLine(f.Thing), oneLine(f.Text))
		last := i == len(findings)-1 || findings[i+1].Do != f.Do
		if f.Do != "" && last {
			fmt.Fprintf(w, "    → %s\n", oneLine(f.Do))
		}
	}
}
