// Package cli is the command line `stampmill`. Commands read and write through IO only, so that a test can run them.
//
// Exit codes: 0 done, 1 it failed, 2 the command line was wrong, 3 a spec or a message is not valid, 4 a job that was
// waited for failed, 5 it was cancelled, 6 the wait timed out, 7 there is no such thing, 8 drift was found.
package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs/adopt"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/catalog"
	"github.com/stampmill/stampmill/internal/jobs/distribute"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ping"
	"github.com/stampmill/stampmill/internal/jobs/policy"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/jobs/terminate"
	"github.com/stampmill/stampmill/internal/version"
)

// Exit codes.
const (
	ExitOK        = 0
	ExitFailure   = 1
	ExitUsage     = 2
	ExitInvalid   = 3
	ExitJobFailed = 4
	ExitCancelled = 5
	ExitTimeout   = 6
	ExitNotFound  = 7
)

// IO is where a command reads and writes.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
}

// command is what every subcommand shares.
type command struct {
	IO
	clients clients.Config
	config  config.Common
	output  string // table, json, yaml
	opened  *app.App
	// asks reports whether a person can be asked.
	asks func(io.Reader) bool
}

// Run carries out one command line and gives the exit code.
func Run(ctx context.Context, args []string, streams IO) int {
	return run(ctx, args, streams, clients.Config{Version: version.Number})
}

func run(ctx context.Context, args []string, streams IO, sdk clients.Config) int {
	c := &command{IO: streams, clients: sdk, asks: asks}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	if err.Error() != "" {
		fmt.Fprintln(streams.Err, lines(c.explain(err)))
	}
	return codeOf(err)
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "stampmill",
		Short: "Bake machine images and stamp servers from them",
		Long: `Stampmill bakes machine images and stamps identical servers from them.

It enqueues jobs on SQS; workers (stampmill-worker) carry them out and record progress in DynamoDB.
AWS's settings are the SDK's: AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, …; ours begin with STAMPMILL_:
  STAMPMILL_PREFIX  begins the names of queues and tables (default stampmill)
  STAMPMILL_BUCKET  bucket for output and large files (default PREFIX-ACCOUNT-REGION)

Exit codes: 0 done, 1 failed, 2 wrong command line, 3 a spec is not valid, 4 the job failed, 5 it was cancelled,
6 the wait timed out, 7 no such thing, 8 drift was found.`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			switch c.output {
			case "table", "json", "yaml":
			default:
				return exitf(ExitUsage, "-o is %q; expected table, json or yaml", c.output)
			}
			if err := config.Load(&c.config, nil); err != nil {
				return &exit{ExitUsage, err}
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exit{ExitUsage, err} })
	root.PersistentFlags().StringVarP(&c.output, "output", "o", "table", "table, json or yaml")
	root.AddCommand(c.submit(), c.validate(), c.plan(), c.schema(), c.job(), c.logs(), c.wait(), c.cancel(), c.retry(), c.rollout(),
		c.image(), c.fleet(), c.imports(), c.drift(), c.apply(), c.remove(), c.policies(), c.dead(), c.orphans(), c.budget(), c.doctor(), c.setup(), c.ping(), c.version())
	root.AddCommand(c.submit(), c.validate(), c.plan(), c.schema(), c.job(), c.logs(), c.wait(), c.cancel(), c.retry(),
		c.image(), c.fleet(), c.restamp(), c.imports(), c.apply(), c.remove(), c.policies(), c.dead(), c.orphans(), c.budget(), c.doctor(), c.setup(), c.ping(), c.version())
	c.equip(root)
	for _, sub := range root.Commands() {
		usageErrors(sub)
	}
	return root
}

// Registry is every kind that a spec file may have.
func Registry() spec.Registry {
	r := spec.Registry{}
	r.Register(bake.Name, bake.Spec{})
	r.Register(launch.KindName, launch.Spec{})
	r.Register(terminate.KindName, terminate.Spec{})
	r.Register(adopt.KindName, adopt.Spec{})
	r.Register(rollout.KindName, rollout.Spec{})
	r.Register(restamp.KindName, restamp.Spec{})
	r.Register(distribute.KindName, distribute.Spec{})
	r.Register("Ping", ping.Spec{})
	r.Register(policy.KindName, policy.Spec{})
	catalog.Register(r)
	return r
}

// open opens the installation once.
func (c *command) open(ctx context.Context) (*app.App, error) {
	if c.opened != nil {
		return c.opened, nil
	}
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	c.opened, err = app.Open(ctx, options)
	return c.opened, err
}

func (c *command) options() (app.Options, error) {
	sdk, err := clients.New(c.clients)
	if err != nil {
		return app.Options{}, err
	}
	return app.Options{Common: c.config, Clients: sdk}, nil
}

func (c *command) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		if c.output != "table" {
			return c.print(map[string]string{"version": version.Number}, nil)
		}
		_, err := fmt.Fprintln(c.Out, version.String())
		return err
	}}
}
