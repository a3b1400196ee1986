package cron

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// field is one of the five, with the numbers that it takes.
type field struct {
	name      string
	low, high int
	names     []string // of low, low+1, …
	bits      func(*Schedule) *uint64
	star      func(*Schedule) *bool
	// special reads what only this field has, in upper case.
	special func(s *Schedule, part string) (known bool, err error)
}

var layout = []field{
	{name: "minute", high: 59, bits: func(s *Schedule) *uint64 { return &s.minutes }},
	{name: "hour", high: 23, bits: func(s *Schedule) *uint64 { return &s.hours }, star: func(s *Schedule) *bool { return &s.starHour }},
	{name: "day of the month", low: 1, high: 31, bits: func(s *Schedule) *uint64 { return &s.days },
		star: func(s *Schedule) *bool { return &s.starDay }, special: lastDays},
	{name: "month", low: 1, high: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"},
		bits: func(s *Schedule) *uint64 { return &s.months }},
	{name: "day of the week", high: 7, names: weekdays, bits: func(s *Schedule) *uint64 { return &s.weekdays },
		star: func(s *Schedule) *bool { return &s.starWeekday }, special: weekdaysOfMonth},
}

var weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

// read puts what the field says into the schedule.
func (f field) read(s *Schedule, text string) error {
	if f.star != nil {
		*f.star(s) = strings.HasPrefix(text, "*") || text == "?"
	}
	for part := range strings.SplitSeq(strings.ToUpper(text), ",") {
		if f.special != nil {
			if known, err := f.special(s, part); err != nil {
				return err
			} else if known {
				continue
			}
		}
		if err := f.numbers(f.bits(s), part); err != nil {
			return err
		}
	}
	if s.weekdays&(1<<7) != 0 { // Sunday is 0 and 7
		s.weekdays = s.weekdays&^(1<<7) | 1
	}
	return nil
}

// numbers reads *, 5, 5-8, each with a step or without.
func (f field) numbers(bits *uint64, part string) error {
	span, stepText, stepped := strings.Cut(part, "/")
	step := 1
	if stepped {
		n, err := strconv.Atoi(stepText)
		if err != nil || n < 1 || n > f.high {
			return fmt.Errorf("expected a step from 1 to %d behind the /", f.high)
		}
		step = n
	}
	from, to := f.low, f.high
	if span != "*" && (span != "?" || f.star == nil) {
		first, last, ranged := strings.Cut(span, "-")
		var err error
		if from, err = f.number(first); err != nil {
			return err
		}
		switch {
		case ranged:
			if to, err = f.number(last); err != nil {
				return err
			}
			if to == 0 && f.high == 7 { // FRI-SUN
				to = 7
			}
		case !stepped:
			to = from
		}
	} else if f.high == 7 {
		to = 6 // Sunday is not to come twice
	}
	if from > to {
		return fmt.Errorf("expected the range's first value before its last; write two ranges, %s-%d,%d-%s", clip(strings.Split(span, "-")[0]), f.high, f.low, clip(strings.Split(span, "-")[1]))
	}
	for n := from; n <= to; n += step {
		*bits |= 1 << n
	}
	return nil
}

func (f field) number(text string) (int, error) {
	if i := slices.Index(f.names, text); i >= 0 {
		return f.low + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.low || n > f.high || len(text) > 2 || strings.HasPrefix(text, "+") {
		expected := fmt.Sprintf("%d to %d", f.low, f.high)
		if len(f.names) > 0 {
			expected += fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
		}
		return 0, fmt.Errorf("expected %s, *, a list, a range or a step, found %q", expected, clip(text))
	}
	return n, nil
}

// lastDays reads L and L-2 among the days of the month.
func lastDays(s *Schedule, part string) (bool, error) {
	if !strings.HasPrefix(part, "L") {
		return false, nil
	}
	back := 0
	if rest := part[1:]; rest != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(rest, "-"))
		if err != nil || !strings.HasPrefix(rest, "-") || n < 1 || n > 30 {
			return true, fmt.Errorf("expected L for the last day, or L-1 to L-30")
		}
		back = n
	}
	s.fromLast = append(s.fromLast, back)
	return true, nil
}

// weekdaysOfMonth reads TUE#2 and FRIL among the days of the week.
func weekdaysOfMonth(s *Schedule, part string) (bool, error) {
	day, number, numbered := strings.Cut(part, "#")
	week := field{name: "day of the week", high: 7, names: weekdays}
	switch {
	case numbered:
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > 5 {
			return true, fmt.Errorf("expected a number from 1 to 5 behind the #, such as TUE#2")
		}
		weekday, err := week.number(day)
		if err != nil {
			return true, err
		}
		s.nth = append(s.nth, nth{time.Weekday(weekday % 7), n})
		return true, nil
	case part == "L": // as others have it: the week's last day
		s.weekdays |= 1 << time.Saturday
		return true, nil
	case len(part) > 1 && strings.HasSuffix(part, "L"):
		weekday, err := week.number(strings.TrimSuffix(part, "L"))
		if err != nil {
			return true, err
		}
		s.nth = append(s.nth, nth{weekday: time.Weekday(weekday % 7)})
		return true, nil
	}
	return false, nil
}
