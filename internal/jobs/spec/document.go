package spec

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
)

// Document is one checked request of a spec file: the envelope, and the spec in its canonical full form.
type Document struct {
	Kind, Name   string
	Region, Role string
	Key          string
	// Priority is high, normal, low or empty.
	Priority string
	Labels   map[string]string
	// Vars are the document's variables, those given from outside over its own.
	Vars map[string]string
	Spec json.RawMessage
	// Uploads must be in the bucket before the document is sent.
	Uploads []Upload
	// File and Line are where the document begins.
	File string
	Line int
	// full is the spec with the places where it is written.
	full *node
}

// At is a problem of the spec's field at the path, as far as it is written: with file, line and column.
func (d Document) At(path []any, message, hint string) Problem {
	if d.full == nil || len(path) == 0 {
		return Problem{File: d.File, Line: d.Line, Column: 1, Message: message, Hint: hint}
	}
	n, rest := d.full.find(path)
	return Problem{File: d.File, Line: n.line, Column: n.col, Path: joinPath(n.shown, rest...), Message: message, Hint: hint}
}

// Registry knows the type of each kind's spec, by the kind's name.
type Registry map[string]reflect.Type

// Register adds a kind; sample is a value of its spec's type.
func (r Registry) Register(kind string, sample any) {
	t := reflect.TypeOf(sample)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	r[kind] = t
}

// Names lists the kinds in alphabetical order.
func (r Registry) Names() []string { return slices.Sorted(maps.Keys(r)) }
