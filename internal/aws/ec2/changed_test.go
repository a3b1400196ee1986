package ec2

import (
	"context"
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

// Looks bring along what others are about to ask. What was changed since then is asked for anew: a builder that was just told
// to stop must not be taken for stopped before.
func TestWhatWasJustChangedIsNotSeenAsItWasBefore(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(ctx context.Context, r *Region) error{
		"stopped":    func(ctx context.Context, r *Region) error { return r.Stop(ctx, "i-4") },
		"started":    func(ctx context.Context, r *Region) error { return r.Start(ctx, "i-4") },
		"rebooted":   func(ctx context.Context, r *Region) error { return r.Reboot(ctx, "i-4") },
		"terminated": func(ctx context.Context, r *Region) error { return r.Terminate(ctx, "i-4") },
		"untouched":  func(context.Context, *Region) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, e := region(t, func(q url.Values) (int, string) {
					if q.Get("Action") == "DescribeInstances" {
						return known(q)
					}
					return 200, "<Response/>"
				})
				look := func(id string) {
					t.Helper()
					if got, err := r.Instances(t.Context(), id); err != nil || len(got) != 1 {
						t.Fatalf("%s gave %v, %v", id, got, err)
					}
				}
				for range 3 {
					look("i-2")
					look("i-4")
					time.Sleep(10 * time.Second)
				}
				look("i-2") // brings i-4 along
				if err := change(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				before := len(e.asked)
				look("i-4")
				want := 1
				if name == "untouched" {
					want = 0
				}
				if asked := len(e.asked) - before; asked != want {
					t.Errorf("%d calls to see i-4, want %d", asked, want)
				}
			})
		})
	}
}
