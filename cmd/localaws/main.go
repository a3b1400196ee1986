// Command localaws runs the embedded AWS endpoint behind a socket.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/machine"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200) // it shares its cores with what is tried out on it
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "localaws:", err)
		os.Exit(1)
	}
}

const usage = `localaws is an AWS endpoint in one process, for trying Stampmill out and for tests. It serves the calls
that Stampmill makes of SQS, DynamoDB, EC2, SSM, Elastic Load Balancing, S3, Secrets Manager and STS.

  localaws --listen 127.0.0.1:4567 --state /tmp/localaws.log
  export AWS_ENDPOINT_URL=http://127.0.0.1:4567 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1

The first line on standard output is the endpoint's URL. Signatures are read, not checked: an access key id of
twelve digits is that account, temporary keys of AssumeRole are their role's, any other is account 000000000000.
SIGTERM and an interrupt end it; with --state it comes back as it was, even after a kill.

Control, in JSON, under URL/_localaws/: GET health, state, inspect, calls, faults, events; DELETE calls, faults, events;
POST faults, events, and each service's own, such as capacity (an unknown name lists them). For example, to answer
the next two launches with an error:

  curl -d '{"service":"ec2","action":"RunInstances","times":2,"code":"InsufficientInstanceCapacity","status":500}' URL/_localaws/faults

A fault is one of: refuse (break the connection before the act), late (break it, act after this long), or code
(with message and status); or any of: delay (before the act), drop (break the connection after it), delayAnswer.
It meets the calls that service, action, account, region and contains (a part of the body) match; skip, times and
probability say which of them.

Flags:
`

var errUsage = errors.New("usage")

type options struct {
	listen  string
	public  bool
	buckets bool
	managed bool
	config  localaws.Config
}

// parse reads the flags; a mistake is told on stderr.
func parse(arguments []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("localaws", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:4567", "`address` to listen on; port 0 picks a free one")
	flags.BoolVar(&o.public, "listen-public", false, "allow an address that other machines reach: anyone who does can run scripts and read all data")
	flags.StringVar(&o.config.StatePath, "state", "", "`file` that keeps the state; empty keeps it in memory only")
	flags.Float64Var(&o.config.Speed, "speed", 1, "divides what takes AWS minutes (boots, AMIs, copies, drains) by this `factor`, not buckets, leases or queue delays")
	flags.Int64Var(&o.config.Seed, "seed", 1, "`number` that ids, durations and faults follow from")
	flags.BoolVar(&o.buckets, "buckets", true, "throttle EC2 calls as AWS does by default")
	flags.BoolVar(&o.managed, "host-management", true, "SSM agents connect without an instance profile, as with Default Host Management Configuration")
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.VisitAll(func(f *flag.Flag) {
			name, text := flag.UnquoteUsage(f)
			fmt.Fprintf(stderr, "  --%s\n      %s (default %q)\n", strings.TrimSpace(f.Name+" "+name), text, f.DefValue)
		})
	}
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "localaws: unexpected argument %q; see --help\n", flags.Arg(0))
		return o, errUsage
	}
	o.config.Unlimited = !o.buckets
	if o.managed {
		o.config.Machines = []machine.HostOption{machine.AgentWithoutProfile()}
	}
	return o, nil
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	o, err := parse(arguments, stderr)
	if err != nil {
		return err
	}
	if err := checkLoopback(o.listen, o.public); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w; choose another address with --listen, port 0 picks a free one", err)
	}
	o.config.URL = "http://" + listener.Addr().String()
	endpoint, err := localaws.New(o.config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if _, err := fmt.Fprintln(stdout, o.config.URL); err != nil {
		return errors.Join(err, endpoint.Close(), listener.Close())
	}
	return serve(ctx, listener, endpoint)
}

// serve answers until the context ends; calls that run then are answered or broken off, and the state is closed.
func serve(ctx context.Context, listener net.Listener, endpoint *localaws.Server) error {
	server := &http.Server{Handler: endpoint, ReadHeaderTimeout: 30 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return errors.Join(err, endpoint.Close())
	case <-ctx.Done():
	}
	err := endpoint.Close()
	wait, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if shutdownErr := server.Shutdown(wait); shutdownErr != nil {
		err = errors.Join(err, server.Close())
	}
	if serveErr := <-failed; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// checkLoopback refuses to open the endpoint to other machines by accident.
func checkLoopback(address string, public bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen %s: expected HOST:PORT, such as 127.0.0.1:4567: %w", address, err)
	}
	ip := net.ParseIP(host)
	if public || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen %s: other machines could reach it; use 127.0.0.1, or add --listen-public if that is meant", address)
}
