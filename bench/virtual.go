package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/dynamodb"
	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/rig"
)

// inVirtualTime runs f with an installation at AWS's pace and limits, in virtual time, configured by the functions. No
// worker runs yet.
func inVirtualTime(t *testing.T, f func(ctx context.Context, r *rig.Rig) error, configure ...func(*rig.Config)) error {
	var failed error
	synctest.Test(t, func(t *testing.T) {
		level := slog.LevelError
		if os.Getenv("BENCH_LOG") != "" {
			level = slog.LevelDebug
		}
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
		c := rig.Config{Log: log, Worker: func(c *config.Worker) {
			c.ReapInterval = 0 // the reaper looks at the account, not at a job
		}}
		for _, change := range configure {
			change(&c)
		}
		r, err := rig.New(c)
		if err != nil {
			failed = err
			return
		}
		failed = errors.Join(f(t.Context(), r), r.Close())
	})
	return failed
}

// work starts that many workers.
func work(r *rig.Rig, workers int) error {
	for range workers {
		if _, err := r.Start(nil); err != nil {
			return err
		}
	}
	return nil
}

// submitAll enqueues many submissions at once, so that they share requests.
func submitAll(ctx context.Context, sender jobs.Sender, messages []*jobs.Message) error {
	var group errgroup.Group
	group.SetLimit(200)
	for _, m := range messages {
		group.Go(func() error { return sender.Send(ctx, jobs.SubmitLane(m.Priority), m, 0) })
	}
	return group.Wait()
}

// finish waits for the jobs and holds all of them to success.
func finish(ctx context.Context, r *rig.Rig, limit time.Duration, ids []string) error {
	_, err := finished(ctx, r, limit, ids)
	return err
}

// finished is finish, and gives the jobs.
func finished(ctx context.Context, r *rig.Rig, limit time.Duration, ids []string) (map[string]*jobs.Job, error) {
	ended, err := r.Wait(ctx, limit, ids...)
	if err != nil {
		return nil, err
	}
	for _, job := range ended {
		if job.State != jobs.Succeeded {
			return nil, fmt.Errorf("%s is %s: %s", job.ID, job.State, job.Failure)
		}
	}
	return ended, nil
}

// called sums the calls of one service.
func called(counts map[string]localaws.Count, service string) localaws.Count {
	var sum localaws.Count
	for action, n := range counts {
		if strings.HasPrefix(action, service+":") {
			sum.Calls += n.Calls
			sum.Errors += n.Errors
			sum.Throttled += n.Throttled
			sum.Empty += n.Empty
		}
	}
	return sum
}

// tell writes each action's calls to standard error: where a count comes from.
func tell(counts map[string]localaws.Count, service string, per float64) {
	for _, action := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[action]; strings.HasPrefix(action, service+":") {
			fmt.Fprintf(os.Stderr, "# %-36s %8.2f  refused %d, empty %d\n", action, float64(n.Calls)/per, n.Errors, n.Empty)
		}
	}
}

func tables(r *rig.Rig) *dynamodb.Service { return r.Endpoint.Service("dynamodb").(*dynamodb.Service) }

// base is the newest Amazon Linux AMI for arm64 that the endpoint has in the installation's region.
func base(seeded int64) string {
	id := ""
	for _, image := range seed.Images(rig.Region, seeded) {
		if image.Line == "al2023-arm64" {
			id = image.ID
		}
	}
	return id
}
