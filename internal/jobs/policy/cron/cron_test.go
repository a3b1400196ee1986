package cron

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestASchedulesTimesComeInTheirOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		about, schedule, zone, after string
		want                         []string
	}{
		{"the second Tuesday", "0 3 * * TUE#2", "Europe/Berlin", "2026-11-01T00:00:00Z", []string{"2026-11-10T02:00:00Z", "2026-12-08T02:00:00Z", "2027-01-12T02:00:00Z"}},
		{"the last Friday", "30 22 * * FRIL", "UTC", "2026-11-01T00:00:00Z", []string{"2026-11-27T22:30:00Z", "2026-12-25T22:30:00Z"}},
		{"the last day", "0 0 L * *", "UTC", "2027-12-01T00:00:00Z", []string{"2027-12-31T00:00:00Z", "2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z"}},
		{"two before the last day", "0 0 L-2 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"2026-02-26T00:00:00Z", "2027-02-26T00:00:00Z", "2028-02-27T00:00:00Z"}},
		{"steps", "*/20 8-9 * * *", "UTC", "2026-01-01T08:30:00Z", []string{"2026-01-01T08:40:00Z", "2026-01-01T09:00:00Z", "2026-01-01T09:20:00Z", "2026-01-01T09:40:00Z", "2026-01-02T08:00:00Z"}},
		{"a step from a start", "10/25 * * * *", "UTC", "2026-01-01T00:00:00Z", []string{"2026-01-01T00:10:00Z", "2026-01-01T00:35:00Z", "2026-01-01T01:10:00Z"}},
		{"names in ranges and lists", "0 0 * jan,mar-apr fri-sun", "UTC", "2026-01-03T12:00:00Z", []string{"2026-01-04T00:00:00Z", "2026-01-09T00:00:00Z"}},
		{"Sunday is 7 too", "0 0 * * 7", "UTC", "2026-11-16T00:00:00Z", []string{"2026-11-22T00:00:00Z"}},
		{"either of both days", "0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", []string{"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"}},
		{"both where one begins with a star", "0 0 */2 * MON", "UTC", "2026-11-01T00:00:00Z", []string{"2026-11-09T00:00:00Z", "2026-11-23T00:00:00Z"}},
		{"leap days", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
		{"the fifth Monday of February", "0 0 * 2 MON#5", "UTC", "2026-01-01T00:00:00Z", []string{"2044-02-29T00:00:00Z"}},
		{"by name", "@weekly", "UTC", "2026-11-16T00:00:00Z", []string{"2026-11-22T00:00:00Z"}},
		{"an instant itself is over", "0 3 * * *", "UTC", "2026-11-16T03:00:00Z", []string{"2026-11-17T03:00:00Z"}},
		{"parts of a second are not before it", "0 3 * * *", "UTC", "2026-11-16T03:00:00.5Z", []string{"2026-11-17T03:00:00Z"}},
	} {
		t.Run(c.about, func(t *testing.T) {
			t.Parallel()
			expect(t, c.schedule, c.zone, c.after, c.want)
		})
	}
}

func TestATimeThatTheClockLeapsOverComesOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		about, schedule, zone, after string
		want                         []string
	}{
		{"in Berlin at the leap", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		{"several of them once", "*/15 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		{"with a time of its own at the leap once", "0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"}},
		{"every hour goes on", "0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", []string{"2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}},
		{"at midnight in Santiago", "0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", []string{"2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"}},
		{"half an hour on Lord Howe Island", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", []string{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
		{"a whole day on Samoa", "0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", []string{"2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"}},
	} {
		t.Run(c.about, func(t *testing.T) {
			t.Parallel()
			expect(t, c.schedule, c.zone, c.after, c.want)
		})
	}
}

func TestATimeThatTheClockShowsTwiceComesOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		about, schedule, zone, after string
		want                         []string
	}{
		{"in Berlin the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{"in New York the first time", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", []string{"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"}},
		{"every half hour is real time", "*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", []string{"2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"}},
	} {
		t.Run(c.about, func(t *testing.T) {
			t.Parallel()
			expect(t, c.schedule, c.zone, c.after, c.want)
		})
	}
}

func expect(t *testing.T, text, zoneName, after string, want []string) {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339Nano, after)
	if err != nil {
		t.Fatal(err)
	}
	begin := at.In(zone(t, zoneName))
	at = begin
	var got []string
	for range want {
		next, ok := s.Next(at)
		if !ok {
			break
		}
		got = append(got, next.UTC().Format(time.RFC3339))
		at = next
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s in %s after %s is due at\n%v, want\n%v", text, zoneName, after, got, want)
	}
	if latest, ok := s.Latest(begin, at); !ok || latest.UTC().Format(time.RFC3339) != want[len(want)-1] {
		t.Errorf("the latest until %s is %s", at, latest)
	}
}

func TestTheLatestOfManyMissedTimesIsFoundWithoutGoingThroughAll(t *testing.T) {
	t.Parallel()
	s, err := Parse("* * * * *")
	if err != nil {
		t.Fatal(err)
	}
	until := time.Date(2026, 11, 21, 12, 0, 30, 0, zone(t, "Europe/Berlin"))
	if latest, ok := s.Latest(until.AddDate(-10, 0, 0), until); !ok || !latest.Equal(until.Add(-30*time.Second)) {
		t.Errorf("the latest is %s, %t", latest, ok)
	}
	if latest, ok := s.Latest(until.Add(-20*time.Second), until); ok {
		t.Errorf("something was due at %s, after the last time", latest)
	}
}

func TestAScheduleThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      "five fields",
		"0 3 * *":               "found 4",
		"0 3 * * TUE 2026":      "found 6",
		"60 * * * *":            "minute",
		"* 24 * * *":            "0 to 23",
		"* * 0 * *":             "1 to 31",
		"* * 32 * *":            "1 to 31",
		"* * * 13 *":            "JAN to DEC",
		"* * * * 8":             "SUN to SAT",
		"* * * * TUE#6":         "1 to 5",
		"* * * * TUE#":          "1 to 5",
		"* * * * #2":            "SUN to SAT",
		"* * * * TUESDAY":       "SUN to SAT",
		"*/0 * * * *":           "step",
		"*/x * * * *":           "step",
		"*/99999999999 * * * *": "step",
		"5-3 * * * *":           "range",
		"1,,2 * * * *":          "minute",
		"-1 * * * *":            "minute",
		"+1 * * * *":            "minute",
		"1--2 * * * *":          "minute",
		"? * * * *":             "minute",
		"0 0 L2 * *":            "L-1",
		"0 0 L-31 * *":          "L-30",
		"0 0 L-30 2 *":          "ever",
		"0 0 30 2 *":            "ever",
		"0 0 31 2,4,6,9,11 *":   "ever",
		"@reboot":               "five fields",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Every due time that Next gives is one that a clock on the wall shows, or the instant of a leap; none is left out.
func TestNextAgreesWithAWatchedClock(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"} {
		loc := zone(t, name)
		for _, text := range []string{"17 * * * *", "30 2 * * *", "0 0 * * MON", "15,45 1-3 L * *", "0 3 * * SUNL"} {
			s, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, around := range []time.Time{time.Date(2026, 3, 20, 0, 0, 0, 0, loc), time.Date(2026, 9, 30, 0, 0, 0, 0, loc), time.Date(2026, 10, 22, 0, 0, 0, 0, loc)} {
				watch(t, text, s, around, around.AddDate(0, 0, 20))
			}
		}
	}
}

