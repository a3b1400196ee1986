// Stampmill is the command line: it enqueues bake, launch and terminate jobs, and shows what became of them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/stampmill/stampmill/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
