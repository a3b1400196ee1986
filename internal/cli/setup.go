package cli

import (
	"context"
	"io"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
)

// setting is what setup was asked for, and what became of it.
type setting struct {
	noEvents bool
	// regions are others whose events are forwarded, accounts those that may forward theirs.
	regions, accounts []string
	// forwardTo is another account's installation: nothing but the forwarding is made.
	forwardTo string
	// stop takes the forwarding back.
	stop bool
	all  []settled
}

type settled struct {
	Thing   string `json:"thing"`
	Name    string `json:"name"`
	Made    bool   `json:"made"`
	Removed bool   `json:"removed,omitempty"`
}

func (c *command) setup() *cobra.Command {
	var s setting
	cmd := &cobra.Command{
		Use: "setup", Short: "Make the queues, tables, bucket and event rules, where CloudFormation is not wanted",
		Long: "Makes what is missing of the installation; running it again changes nothing. deploy/cloudformation does the same, and the IAM policies too.\n\n" +
			"With --event-regions, the events of these regions are forwarded to the installation's; with --event-accounts, its event bus takes\n" +
			"what those accounts forward. In such an account, --forward-to makes the forwarding and nothing else. --stop-forwarding takes\n" +
			"back what these flags made.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := c.options()
			if err != nil {
				return err
			}
			if err := s.check(); err != nil {
				return err
			}
			if err := s.carryOut(cmd.Context(), app.Build(options)); err != nil {
				return err
			}
			return c.print(s.all, func(w io.Writer) {
				for _, m := range s.all {
					row(w, m.Thing, m.Name, m.state(s.stop))
				}
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&s.noEvents, "no-events", false, "make no EventBridge rules: the workers poll")
	flags.StringSliceVar(&s.regions, "event-regions", nil, "other regions whose events are forwarded: eu-west-1,us-east-1")
	flags.StringSliceVar(&s.accounts, "event-accounts", nil, "other accounts that may forward their events: 111122223333")
	flags.StringVar(&s.forwardTo, "forward-to", "", "forward to this event bus, of an installation in another account, and make nothing else")
	flags.BoolVar(&s.stop, "stop-forwarding", false, "remove what --event-regions and --event-accounts made, and make nothing")
	return cmd
}

func (m settled) state(stop bool) string {
	switch {
	case m.Removed:
		return "removed"
	case stop:
		return "left: not there, or others use it"
	case m.Made:
		return "made"
	}
	return "was there"
}

var eventRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d+$`)

func (s *setting) check() error {
	for _, region := range s.regions {
		if !eventRegion.MatchString(region) {
			return exitf(ExitUsage, "--event-regions has %q; expected regions, such as eu-west-1,us-east-1", region)
		}
	}
	switch {
	case s.noEvents && (len(s.regions) > 0 || len(s.accounts) > 0 || s.forwardTo != ""):
		return exitf(ExitUsage, "--no-events makes no rules that could take forwarded events: leave one of the flags out")
	case s.forwardTo != "" && len(s.regions) == 0:
		return exitf(ExitUsage, "--forward-to needs --event-regions: the regions whose events are forwarded")
	case s.forwardTo != "" && len(s.accounts) > 0:
		return exitf(ExitUsage, "--event-accounts is for the account of the installation, --forward-to for the others")
	case s.stop && len(s.regions) == 0 && len(s.accounts) == 0:
		return exitf(ExitUsage, "--stop-forwarding needs --event-regions, --event-accounts, or both: whose events")
	}
	return nil
}

func (s *setting) carryOut(ctx context.Context, a *app.App) error {
	tell := func(thing, name string, changed bool) {
		s.all = append(s.all, settled{Thing: thing, Name: name, Made: changed && !s.stop, Removed: changed && s.stop})
	}
	if s.forwardTo == "" {
		in, err := a.Installation(ctx)
		if err != nil {
			return err
		}
		if in.Tell = tell; s.noEvents {
			in.Events = nil
		}
		if s.stop {
			err = in.Forbid(ctx, s.accounts)
		} else if err = in.Make(ctx); err == nil {
			err = in.Permit(ctx, s.accounts)
		}
		if err != nil {
			return err
		}
	}
	if len(s.regions) == 0 {
		return nil
	}
	forwarding, err := a.Forwarding(ctx, s.forwardTo, s.regions)
	if err != nil {
		return err
	}
	forwarding.Tell = tell
	if s.stop {
		return forwarding.Remove(ctx)
	}
	return forwarding.Make(ctx)
}
