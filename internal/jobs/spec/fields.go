package spec

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// field is a struct's field as specs write it.
type field struct {
	name     string
	typ      reflect.Type
	tag      reflect.StructTag
	owner    reflect.Type // the struct that declares it, and its name there
	goName   string
	index    []int
	required bool
}

var fieldCache sync.Map // of reflect.Type to []field

// fieldsOf lists the fields of a struct, those of embedded structs among them, in the order of the source.
func fieldsOf(t reflect.Type) []field {
	if cached, ok := fieldCache.Load(t); ok {
		return cached.([]field)
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields = append(fields, field{name, f.Type, f.Tag, t, f.Name, []int{i}, f.Tag.Get("required") == "true"})
	}
	fieldCache.Store(t, fields)
	return fields
}

func names(fields []field) []string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f.name
	}
	return all
}

// shorthander is a struct that may also be written as a text, number, truth value or list.
type shorthander interface {
	Shorthand(value any) (map[string]any, error)
}

var (
	shorthandType   = reflect.TypeFor[shorthander]()
	scalarType      = reflect.TypeFor[scalar]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	rawType         = reflect.TypeFor[json.RawMessage]()
	bytesType       = reflect.TypeFor[[]byte]()
	scriptType      = reflect.TypeFor[Script]()
	fileType        = reflect.TypeFor[File]()
	rowsType        = reflect.TypeFor[Rows]()
)

func has(t, iface reflect.Type) bool { return reflect.PointerTo(t).Implements(iface) }
