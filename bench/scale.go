package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/rig"
)

var workersScale = measure{
	name: "workers-scale",
	what: "one-step jobs a second by 1, 2, 4 and 8 workers of 4 slots each from a filled queue, each call taking 5 ms, in virtual " +
		"time: two cores could not carry nine processes at that rate, so it shows what the workers cost each other, not the CPU",
	bound: "the rate of one worker times their number: nothing that they share may hold them up",
	bars:  []bar{{name: "8", value: 0.9, least: true, ratio: true}},
	take:  scale,
}

const (
	scalePings  = 8000
	scaleSlots  = 4
	scalePerOne = 5 * time.Millisecond
)

func scale(k *taking) error {
	one := 0.0
	for _, workers := range []int{1, 2, 4, 8} {
		rate, err := scaled(k, workers)
		if err != nil {
			return err
		}
		if workers == 1 {
			one = rate
		}
		if err := k.report(strconv.Itoa(workers), rate, "jobs/s", round(one*float64(workers))); err != nil {
			return err
		}
	}
	return nil
}

// scaled is the rate of that many workers, from their start to the last job's end.
func scaled(k *taking, workers int) (rate float64, err error) {
	messages, err := pings(scalePings)
	if err != nil {
		return 0, err
	}
	slots := func(c *rig.Config) {
		inner := c.Worker
		c.Worker = func(w *config.Worker) {
			inner(w)
			w.Slots = scaleSlots
		}
	}
	err = inVirtualTime(k.t, func(ctx context.Context, r *rig.Rig) error {
		if err := submitAll(ctx, r.User.Queue, messages); err != nil {
			return err
		}
		begun := time.Now()
		for range workers {
			line := &rig.Line{Fate: func(string, *http.Request) rig.Fate { return rig.Fate{Latency: scalePerOne} }}
			if _, err := r.Start(line); err != nil {
				return err
			}
		}
		ended, err := r.Wait(ctx, time.Hour, ids(messages)...)
		if err != nil {
			return err
		}
		last := begun
		for _, job := range ended {
			if job.Ended.After(last) {
				last = job.Ended
			}
		}
		if !last.After(begun) {
			return fmt.Errorf("%d workers took no time", workers)
		}
		rate = scalePings / last.Sub(begun).Seconds()
		return nil
	}, slots)
	return rate, err
}
