package spec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

func (s *shaper) text(n *node, tag reflect.StructTag) *node {
	if n.kind != textNode {
		hint := ""
		switch n.kind {
		case numberNode:
			hint = "write it in quotes: " + strconv.Quote(shorten(n.text, 40))
		case boolNode:
			hint = "write it in quotes: " + strconv.Quote(strconv.FormatBool(n.truth))
		}
		s.report(n, "expected a text, found "+n.describe(), hint)
		return nil
	}
	n = s.substitute(n)
	if n == nil {
		return nil
	}
	if enum := tag.Get("enum"); enum != "" && n.text != "" {
		values := strings.Split(enum, ",")
		if !slices.Contains(values, n.text) {
			hint := ""
			if near := nearest(n.text, values); near != "" {
				hint = "did you mean " + near + "?"
			}
			s.report(n, "expected "+oneOf(values)+", found "+n.describe(), hint)
			return nil
		}
	}
	if pattern := tag.Get("pattern"); pattern != "" && n.text != "" {
		if !compiled(pattern).MatchString(n.text) {
			expected := "a text that matches " + pattern
			if example := tag.Get("example"); example != "" {
				expected = "something like " + example
			}
			s.report(n, "expected "+expected+", found "+n.describe(), "")
			return nil
		}
	}
	return n
}

// patterns are those of the types' tags, compiled.
var patterns sync.Map

func compiled(pattern string) *regexp.Regexp {
	if known, ok := patterns.Load(pattern); ok {
		return known.(*regexp.Regexp)
	}
	made := regexp.MustCompile(pattern)
	patterns.Store(pattern, made)
	return made
}

func (s *shaper) truth(n *node) *node {
	if n = s.substituteValue(n); n == nil {
		return nil
	}
	if n.kind != boolNode {
		hint := ""
		switch strings.ToLower(n.text) {
		case "yes", "on", "y":
			hint = "write true"
		case "no", "off", "n":
			hint = "write false"
		}
		s.report(n, "expected true or false, found "+n.describe(), hint)
		return nil
	}
	return n
}

func (s *shaper) integer(t reflect.Type, n *node, tag reflect.StructTag) *node {
	if n = s.substituteValue(n); n == nil {
		return nil
	}
	// Beyond 2^53 a JSON number is not exact.
	if n.kind != numberNode || n.number != math.Trunc(n.number) || math.Abs(n.number) > 1<<53 {
		s.report(n, "expected a whole number, found "+n.describe(), "")
		return nil
	}
	if reflect.New(t).Elem().CanUint() && n.number < 0 || !fitsInt(t, n.number) {
		s.report(n, "expected a whole number in range, found "+n.describe(), "")
		return nil
	}
	if !s.inRange(n, tag) {
		return nil
	}
	return &node{kind: numberNode, line: n.line, col: n.col, shown: n.shown, number: n.number, text: formatNumber(n.number)}
}

func fitsInt(t reflect.Type, number float64) bool {
	value := reflect.New(t).Elem()
	if value.CanUint() {
		return number >= 0 && !value.OverflowUint(uint64(number))
	}
	return !value.OverflowInt(int64(number))
}

func (s *shaper) float(n *node, tag reflect.StructTag) *node {
	if n = s.substituteValue(n); n == nil {
		return nil
	}
	if n.kind != numberNode {
		s.report(n, "expected a number, found "+n.describe(), "")
		return nil
	}
	if !s.inRange(n, tag) {
		return nil
	}
	return n
}

func (s *shaper) inRange(n *node, tag reflect.StructTag) bool {
	low, hasLow := limit(tag.Get("min"))
	high, hasHigh := limit(tag.Get("max"))
	if (!hasLow || n.number >= low) && (!hasHigh || n.number <= high) {
		return true
	}
	expected := "at least " + formatNumber(low)
	switch {
	case hasLow && hasHigh:
		expected = "a number from " + formatNumber(low) + " to " + formatNumber(high)
	case hasHigh:
		expected = "at most " + formatNumber(high)
	}
	s.report(n, "expected "+expected+", found "+n.describe(), "")
	return false
}

func limit(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// scalar checks one of this package's own notations.
func (s *shaper) scalar(t reflect.Type, n *node) *node {
	n = s.substitute(n)
	if n == nil {
		return nil
	}
	if n.kind == mapNode || n.kind == listNode || n.kind == nullNode {
		n = &node{kind: n.kind, line: n.line, col: n.col, shown: n.shown}
	}
	parsed := reflect.New(t)
	err := parsed.Interface().(scalar).parseSpec(n.plain())
	if err != nil {
		s.reportWrong(n, err)
		return nil
	}
	raw, err := json.Marshal(parsed.Interface())
	if err != nil {
		s.report(n, err.Error(), "")
		return nil
	}
	var canonical any
	if err := json.Unmarshal(raw, &canonical); err != nil {
		s.report(n, err.Error(), "")
		return nil
	}
	return fromPlain(canonical, n)
}

func (s *shaper) reportWrong(n *node, err error) {
	if w, ok := errors.AsType[*wrong](err); ok {
		s.report(n, "expected "+w.expected+", found "+n.describe(), w.hint)
		return
	}
	s.report(n, err.Error(), "")
}

// opaque checks a type that reads JSON by itself.
func (s *shaper) opaque(t reflect.Type, n *node) *node {
	if n = s.free(n); n == nil {
		return nil
	}
	if err := json.Unmarshal(n.json(), reflect.New(t).Interface()); err != nil {
		s.report(n, err.Error()+", found "+n.describe(), "")
		return nil
	}
	return n
}

func (s *shaper) bytes(n *node) *node {
	if n.kind == textNode {
		if _, err := base64.StdEncoding.DecodeString(n.text); err == nil {
			return n
		}
	}
	s.report(n, "expected base64, found "+n.describe(), "")
	return nil
}

// exact is the largest whole number up to which every reader of JSON sees each one as it was written.
const exact = 1 << 53

// free takes any value, and replaces variables in its texts.
func (s *shaper) free(n *node) *node {
	switch n.kind {
	case textNode:
		return s.substitute(n)
	case numberNode:
		if whole := !strings.ContainsAny(n.text, ".eE"); whole && math.Abs(n.number) > exact {
			s.report(n, "expected a whole number of at most 16 digits, found "+n.describe(), "write it in quotes: as a number it would lose its last digits")
			return nil
		}
	case listNode:
		copied := *n
		copied.items = slices.Clone(n.items)
		for i := range copied.items {
			if copied.items[i] = s.free(copied.items[i]); copied.items[i] == nil {
				return nil
			}
		}
		return &copied
	case mapNode:
		copied := *n
		copied.entries = slices.Clone(n.entries)
		for i := range copied.entries {
			if copied.entries[i].value = s.free(copied.entries[i].value); copied.entries[i].value == nil {
				return nil
			}
		}
		return &copied
	}
	return n
}

func oneOf(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values[:len(values)-1], ", ") + fmt.Sprintf(" or %s", values[len(values)-1])
}
