package spec

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time, written 20m, 1h30m or 30d.
type Duration time.Duration

// Or is the duration, or d where none was written.
func (d Duration) Or(fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return time.Duration(d)
}

func (d Duration) String() string {
	rest := time.Duration(d)
	var days string
	if n := rest / (24 * time.Hour); n > 0 {
		days = fmt.Sprintf("%dd", n)
		rest -= n * 24 * time.Hour
	}
	if rest == 0 && days != "" {
		return days
	}
	text := rest.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return days + text
}

// MarshalJSON writes the duration as people do.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *Duration) UnmarshalJSON(raw []byte) error { return unmarshalScalar(raw, d) }

var durationPattern = regexp.MustCompile(`^(?:(\d+)d)?((?:\d+(?:\.\d+)?(?:h|m|s|ms))*)$`)

func (d *Duration) parseSpec(value any) error {
	const expected = `a duration such as 90s, 20m, 1h30m or 30d`
	text, ok := value.(string)
	if !ok {
		if n, isNumber := value.(float64); isNumber {
			return &wrong{expected, fmt.Sprintf(`write %vs for seconds or %vm for minutes`, n, n)}
		}
		return &wrong{expected, ""}
	}
	parts := durationPattern.FindStringSubmatch(text)
	if parts == nil || text == "" {
		return &wrong{expected, ""}
	}
	var total time.Duration
	if parts[1] != "" {
		days, err := strconv.Atoi(parts[1])
		if err != nil || days > 36500 {
			return &wrong{expected, "at most 36500d"}
		}
		total = time.Duration(days) * 24 * time.Hour
	}
	if parts[2] != "" {
		rest, err := time.ParseDuration(parts[2])
		if err != nil || rest > 36500*24*time.Hour {
			return &wrong{expected, "at most 36500d"}
		}
		total += rest
	}
	*d = Duration(total)
	return nil
}

// JSONSchema describes how a duration is written.
func (Duration) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": durationPattern.String(), "examples": []any{"20m", "1h30m", "30d"}}
}

// Size is a size of storage in GiB, written 20GiB, 1TiB or 20.
type Size int

func (s Size) String() string { return strconv.Itoa(int(s)) + "GiB" }

// MarshalJSON writes the size with its unit.
func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON reads a size in any of its notations.
func (s *Size) UnmarshalJSON(raw []byte) error { return unmarshalScalar(raw, s) }

var sizePattern = regexp.MustCompile(`^(\d{1,6}) ?(GiB|TiB)$`)

func (s *Size) parseSpec(value any) error {
	const expected = `a size such as 20GiB or 1TiB`
	switch v := value.(type) {
	case float64:
		if v != math.Trunc(v) || v < 0 || v > 999999 {
			return &wrong{expected, "a plain number means GiB and has no fraction"}
		}
		*s = Size(v)
		return nil
	case string:
		parts := sizePattern.FindStringSubmatch(v)
		if parts == nil {
			return &wrong{expected, sizeHint(v)}
		}
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			return &wrong{expected, ""}
		}
		if parts[2] == "TiB" {
			n *= 1024
		}
		*s = Size(n)
		return nil
	}
	return &wrong{expected, ""}
}

func sizeHint(text string) string {
	digits := strings.TrimRight(text, "GTgtiIbB ")
	if _, err := strconv.Atoi(digits); err != nil {
		return ""
	}
	if unit := strings.ToLower(text[len(digits):]); strings.Contains(unit, "t") {
		return "did you mean " + digits + "TiB?"
	}
	return "did you mean " + digits + "GiB?"
}

// JSONSchema describes how a size is written.
func (Size) JSONSchema() map[string]any {
	return map[string]any{"oneOf": []any{
		map[string]any{"type": "string", "pattern": sizePattern.String()},
		map[string]any{"type": "integer", "minimum": 0, "maximum": 999999},
	}, "examples": []any{"20GiB", 20}}
}

// Percent is a share of a hundred, written 95% or 95.
type Percent float64

