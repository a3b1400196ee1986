package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
)

func (c *command) setup() *cobra.Command {
	var noEvents bool
	cmd := &cobra.Command{
		Use: "setup", Short: "Make the queues, tables, bucket and event rules, where CloudFormation is not wanted",
		Long: "Makes what is missing of the installation; running it again changes nothing. deploy/cloudformation does the same, and the IAM policies too.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := c.options()
			if err != nil {
				return err
			}
			in, err := app.Build(options).Installation(cmd.Context())
			if err != nil {
				return err
			}
			if noEvents {
				in.Events = nil
			}
			type made struct {
				Thing string `json:"thing"`
				Name  string `json:"name"`
				Made  bool   `json:"made"`
			}
			var all []made
			in.Tell = func(thing, name string, now bool) { all = append(all, made{thing, name, now}) }
			if err := in.Make(cmd.Context()); err != nil {
				return err
			}
			return c.print(all, func(w io.Writer) {
				for _, m := range all {
					state := "was there"
					if m.Made {
						state = "made"
					}
					row(w, m.Thing, m.Name, state)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&noEvents, "no-events", false, "make no EventBridge rules: the workers poll")
	return cmd
}
