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
