package launchtest

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/capacity"
)

// Refusals gives the world's memory of pools without capacity: each question and each write is a call of the worker.
func (w *World) Refusals() capacity.Memory { return refusals{w} }

type refusals struct{ w *World }

func (r refusals) Refusals(ctx context.Context, keys []string) (found map[string]capacity.Refusal, err error) {
	err = r.w.call(func() (err error) {
		found, err = r.w.Refused.Refusals(ctx, keys)
		return err
	})
	return found, err
}

func (r refusals) Refuse(ctx context.Context, key string, refusal capacity.Refusal, begun time.Time) error {
	return r.w.call(func() error { return r.w.Refused.Refuse(ctx, key, refusal, begun) })
}

func (r refusals) Try(ctx context.Context, key, job string, now, trial time.Time) (won bool, err error) {
	err = r.w.call(func() (err error) {
		won, err = r.w.Refused.Try(ctx, key, job, now, trial)
		return err
	})
	return won, err
}

func (r refusals) Forget(ctx context.Context, key string, before time.Time) error {
	return r.w.call(func() error { return r.w.Refused.Forget(ctx, key, before) })
}