// watch goes through the minutes from at to the end.
func watch(t *testing.T, text string, s Schedule, at, end time.Time) {
	t.Helper()
	due := map[int64]bool{}
	for next, _ := s.Next(at.Add(-time.Minute)); next.Before(end); next, _ = s.Next(next) {
		due[next.Unix()] = true
	}
	seen := map[int]bool{}
	for ; at.Before(end); at = at.Add(time.Minute) {
		y, m, d := at.Date()
		shown := at.YearDay()*1440 + at.Hour()*60 + at.Minute()
		first := !seen[shown]
		seen[shown] = true
		if s.fits(y, m, d) && s.hours&(1<<at.Hour()) != 0 && s.minutes&(1<<at.Minute()) != 0 && (first || s.starHour) {
			if !due[at.Unix()] {
				t.Fatalf("%s: %s is left out", text, at)
			}
		} else if due[at.Unix()] && sameOffset(at.Add(-time.Minute), at) {
			t.Fatalf("%s: %s is due, and no leap", text, at)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0 3 * * TUE#2")
	f.Add("*/5 L 1-3 ? FRIL")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		after := time.Date(2026, 3, 28, 12, 0, 0, 0, zone(t, "Europe/Berlin"))
		if next, ok := s.Next(after); !ok || !next.After(after) {
			t.Errorf("%q: %s, %t", text, next, ok)
		}
	})
}
