package jobs

import (
	"testing"
	"time"
)

func TestAnOutageOfHalfADayStaysUnderTheRedriveLimit(t *testing.T) {
	t.Parallel()
	var total time.Duration
	for receives := 1; receives < 100; receives++ {
		d := Delivery{Received: Received{Receives: receives}}
		total += d.patience()
	}
	if total < 12*time.Hour {
		t.Fatalf("100 receives come within %s", total)
	}
	if first := (&Delivery{Received: Received{Receives: 1}}).patience(); first > time.Second {
		t.Fatalf("the first wait is %s: what clears up in seconds must not take longer", first)
	}
}