func (p Percent) String() string { return formatNumber(float64(p)) + "%" }

// MarshalJSON writes the percentage with its sign.
func (p Percent) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON reads a percentage in any of its notations.
func (p *Percent) UnmarshalJSON(raw []byte) error { return unmarshalScalar(raw, p) }

func (p *Percent) parseSpec(value any) error {
	const expected = `a percentage from 0% to 100%`
	n, ok := value.(float64)
	if text, isText := value.(string); isText {
		n, ok = parsePercent(text)
	}
	if !ok || n < 0 || n > 100 {
		return &wrong{expected, ""}
	}
	*p = Percent(n)
	return nil
}

// JSONSchema describes how a percentage is written.
func (Percent) JSONSchema() map[string]any {
	return map[string]any{"oneOf": []any{
		map[string]any{"type": "string", "pattern": percentPattern.String()},
		map[string]any{"type": "number", "minimum": 0, "maximum": 100},
	}, "examples": []any{"95%", 95}}
}

// Share is a number of things or a percentage of them, written 3 or 10%.
type Share struct {
	Count   int
	Percent float64
}

// Of is how many of total the share is.
func (s Share) Of(total int, roundUp bool) int {
	if s.Percent == 0 {
		return min(s.Count, total)
	}
	exact := float64(total) * s.Percent / 100
	// A product such as 7×(100/7)/100 must not be rounded up past a whole number by its last bit.
	const slack = 1e-9
	if roundUp {
		return min(int(math.Ceil(exact-slack)), total)
	}
	return int(math.Floor(exact + slack))
}

// IsZero reports whether nothing was asked for: 0, 0%, or not written.
func (s Share) IsZero() bool { return s == Share{} }

func (s Share) String() string {
	if s.Percent != 0 {
		return formatNumber(s.Percent) + "%"
	}
	return strconv.Itoa(s.Count)
}

// MarshalJSON writes the share as people do.
func (s Share) MarshalJSON() ([]byte, error) {
	if s.Percent != 0 {
		return json.Marshal(s.String())
	}
	return json.Marshal(s.Count)
}

// UnmarshalJSON reads a share in any of its notations.
func (s *Share) UnmarshalJSON(raw []byte) error { return unmarshalScalar(raw, s) }

func (s *Share) parseSpec(value any) error {
	const expected = `a number such as 3 or a percentage such as 10%`
	switch v := value.(type) {
	case float64:
		if v != math.Trunc(v) || v < 0 || v > 1e6 {
			return &wrong{expected, ""}
		}
		*s = Share{Count: int(v)}
		return nil
	case string:
		n, ok := parsePercent(v)
		if !ok || n < 0 || n > 100 {
			return &wrong{expected, ""}
		}
		*s = Share{Percent: n}
		return nil
	}
	return &wrong{expected, ""}
}

// JSONSchema describes how a share is written.
func (Share) JSONSchema() map[string]any {
	return map[string]any{"oneOf": []any{
		map[string]any{"type": "string", "pattern": percentPattern.String()},
		map[string]any{"type": "integer", "minimum": 0, "maximum": 1000000},
	}, "examples": []any{"10%", 3}}
}

var percentPattern = regexp.MustCompile(`^(?:100(?:\.0+)?|\d{1,2}(?:\.\d+)?)%$`)

func parsePercent(text string) (float64, bool) {
	if !percentPattern.MatchString(text) {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	return n, err == nil
}

func formatNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// scalar is a type that is written as one value in a notation of its own.
type scalar interface {
	// parseSpec takes a string, float64 or bool. Its error is *wrong.
	parseSpec(value any) error
}

// wrong is a value that does not fit: what was expected instead, and what to do.
type wrong struct{ expected, hint string }

func (w *wrong) Error() string {
	if w.hint == "" {
		return "expected " + w.expected
	}
	return "expected " + w.expected + "; " + w.hint
}

func unmarshalScalar(raw []byte, into scalar) error {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return err
	}
	if value == nil {
		return nil
	}
	return into.parseSpec(value)
}
