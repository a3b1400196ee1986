package jobs

import (
	"testing"
	"time"
)

func TestShortWaitsAreWholeSecondsAndLongOnesMeetOnCommonTicks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 12, 0, 3, 400e6, time.UTC)
	for _, c := range []struct{ wait, want time.Duration }{
		{time.Second, time.Second},
		{1100 * time.Millisecond, 2 * time.Second},
		{10 * time.Second, 10 * time.Second},
		{11 * time.Second, 11600 * time.Millisecond},
		{time.Minute, 61600 * time.Millisecond},
		{61 * time.Second, 66600 * time.Millisecond},
	} {
		if got := tick(now, c.wait).Sub(now); got != c.want {
			t.Errorf("a wait of %s lasts %s, want %s", c.wait, got, c.want)
		}
	}
}
