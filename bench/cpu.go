package main

import (
	"context"
	"fmt"
	"time"
)

var bakeCPUSeconds = measure{
	name:  "bake-cpu",
	what:  "the worker's CPU seconds a plain bake, 200 in parallel, real processes at speed 60",
	bound: "none",
	bars:  []bar{{name: "plain", value: 0.005}},
	take:  bakeCPU,
}

var bakeRSS = measure{
	name:  "bake-1000-rss",
	what:  "the worker's peak resident memory while 1,000 plain bakes wait, real processes at speed 60",
	bound: "none",
	bars:  []bar{{name: "plain", value: 64}},
	take:  bakeMemory,
}

// bakeCPU is the worker's processor time for bakes that run in parallel, its start included.
func bakeCPU(k *taking) error {
	const count = 200
	return baked(k, count, func(worker *process) error {
		taken, err := worker.cpu()
		if err != nil {
			return err
		}
		return k.report("plain", taken.Seconds()/count, "CPU s/bake", 0)
	})
}

// bakeMemory is the worker's peak memory after it had 1,000 bakes open at once.
func bakeMemory(k *taking) error {
	return baked(k, 1000, func(worker *process) error {
		peak, err := worker.peak()
		if err != nil {
			return err
		}
		return k.report("plain", peak, "MB", 0)
	})
}

// baked carries bakes to success on real processes, and then looks at the worker.
func baked(k *taking, count int, look func(worker *process) error) error {
	messages, err := bakes(count, base(endpointSeed))
	if err != nil {
		return err
	}
	return onSockets(k.t.Context(), func(ctx context.Context, s *site) error {
		if err := submitAll(ctx, s.Queue, messages); err != nil {
			return err
		}
		worker, err := s.work()
		if err != nil {
			return err
		}
		if err := s.drained(ctx, worker, 200*time.Millisecond); err != nil {
			return err
		}
		if n, err := s.succeeded(ctx, ids(messages)); err != nil || n != count {
			return fmt.Errorf("%d of %d bakes succeeded: %w", n, count, err)
		}
		return look(worker)
	})
}
