// Package cron reads schedules of five fields, and tells when they are due in a time zone.
//
// The fields are minute, hour, day of the month, month and day of the week: numbers, names (JAN, TUE), lists, ranges, steps
// (*/15, 8-18/2). The day of the month may be L (the last one) or L-2, the day of the week TUE#2 (the second Tuesday) or FRIL
// (the last Friday). Where both days are given, either fits, as cron has it; where one begins with *, both must.
//
// A schedule means what a clock on the wall shows. A time that the clock leaps over, when summer time begins, comes once, at
// the instant of the leap. A time that it shows twice counts the first time only, unless the schedule goes through all hours:
// every quarter of an hour is every quarter of an hour on that night too.
package cron

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schedule is a schedule of five fields. The zero value is never due.
type Schedule struct {
	minutes, hours, days, months, weekdays uint64
	// fromLast are days counted back from a month's last, nth weekdays of a month by their number; the last one is 0.
	fromLast []int
	nth      []nth
	// star says which of the fields begin with *.
	starHour, starDay, starWeekday bool
}

// nth is a weekday by its place in the month: TUE#2; 0 is the last one.
type nth struct {
	weekday time.Weekday
	number  int
}

// named are the schedules that have a name.
var named = map[string]string{"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
	"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}

// Parse reads a schedule. Its error says what was expected; a schedule that is never due is one.
func Parse(text string) (Schedule, error) {
	if full, ok := named[strings.ToLower(strings.TrimSpace(text))]; ok {
		text = full
	}
	fields := strings.Fields(text)
	if len(fields) != len(layout) {
		return Schedule{}, fmt.Errorf(`expected five fields (minute, hour, day, month, weekday) such as "0 3 * * TUE#2", found %d`, len(fields))
	}
	var s Schedule
	for i, f := range layout {
		if err := f.read(&s, fields[i]); err != nil {
			return Schedule{}, fmt.Errorf("%s %q: %w", f.name, clip(fields[i]), err)
		}
	}
	if _, ever := s.Next(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)); !ever {
		return Schedule{}, fmt.Errorf("no such day ever comes: %s", strings.Join(fields[2:], " "))
	}
	return s, nil
}

// horizon is how many months ahead a due day is looked for: the calendar repeats itself after 400 years.
const horizon = 400*12 + 1

// Next is the first instant after the given one at which the schedule is due, by the clock of after's zone; without ok it
// never is.
func (s Schedule) Next(after time.Time) (next time.Time, ok bool) {
	zone := after.Location()
	after = after.Truncate(time.Second)
	year, month, first := after.AddDate(0, 0, -1).Date() // what a clock leapt over yesterday may be due today
	for ahead := range horizon {
		y, m, _ := time.Date(year, month+time.Month(ahead), 1, 0, 0, 0, 0, time.UTC).Date()
		if s.months&(1<<m) != 0 {
			for d := first; d <= lastDay(y, m); d++ {
				if next, ok = s.onDay(y, m, d, zone, after); ok {
					return next, true
				}
			}
		}
		first = 1
	}
	return time.Time{}, false
}

// Latest is the last instant in (after, until] at which the schedule was due, by the clock of until's zone.
func (s Schedule) Latest(after, until time.Time) (latest time.Time, ok bool) {
	for back := time.Hour; ; back *= 8 {
		from := until.Add(-back)
		whole := !from.After(after)
		if whole {
			from = after
		}
		for t := from.In(until.Location()); ; {
			next, ever := s.Next(t)
			if !ever || next.After(until) {
				break
			}
			latest, ok, t = next, true, next
		}
		if ok || whole {
			return latest, ok
		}
	}
}

// onDay is the first due instant after the given one of those that the day's clock times have.
func (s Schedule) onDay(y int, m time.Month, d int, zone *time.Location, after time.Time) (next time.Time, ok bool) {
	if !s.fits(y, m, d) {
		return next, false
	}
	midnight := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if !midnight.Add(49 * time.Hour).After(after) {
		return next, false
	}
	ordinary := sameOffset(midnight.Add(-3*time.Hour), midnight.Add(27*time.Hour))
	for hour := range 24 {
		if s.hours&(1<<hour) == 0 || ordinary && !midnight.Add(time.Duration(hour+1)*time.Hour).After(after) {
			continue
		}
		for minute := range 60 {
			if s.minutes&(1<<minute) == 0 {
				continue
			}
			for _, at := range s.instants(y, m, d, hour, minute, zone) {
				if at.After(after) && (!ok || at.Before(next)) {
					next, ok = at, true
				}
			}
			if ok && ordinary {
				return next, true
			}
		}
	}
	return next, ok
}

// fits says whether the schedule is due on the date.
func (s Schedule) fits(y int, m time.Month, d int) bool {
	if s.months&(1<<m) == 0 {
		return false
	}
	last, weekday := lastDay(y, m), time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Weekday()
	day := s.days&(1<<d) != 0
	for _, back := range s.fromLast {
		day = day || d == last-back
	}
	week := s.weekdays&(1<<weekday) != 0
	for _, n := range s.nth {
		week = week || n.weekday == weekday && (n.number == (d+6)/7 || n.number == 0 && d+7 > last)
	}
	if s.starDay || s.starWeekday {
		return day && week
	}
	return day || week
}

// instants are when a clock in the zone shows the time: once as a rule, twice where it was put back, and where it leapt over
// that time the instant of the leap.
func (s Schedule) instants(y int, m time.Month, d, hour, minute int, zone *time.Location) []time.Time {
	wall := time.Date(y, m, d, hour, minute, 0, 0, time.UTC)
	guess := time.Date(y, m, d, hour, minute, 0, 0, zone)
	begin, end := guess.ZoneBounds()
	if begin.IsZero() && end.IsZero() {
		return []time.Time{guess}
	}
	var found []time.Time
	for _, beside := range []time.Time{begin.Add(-time.Second), guess, end} {
		_, offset := beside.In(zone).Zone()
		if at := wall.Add(-time.Duration(offset) * time.Second).In(zone); clock(at).Equal(wall) {
			found = append(found, at)
		}
	}
	slices.SortFunc(found, time.Time.Compare)
	found = slices.CompactFunc(found, time.Time.Equal)
	switch {
	case len(found) == 0 && clock(guess).After(wall):
		return []time.Time{begin.In(zone)}
	case len(found) == 0:
		return []time.Time{end.In(zone)}
	case !s.starHour:
		return found[:1]
	}
	return found
}

// clock is what a clock on the wall shows, as if it were in UTC.
func clock(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

func sameOffset(a, b time.Time) bool {
	_, before := a.Zone()
	_, after := b.Zone()
	return before == after
}

func lastDay(y int, m time.Month) int { return time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day() }

func clip(text string) string {
	const longest = 40
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
