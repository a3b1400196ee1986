package jobs

import (
	"testing"
	"time"
)

const (
	anAMI      = "123456789012/eu-west-1/ami-01234567"
	anotherAMI = "123456789012/eu-west-1/ami-89abcdef"
	anInstance = "123456789012/eu-west-1/i-01234567"
	elsewhere  = "123456789012/us-east-1/ami-01234567"
)

func TestPollsGetRarerAsEventsProveToArriveAndDenserAsTheyFail(t *testing.T) {
	t.Parallel()
	trust, poll := newTrust(), 20*time.Second
	if got := trust.stretch(poll, []string{anAMI}); got != poll {
		t.Fatalf("before any event a poll comes after %s, want %s", got, poll)
	}
	last := poll
	for n := range 10 {
		trust.heard(anAMI)
		got := trust.stretch(poll, []string{anotherAMI})
		if got <= last || got > stretchMost*poll {
			t.Fatalf("after %d events a poll comes after %s, %s before", n+1, got, last)
		}
		last = got
	}
	if last < (stretchMost-1)*poll {
		t.Errorf("after ten events a poll comes after %s only", last)
	}
	for range 6 {
		trust.missed([]string{anAMI})
	}
	if got := trust.stretch(poll, []string{anAMI}); got > poll*5/4 {
		t.Errorf("after six events that did not come a poll comes after %s", got)
	}
}

func TestTrustIsOfOneAccountRegionAndSortAndTheLeastCounts(t *testing.T) {
	t.Parallel()
	trust := newTrust()
	for range 10 {
		trust.heard(anAMI)
	}
	trust.missed([]string{anInstance, anInstance, anInstance, anInstance, anInstance, anInstance, anInstance})
	for _, others := range [][]string{{anInstance}, {elsewhere}, {anAMI, elsewhere}, {anAMI, anInstance}, nil} {
		if got := trust.stretch(time.Minute, others); got > time.Minute*11/10 {
			t.Errorf("a poll for %v comes after %s", others, got)
		}
	}
}

// The rules of a region are made together: of what nothing is known yet, others' events tell.
func TestASortOfEventsIsTrustedAsTheOthersOfItsRegionUntilItIsKnown(t *testing.T) {
	t.Parallel()
	trust := newTrust()
	for range 10 {
		trust.heard(anInstance)
		trust.heard(elsewhere)
	}
	lent := trust.stretch(time.Minute, []string{anAMI})
	if lent < 5*time.Minute {
		t.Fatalf("a first poll comes after %s", lent)
	}
	if got := trust.stretch(time.Minute, []string{"123456789012/ap-south-1/ami-01234567"}); got > time.Minute {
		t.Errorf("in a region of which nothing is known a poll comes after %s", got)
	}
	trust.missed([]string{anAMI})
	if got := trust.stretch(time.Minute, []string{anAMI}); got > lent*2/3 {
		t.Errorf("after an event that did not come a poll comes after %s, %s before", got, lent)
	}
	trust.missed([]string{elsewhere})
	if got := trust.stretch(time.Minute, []string{anInstance}); got < 5*time.Minute {
		t.Errorf("what failed elsewhere makes a poll come after %s here", got)
	}
}

func TestALostEventDelaysAJobByMinutesAtMost(t *testing.T) {
	t.Parallel()
	trust := newTrust()
	for range 100 {
		trust.heard(anAMI)
	}
	if got := trust.stretch(time.Hour, []string{anAMI}); got > time.Hour+stretchLimit {
		t.Errorf("a poll due in an hour comes after %s", got)
	}
}
