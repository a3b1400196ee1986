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
)

// shaper holds a document against a type: it reports what does not fit, and gives the canonical full form of what does.
type shaper struct {
	file     string
	problems *Errors
	// broken are the paths of what did not fit, as Go sees them: checks that stumble over the hole are not reported.
	broken []string
	// vars are replaced in texts, if there is a map.
	vars map[string]string
	// stray says where a field belongs that is unknown here; it may be nil.
	stray func(name string) string
	// beside reads scripts, files and settings; nil on a worker.
	beside *folder
}

func (s *shaper) report(n *node, message, hint string) {
	s.reportAt(n.line, n.col, n.shown, message, hint)
}

func (s *shaper) reportAt(line, col int, shown, message, hint string) {
	s.problems.add(Problem{File: s.file, Line: line, Column: col, Path: shown, Message: message, Hint: hint})
}

// shape gives the full form of n as type t, or nil where it does not fit. at is the path as the full form has it.
func (s *shaper) shape(t reflect.Type, n *node, tag reflect.StructTag, at string) *node {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.kind != mapNode && n.kind != nullNode && has(t, shorthandType) {
		long := s.long(t, n)
		if long == nil {
			s.broken = append(s.broken, at)
			return nil
		}
		n = long
	}
	if shaped := s.value(t, n, tag, at); shaped != nil {
		return shaped
	}
	s.broken = append(s.broken, at)
	return nil
}

// long writes a short form out.
func (s *shaper) long(t reflect.Type, n *node) *node {
	if t == scriptType && n.kind == textNode {
		return s.leafScript(n)
	}
	short := reflect.New(t).Interface().(shorthander)
	fields, err := short.Shorthand(n.plain())
	if err != nil {
		expected, hint := err.Error(), ""
		if w, ok := errors.AsType[*wrong](err); ok {
			expected, hint = "expected "+w.expected, w.hint
		}
		s.report(n, expected+", found "+n.describe(), hint)
		return nil
	}
	long := fromPlain(fields, n)
	if long == n { // a short form that gives back what it got would go round for ever
		return nil
	}
	return long
}

func (s *shaper) value(t reflect.Type, n *node, tag reflect.StructTag, at string) *node {
	switch {
	case t == rawType || t.Kind() == reflect.Interface:
		return s.free(n)
	case t == bytesType:
		return s.bytes(n)
	case has(t, scalarType):
		return s.scalar(t, n, tag)
	case has(t, unmarshalerType):
		return s.opaque(t, n)
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.structure(t, n, at)
	case reflect.Map:
		return s.mapping(t, n, at)
	case reflect.Slice, reflect.Array:
		return s.list(t, n, tag, at)
	case reflect.String:
		return s.text(n, tag)
	case reflect.Bool:
		return s.truth(n)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return s.integer(t, n, tag)
	case reflect.Float32, reflect.Float64:
		return s.float(n, tag)
	}
	s.report(n, "this field cannot be written in a spec", "remove it")
	return nil
}

func (s *shaper) structure(t reflect.Type, n *node, at string) *node {
	if n.kind != mapNode {
		s.report(n, "expected a mapping with fields such as "+strings.Join(first(names(fieldsOf(t)), 4), ", ")+", found "+n.describe(), "")
		return nil
	}
	fields := fieldsOf(t)
	shaped := &node{kind: mapNode, line: n.line, col: n.col, shown: n.shown}
	for _, e := range n.entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == e.key })
		if i < 0 {
			s.broken = append(s.broken, at+"/"+e.key)
			s.reportAt(e.line, e.col, joinPath(n.shown, e.key), "unknown field", s.unknownHint(e.key, fields))
			continue
		}
		if e.value.kind == nullNode {
			continue
		}
		if value := s.field(t, fields[i], e.value, at+"/"+e.key); value != nil {
			shaped.entries = append(shaped.entries, entry{e.key, e.line, e.col, value})
		}
	}
	s.requireFields(fields, n, at)
	if s.beside != nil {
		return s.beside.read(s, t, shaped)
	}
	return shaped
}

func (s *shaper) unknownHint(name string, fields []field) string {
	if s.stray != nil {
		if hint := s.stray(name); hint != "" {
			return hint
		}
	}
	return suggest(name, names(fields))
}

// field shapes a field's value. In the text of a script nothing is replaced.
func (s *shaper) field(owner reflect.Type, f field, n *node, at string) *node {
	if owner == scriptType && f.name == "text" {
		defer func(vars map[string]string) { s.vars = vars }(s.vars)
		s.vars = nil
	}
	return s.shape(f.typ, n, f.tag, at)
}

func (s *shaper) requireFields(fields []field, n *node, at string) {
	for _, f := range fields {
		if !f.required {
			continue
		}
		value := n.get(f.name)
		shown := joinPath(n.shown, f.name)
		hint := "add it"
		if example := f.tag.Get("example"); example != "" {
			hint = "add it, for example " + f.name + ": " + example
		}
		switch {
		case value == nil:
			s.report(&node{line: n.line, col: n.col, shown: shown}, "this field is required", hint)
		case value.kind == nullNode, value.kind == textNode && value.text == "",
			value.kind == listNode && len(value.items) == 0:
			s.report(&node{line: value.line, col: value.col, shown: shown}, "this field is required, found "+emptiness(value), hint)
		default:
			continue
		}
		s.broken = append(s.broken, at+"/"+f.name)
	}
}

func emptiness(n *node) string {
	if n.kind == listNode {
		return "an empty list"
	}
	return n.describe()
}

func (s *shaper) mapping(t reflect.Type, n *node, at string) *node {
	if n.kind != mapNode {
		s.report(n, "expected a mapping of names to values, found "+n.describe(), "")
		return nil
	}
	shaped := &node{kind: mapNode, line: n.line, col: n.col, shown: n.shown}
	for _, e := range n.entries {
		if s.vars != nil && strings.Contains(e.key, "${var.") {
			s.reportAt(e.line, e.col, joinPath(n.shown, e.key), "variables are not replaced in names", "write the name out")
			continue
		}
		value := e.value
		if value.kind == nullNode && t.Elem().Kind() == reflect.Struct {
			value = &node{kind: mapNode, line: value.line, col: value.col, shown: value.shown}
		}
		if value = s.shape(t.Elem(), value, "", at+"/"+e.key); value != nil {
			shaped.entries = append(shaped.entries, entry{e.key, e.line, e.col, value})
		}
	}
	return shaped
}

func (s *shaper) list(t reflect.Type, n *node, tag reflect.StructTag, at string) *node {
	if n.kind != listNode {
		hint := ""
		if n.kind == textNode || n.kind == numberNode {
			hint = "write [" + shorten(n.text, 40) + "]"
		}
		s.report(n, "expected a list, found "+n.describe(), hint)
		return nil
	}
	shaped := &node{kind: listNode, line: n.line, col: n.col, shown: n.shown}
	for i, item := range n.items {
		value := s.shape(t.Elem(), item, tag, at+"/"+strconv.Itoa(i))
		if value == nil {
			// The hole is kept so that the items behind it keep their indexes.
			value = &node{line: item.line, col: item.col, shown: item.shown}
		}
		shaped.items = append(shaped.items, value)
	}
	return shaped
}

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
		if !regexp.MustCompile(pattern).MatchString(n.text) {
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
func (s *shaper) scalar(t reflect.Type, n *node, tag reflect.StructTag) *node {
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

// free takes any value, and replaces variables in its texts.
func (s *shaper) free(n *node) *node {
	switch n.kind {
	case textNode:
		return s.substitute(n)
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

func first[T any](list []T, n int) []T { return list[:min(n, len(list))] }
