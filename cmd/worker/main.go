// Stampmill-worker takes jobs from the queues and carries them out, one EC2 step at a time. Any number of workers may
// run; kill any of them at any instant.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/version"
	"github.com/stampmill/stampmill/internal/workerd"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "stampmill-worker:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("stampmill-worker", flag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.Usage = func() { usage(stdout) }
	printVersion := flags.Bool("version", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not understood: the worker takes its configuration from the environment; see --help", flags.Arg(0))
	}
	if *printVersion {
		_, err := fmt.Fprintln(stdout, version.String())
		return err
	}
	var c config.Worker
	if err := config.Load(&c, nil); err != nil {
		return err
	}
	log, err := logger(c)
	if err != nil {
		return err
	}
	slog.SetDefault(log)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return workerd.Run(ctx, c, log)
}

func usage(w io.Writer) {
	fmt.Fprint(w, `stampmill-worker takes jobs from the queues and carries them out. It takes its configuration from the environment:

`)
	if err := config.Help[config.Worker](w); err != nil {
		fmt.Fprintln(w, err)
	}
	fmt.Fprint(w, `
AWS's own settings are the SDK's: AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …

SIGTERM drains: no more is received, running polls and steps finish, what was not begun is handed back.
`)
}

func logger(c config.Worker) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, fmt.Errorf("configuration: STAMPMILL_LOG_LEVEL is %q; expected debug, info, warn or error", c.LogLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch strings.ToLower(c.LogFormat) {
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, options)), nil
	}
	return nil, fmt.Errorf("configuration: STAMPMILL_LOG_FORMAT is %q; expected json or text", c.LogFormat)
}
