package spec

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:generate go run ./generate -root ../../..

// Comments are the doc comments of the spec types, by package.Type or package.Type.Field. They become the descriptions of the
// schemas and the text of the reference. A binary has no source, so they are generated into this package.
type Comments map[string]string

//go:embed comments.json
var embeddedComments []byte

// BuiltinComments are the comments as they were when the binary's code was generated.
var BuiltinComments = sync.OnceValue(func() Comments {
	var comments Comments
	if err := json.Unmarshal(embeddedComments, &comments); err != nil {
		panic("internal/jobs/spec/comments.json is not JSON: " + err.Error()) // run make generate
	}
	return comments
})

// ofType is what a type's comment says, as a sentence; name is what specs call the type, if they do.
func (c Comments) ofType(t reflect.Type, name string) string {
	text := c[typeKey(t)]
	if rest, ok := strings.CutPrefix(text, t.Name()+" "); ok && name != "" {
		return name + " " + rest
	}
	return withoutSubject(text, t.Name())
}

// ofField is what a field's comment says, as a sentence. The name stands before it already.
func (c Comments) ofField(f field) string {
	return withoutSubject(c[typeKey(f.owner)+"."+f.goName], f.goName)
}

// withoutSubject makes "Image is what …" to "What …", and "Image says …" to "Says …".
func withoutSubject(text, subject string) string {
	rest, ok := strings.CutPrefix(text, subject+" ")
	if !ok {
		return text
	}
	for _, verb := range []string{"is ", "are "} {
		rest = strings.TrimPrefix(rest, verb)
	}
	first, size := utf8.DecodeRuneInString(rest)
	return string(unicode.ToUpper(first)) + rest[size:]
}

func typeKey(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }

// Types lists every struct and named type that the registered specs are made of, in the order in which they are met.
func (r Registry) Types() []reflect.Type {
	var found []reflect.Type
	seen := map[reflect.Type]bool{}
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			if t.Name() == "" {
				visit(t.Elem())
				return
			}
		}
		if t.PkgPath() == "" || seen[t] {
			return
		}
		seen[t] = true
		found = append(found, t)
		if t.Kind() == reflect.Struct {
			for _, f := range fieldsOf(t) {
				visit(f.owner)
				visit(f.typ)
			}
		}
	}
	visit(reflect.TypeFor[envelope]())
	for _, kind := range r.Names() {
		visit(r[kind])
	}
	return found
}
