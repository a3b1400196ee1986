package rollout

import (
	"testing"
	"time"
)

func TestAWindowOpensWhenItsZonesClocksSay(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	night := Window{From: "22:00", To: "04:00", Zone: "Europe/Berlin", Days: []string{"mon", "Fri"}}
	saturday := Window{From: "22:00", To: "04:00", Zone: "Europe/Berlin", Days: []string{"Sat"}}
	gap := Window{From: "02:15", To: "02:45", Zone: "Europe/Berlin"} // on 2026-03-29 the clocks go from 02:00 to 03:00
	for _, c := range []struct {
		name      string
		w         Window
		now, open time.Time
	}{
		{"inside, before midnight", night, time.Date(2026, 6, 1, 23, 0, 0, 0, berlin), time.Date(2026, 6, 1, 23, 0, 0, 0, berlin)},
		{"inside, after midnight, on a day that it does not open on", night, time.Date(2026, 6, 2, 3, 59, 0, 0, berlin), time.Date(2026, 6, 2, 3, 59, 0, 0, berlin)},
		{"over", night, time.Date(2026, 6, 2, 4, 0, 0, 0, berlin), time.Date(2026, 6, 5, 22, 0, 0, 0, berlin)},
		{"the morning of a day that it opens on", night, time.Date(2026, 6, 5, 3, 0, 0, 0, berlin), time.Date(2026, 6, 5, 22, 0, 0, 0, berlin)},
		{"told in another zone", night, time.Date(2026, 6, 1, 20, 0, 0, 0, time.UTC), time.Date(2026, 6, 1, 20, 0, 0, 0, time.UTC)},
		{"winter begins inside: an hour longer", saturday, time.Date(2026, 10, 25, 2, 30, 0, 0, time.UTC), time.Date(2026, 10, 25, 2, 30, 0, 0, time.UTC)},
		{"summer begins inside: an hour shorter", saturday, time.Date(2026, 3, 29, 2, 0, 0, 0, time.UTC), time.Date(2026, 4, 4, 20, 0, 0, 0, time.UTC)},
		{"the clocks leave its hour out: once later that day", gap, time.Date(2026, 3, 29, 0, 0, 0, 0, berlin), time.Date(2026, 3, 29, 3, 15, 0, 0, berlin)},
		{"all days but for midnight", Window{From: "00:00", To: "23:59", Zone: "UTC"}, time.Date(2026, 6, 1, 23, 59, 0, 0, time.UTC), time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC)},
	} {
		if got, ok := c.w.Opens(c.now); !ok || !got.Equal(c.open) {
			t.Errorf("%s: at %s it opens at %s, expected %s", c.name, c.now, got, c.open)
		}
	}
}

func TestSharesOfAFleetAreRoundedToTheSafeSide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options             string
		count               int
		surge, spare, least int
	}{
		{`{}`, 25, 3, 0, 25},
		{`{}`, 1, 1, 0, 1},
		{`{"maxUnavailable": "10%"}`, 25, 3, 2, 23},
		{`{"surge": 0, "maxUnavailable": "30%"}`, 9, 0, 2, 7},
		{`{"surge": "1%", "maxUnavailable": "99%"}`, 10, 1, 9, 1},
	} {
		r := planned(t, c.options, c.count)
		if p := r.progress; p.Surge != c.surge || p.Spare != c.spare || p.Count-p.Spare != c.least {
			t.Errorf("%s of %d: %d more, %d fewer, at least %d; expected %d, %d, %d", c.options, c.count, p.Surge, p.Spare, p.Count-p.Spare, c.surge, c.spare, c.least)
		}
	}
}
