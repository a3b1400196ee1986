// Demo shows Stampmill's main job on one machine, with nothing but Go: real binaries, real sockets, the example specs.
//
// It starts the embedded AWS endpoint and three workers in a temporary folder, bakes an image, stamps 200 servers from it,
// and kills a worker with SIGKILL while the jobs table says that it holds the claim. Then comes a patch day: a newer base
// AMI is out, a policy notices, the images are baked again, parents first, and the fleets are rolled, each sort in its way;
// one of them back, since its canary fails. In the end it checks what is left: in EC2's own state, in the ledger, and on
// every server. It leaves nothing running; the folder stays only if a check failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/stampmill/stampmill/internal/stage"
)

// limit bounds the whole demo, so that it ends also where a job does not.
const limit = 5 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	err := run(ctx, newSpeaker(os.Stdout))
	if err == nil {
		return
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause // what broke then is only its consequence
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	os.Exit(1)
}

// run tells the whole story. Its end, good or bad, ends every process; a panic too. The folder stays where something is to
// be found in it.
func run(ctx context.Context, say *speaker) error {
	folder, err := os.MkdirTemp("", "stampmill-demo-")
	if err != nil {
		return err
	}
	s := &show{Stage: &stage.Stage{Folder: folder}, say: say}
	defer s.Processes.End()
	for _, act := range []func(context.Context) error{s.build, s.open, s.bake, s.launch, s.tell, s.patch, s.check} {
		if err = act(ctx); err != nil {
			break
		}
	}
	s.Processes.End()
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo: logs are in", folder)
		return err
	}
	return errors.Join(err, os.RemoveAll(folder))
}
