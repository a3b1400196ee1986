package main

import (
	"context"
	"fmt"
	"time"
)

var jobsPerSecond = measure{
	name:  "jobs-per-second",
	what:  "one-step jobs to done by one worker from a filled queue, real processes; cases worker-cpu, localaws-cpu: microseconds of CPU a job",
	bound: "none",
	bars:  []bar{{name: "ping", value: 3000, least: true}},
	take:  jobRate,
}

const socketPings = 20000

// jobRate lets one worker empty a queue of pings. The time includes the worker's start.
func jobRate(k *taking) error {
	messages, err := pings(socketPings)
	if err != nil {
		return err
	}
	return onSockets(k.t.Context(), func(ctx context.Context, s *site) error {
		if err := submitAll(ctx, s.Queue, messages); err != nil {
			return err
		}
		before, err := s.endpoint.cpu()
		if err != nil {
			return err
		}
		begun := time.Now()
		worker, err := s.work()
		if err != nil {
			return err
		}
		if err := s.drained(ctx, worker, 20*time.Millisecond); err != nil {
			return err
		}
		taken := time.Since(begun)
		workerCPU, err := worker.cpu()
		if err != nil {
			return err
		}
		endpointCPU, err := s.endpoint.cpu()
		if err != nil {
			return err
		}
		if n, err := s.succeeded(ctx, ids(messages)); err != nil || n != socketPings {
			return fmt.Errorf("%d of %d jobs succeeded: %w", n, socketPings, err)
		}
		if err := k.report("ping", socketPings/taken.Seconds(), "jobs/s", 0); err != nil {
			return err
		}
		if err := k.report("worker-cpu", float64(workerCPU.Microseconds())/socketPings, "µs/job", 0); err != nil {
			return err
		}
		return k.report("localaws-cpu", float64((endpointCPU-before).Microseconds())/socketPings, "µs/job", 0)
	})
}
