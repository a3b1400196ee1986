package bake_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// The catalog, the bucket and the callback.

func (w *world) GetImage(context.Context, string) (l.Image, bool, error) {
	return l.Image{Name: "web", Current: w.current}, w.current > 0, nil
}

func (w *world) GetVersion(_ context.Context, _ string, n int) (v l.Version, ok bool, err error) {
	err = w.call("ledger.GetVersion", func() error { v, ok = w.versions[n]; return nil })
	return v, ok, err
}

func (w *world) Versions(context.Context, string) ([]l.Version, error) {
	return slices.Collect(maps.Values(w.versions)), nil
}

func (w *world) ReserveVersion(_ context.Context, g jobs.Guard, _ l.Image, v l.Version) (l.Version, error) {
	err := w.call("ledger.Reserve", func() error {
		if err := w.guard(g); err != nil {
			return err
		}
		for _, other := range w.versions {
			if other.Incarnation == v.Incarnation && other.Run == v.Run {
				v = other
				return nil
			}
		}
		w.numbers++
		v.Number, v.Usual = w.numbers, w.usual
		w.versions[v.Number] = v
		return nil
	})
	return v, err
}

func (w *world) Publish(_ context.Context, g jobs.Guard, v l.Version, _ map[string]string) (int, error) {
	err := w.call("ledger.Publish", func() error {
		if err := w.guard(g); err != nil {
			return err
		}
		if w.versions[v.Number].State != l.Available {
			w.usual = l.Learnt(w.usual, v.Took)
		}
		w.versions[v.Number] = v
		w.current = max(w.current, v.Number)
		return nil
	})
	return w.current, err
}

func (w *world) SetVersionState(_ context.Context, g jobs.Guard, _ string, n int, state l.VersionState) error {
	return w.call("ledger.SetState", func() error {
		v := w.versions[n]
		v.State = state
		w.versions[n] = v
		return w.guard(g)
	})
}

func (w *world) ChangeVersion(_ context.Context, g jobs.Guard, _ string, n int, change func(*l.Version) error) (v l.Version, err error) {
	err = w.call("ledger.ChangeVersion", func() error {
		v = w.versions[n]
		if err := errors.Join(w.guard(g), change(&v)); err != nil {
			return err
		}
		w.versions[n] = v
		return nil
	})
	return v, err
}

func (w *world) guard(g jobs.Guard) error {
	if job := w.job(g.Job); job == nil || job.Fence != g.Fence {
		return jobs.ErrFenced
	}
	return nil
}

func (w *world) PutKept(_ context.Context, _ jobs.Guard, id string, until time.Time) error {
	return w.call("ledger.PutKept", func() error { w.kept[id] = until; return nil })
}

func (w *world) ListFleets(context.Context) ([]l.Fleet, error) { return w.fleets, nil }
func (w *world) Servers(_ context.Context, fleet string) ([]l.Server, error) {
	return w.servers[fleet], nil
}

func (w *world) Seconds(context.Context, string) ([]l.Server, error) { return nil, nil }
func (w *world) Bucket() string                                      { return "bucket" }
func (w *world) Put(context.Context, string, []byte) error           { return nil }
func (w *world) PresignGet(_ context.Context, key string, _ time.Duration) (string, error) {
	return "https://bucket/" + key, nil
}

func (w *world) Post(_ context.Context, _, id string, body []byte) error {
	return w.call("http.Post", func() error { w.posts = append(w.posts, id+" "+string(body)); return nil })
}
