package rollout

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a worker's image may have no time zones
)

var weekdays = map[string]time.Weekday{"Sun": time.Sunday, "Mon": time.Monday, "Tue": time.Tuesday, "Wed": time.Wednesday,
	"Thu": time.Thursday, "Fri": time.Friday, "Sat": time.Saturday}

var clockPattern = regexp.MustCompile(`^([01]\d|2[0-3]):([0-5]\d)$`)

// clock reads a time of day as minutes since midnight.
func clock(text string) (minutes int, ok bool) {
	parts := clockPattern.FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	hour, errHour := strconv.Atoi(parts[1])
	minute, errMinute := strconv.Atoi(parts[2])
	return hour*60 + minute, errHour == nil && errMinute == nil
}

// Opens says when servers may be rolled next: now itself within the window, else when it opens. A window that ends before it
// begins goes over midnight, and belongs to the day on which it opens. A time of day that a change of the clocks leaves out
// stands for the one that follows the gap.
func (w *Window) Opens(now time.Time) (time.Time, bool) {
	zone, err := time.LoadLocation(w.Zone)
	from, okFrom := clock(w.From)
	to, okTo := clock(w.To)
	if err != nil || !okFrom || !okTo {
		return time.Time{}, false
	}
	local := now.In(zone)
	for day := -1; day <= 8; day++ {
		date := time.Date(local.Year(), local.Month(), local.Day()+day, 0, 0, 0, 0, zone)
		if !w.on(time.Date(local.Year(), local.Month(), local.Day()+day, 12, 0, 0, 0, zone).Weekday()) {
			continue
		}
		opens, closes := at(date, from), at(date, to)
		if to <= from {
			closes = at(time.Date(local.Year(), local.Month(), local.Day()+day+1, 0, 0, 0, 0, zone), to)
		}
		switch {
		case !closes.After(now) || !closes.After(opens): // over, or swallowed by a change of the clocks
		case !opens.After(now):
			return now, true
		default:
			return opens, true
		}
	}
	return time.Time{}, false
}

// at is the time of day on the date. time.Date gives one of the two instants around a gap; both read differently then.
func at(date time.Time, minutes int) time.Time {
	t := time.Date(date.Year(), date.Month(), date.Day(), minutes/60, minutes%60, 0, 0, date.Location())
	if t.Hour()*60+t.Minute() < minutes { // inside the gap, and before it
		t = t.Add(time.Hour)
	}
	return t
}

func (w *Window) on(day time.Weekday) bool {
	for _, name := range w.Days {
		if named, known := weekday(name); known && named == day {
			return true
		}
	}
	return len(w.Days) == 0
}

// weekday reads tue, Tue or TUE.
func weekday(name string) (time.Weekday, bool) {
	if len(name) != 3 {
		return 0, false
	}
	day, known := weekdays[strings.ToUpper(name[:1])+strings.ToLower(name[1:])]
	return day, known
}
