package bake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// noticed is how late the bake went on after its AMI was available, and how often it looked.
func (w *world) noticed(spec string, takes time.Duration) (late time.Duration, looks int) {
	w.t.Helper()
	w.takes, w.calls = takes, nil
	job := w.bake(spec)
	w.wantState(job, jobs.Succeeded)
	version := w.versions[w.current]
	for _, image := range w.region(home).images {
		if image.ID == version.Regions[home].AMI {
			late = version.Committed.Sub(image.begun.Add(takes))
		}
	}
	return late, w.count("DescribeImages") - 1
}

func TestAnAMIIsNoticedSoonAndLookedForSeldomOnceItsImageIsKnown(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		takes                  time.Duration
		firstLooks, laterLooks int
	}{
		{90 * time.Second, 1, 3}, {4 * time.Minute, 2, 6}, {7 * time.Minute, 14, 5}, {10 * time.Minute, 26, 6}, {time.Hour, 100, 18},
	} {
		t.Run(fmt.Sprint(tc.takes), func(t *testing.T) {
			t.Parallel()
			inTime(t, func(t *testing.T, w *world) {
				late, looks := w.noticed(plain, tc.takes)
				if late > max(16*time.Second, tc.takes/20) && tc.takes >= 4*time.Minute || looks > tc.firstLooks {
					t.Errorf("the first version was noticed %s late with %d looks, want %d at most", late, looks, tc.firstLooks)
				}
				for range 6 {
					late, looks = w.noticed(plain, tc.takes)
				}
				if late > max(16*time.Second, tc.takes/20) || looks > tc.laterLooks {
					t.Errorf("the seventh was noticed %s late with %d looks, want %d at most", late, looks, tc.laterLooks)
				}
			})
		})
	}
}

func TestAnImageThatBecameSmallIsNotWaitedForAsLongAsBefore(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, w *world) {
		for range 5 {
			w.noticed(plain, time.Hour)
		}
		if late, _ := w.noticed(plain, 5*time.Minute); late > 5*time.Minute+20*time.Second {
			t.Errorf("noticed %s late", late)
		}
	})
}

// Each region is looked at when its own copy is due, and learns of its own.
func TestCopiesAreLookedAtWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	spec := strings.Replace(plain, `"bootTest":false`, `"bootTest":false,"copyTo":{"us-east-1":{},"us-west-2":{}}`, 1)
	inTime(t, func(t *testing.T, w *world) {
		for range 6 {
			w.calls, w.takes = nil, 20*time.Minute
			w.wantState(w.bake(spec), jobs.Succeeded)
		}
		for _, region := range []string{"us-east-1", "us-west-2"} {
			looks := 0
			for _, call := range w.calls {
				if call == "DescribeImages "+region {
					looks++
				}
			}
			if usual := w.usual["copy "+region]; looks > 8 || usual.Mean < 1100 || usual.Mean > 1300 {
				t.Errorf("%s: %d looks at a copy that takes 20 minutes, usual %+v", region, looks, usual)
			}
		}
	})
}
