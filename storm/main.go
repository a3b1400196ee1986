// Storm shows with real processes that nothing is lost, made twice or left behind, whatever is killed and whenever.
//
// It starts the embedded AWS endpoint and several workers in a temporary folder. Upstream users keep fleets and images
// busy: bakes that succeed and bakes that fail, launches, rollouts, restamps, terminations, cancels at any instant, retries, and
// submissions that come twice. Meanwhile one process after the other is killed: workers by SIGKILL, by SIGTERM, and by SIGSTOP for
// longer than a lease; and the endpoint itself, which comes back from its state file. In the end the judge compares what
// EC2 truly has, by the endpoint's own books, with what the ended jobs say.
//
// What happens to whom follows from the seed; at which instant does not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var o options
	flag.IntVar(&o.kills, "kills", 50, "how many processes are killed")
	flag.IntVar(&o.jobs, "jobs", 0, "how many jobs are submitted at the least (default: a job every 5 kills, and 20)")
	flag.Uint64Var(&o.seed, "seed", 0, "what follows from it is who does what, and what is killed (default: a new one)")
	flag.Parse()
	if flag.NArg() > 0 || o.kills < 0 || o.jobs < 0 {
		fmt.Fprintln(os.Stderr, "storm: expected -kills and -jobs that are not negative, and no other arguments; see -help")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, o.withDefaults(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

// run weathers one storm. Its end, good or bad, ends every process; the folder stays where something is to be found in it.
func run(ctx context.Context, o options, out *os.File) error {
	folder, err := os.MkdirTemp("", "stampmill-storm-")
	if err != nil {
		return err
	}
	s := newStorm(o, folder, out)
	defer s.end()
	err = s.weather(ctx)
	s.end()
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%w; logs and the endpoint's state are in %s", err, folder)
	}
	return errors.Join(err, os.RemoveAll(folder))
}
