package spec

import (
	"errors"
	"reflect"
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
	// replaced is how many bytes they came to.
	replaced int
	// stray says where a field belongs that is unknown here; it may be nil.
	stray func(name string) string
	// beside reads scripts, files and settings; nil on a worker.
	beside *folder
	// loader knows the kinds whose specs stand in fields; nil on a worker.
	loader *loader
}

// breaks notes what did not fit.
func (s *shaper) breaks(at string) {
	if len(s.broken) < maxFindings {
		s.broken = append(s.broken, at)
	}
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
			s.breaks(at)
			return nil
		}
		n = long
	}
	if shaped := s.value(t, n, tag, at); shaped != nil {
		return shaped
	}
	s.breaks(at)
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
	case innerKind(t, tag) != "":
		return s.inner(innerKind(t, tag), n)
	case t == rawType || t.Kind() == reflect.Interface:
		return s.free(n)
	case t == bytesType:
		return s.bytes(n)
	case has(t, scalarType):
		return s.scalar(t, n)
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
	if n = s.openFiles(fields, n); n == nil {
		return nil
	}
	for _, e := range n.entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == e.key })
		if i < 0 {
			s.breaks(at + "/" + e.key)
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
	if s.problems.full() {
		return ""
	}
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
		s.breaks(at + "/" + f.name)
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

func first[T any](list []T, n int) []T { return list[:min(n, len(list))] }
