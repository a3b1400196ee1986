package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Decode reads a spec that nobody checked. Every problem is reported, in *Errors.
func Decode[T any](raw json.RawMessage) (T, error) {
	var into T
	_, err := decode(reflect.ValueOf(&into).Elem(), raw)
	return into, err
}

// Normalize gives the canonical full form of a spec that nobody checked: short forms written out, fields in order.
func Normalize[T any](raw json.RawMessage) (json.RawMessage, error) {
	var into T
	full, err := decode(reflect.ValueOf(&into).Elem(), raw)
	if err != nil {
		return nil, err
	}
	return full.json(), nil
}

// Read reads a spec that passed Decode before: quickly if it is in its full form.
func Read[T any](raw json.RawMessage) (T, error) {
	var into T
	if json.Unmarshal(raw, &into) == nil {
		return into, nil
	}
	return Decode[T](raw)
}

func decode(into reflect.Value, raw json.RawMessage) (*node, error) {
	s := &shaper{problems: &Errors{}}
	n, err := readSpec(raw, s)
	if err != nil {
		return nil, err
	}
	full := s.fill(into, n)
	return full, s.problems.orNil()
}

// readSpec reads the one JSON value that a message holds.
func readSpec(raw json.RawMessage, s *shaper) (*node, error) {
	fail := func(message, hint string) error {
		return &Errors{Problems: []Problem{{Path: "spec", Message: message, Hint: hint}}}
	}
	if len(raw) > MaxDocument {
		return nil, fail("a spec is at most 1 MiB", "put large files beside it")
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("{}")
	}
	reader := newJSONReader(raw)
	n, err := reader.next("spec")
	if err != nil {
		if e, ok := errors.AsType[*syntax](err); ok {
			return nil, fail(e.message, e.hint)
		}
		return nil, fail(err.Error(), "")
	}
	if _, err := reader.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fail("expected one JSON object, found more behind it", "remove what follows")
	}
	for _, p := range reader.duplicates {
		s.problems.add(Problem{Path: p.Path, Message: "the field is written twice", Hint: p.Hint})
	}
	dropPlaces(n)
	return n, nil
}

// dropPlaces forgets lines and columns: those of a message mean nothing to anybody.
func dropPlaces(n *node) {
	n.line, n.col = 0, 0
	for i := range n.entries {
		n.entries[i].line, n.entries[i].col = 0, 0
		dropPlaces(n.entries[i].value)
	}
	for _, item := range n.items {
		dropPlaces(item)
	}
}

// fill shapes n, decodes it and asks the types' own checks. It gives the full form; problems are in s.
func (s *shaper) fill(into reflect.Value, n *node) *node {
	if n.kind == nullNode {
		n = &node{kind: mapNode, line: n.line, col: n.col, shown: n.shown}
	}
	full := s.shape(into.Type(), n, "", "")
	if full == nil {
		return n
	}
	if err := json.Unmarshal(full.json(), into.Addr().Interface()); err != nil {
		if len(s.problems.Problems) == 0 {
			s.report(n, err.Error(), "")
		}
		return full
	}
	checks := NewProblems()
	check(into, checks)
	if len(s.broken) < maxFindings { // else there is enough to report, and no telling what only follows from it
		for _, f := range checks.found.list {
			s.reportFinding(full, f)
		}
		s.problems.More += checks.found.more
	}
	return full
}

// check calls CheckSpec on the value and on everything in it.
func check(v reflect.Value, p *Problems) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			check(v.Elem(), p)
		}
		return
	}
	if v.CanAddr() {
		if checker, ok := reflect.TypeAssert[Checker](v.Addr()); ok {
			checker.CheckSpec(p)
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			check(v.FieldByIndex(f.index), p.At(f.name))
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			check(v.Index(i), p.At(i))
		}
	case reflect.Map:
		for _, key := range sortedKeys(v) {
			// A map's values have no address: a copy is checked.
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			check(value, p.At(key.String()))
		}
	}
}

// reportFinding gives a finding its place. What only follows from a value that did not fit is left out.
func (s *shaper) reportFinding(full *node, f finding) {
	var at strings.Builder
	for _, element := range f.path {
		at.WriteByte('/')
		at.WriteString(pathText(element))
	}
	for _, broken := range s.broken {
		if broken == at.String() || strings.HasPrefix(broken, at.String()+"/") || strings.HasPrefix(at.String(), broken+"/") {
			return
		}
	}
	n, rest := full.find(f.path)
	s.report(&node{line: n.line, col: n.col, shown: joinPath(n.shown, rest...)}, f.message, f.hint)
}

func pathText(element any) string {
	switch e := element.(type) {
	case string:
		return e
	case entryName:
		return string(e)
	case int:
		return strconv.Itoa(e)
	}
	return ""
}

// find goes down the path as far as it is written, and gives the rest of the path.
func (n *node) find(path []any) (*node, []any) {
	for i, element := range path {
		var next *node
		switch e := element.(type) {
		case string:
			next = n.get(e)
		case entryName:
			return n.name(string(e)), path[i:]
		case int:
			if e >= 0 && e < len(n.items) {
				next = n.items[e]
			}
		}
		if next == nil {
			return n, path[i:]
		}
		n = next
	}
	return n, nil
}

// name stands where the name of an entry is written.
func (n *node) name(key string) *node {
	for _, e := range n.entries {
		if e.key == key {
			return &node{line: e.line, col: e.col, shown: n.shown}
		}
	}
	return n
}

func sortedKeys(v reflect.Value) []reflect.Value {
	return slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return compare(a.String(), b.String()) })
}
