package spec

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// WriteReference writes the reference of all kinds in Markdown.
func (r Registry) WriteReference(w io.Writer, comments Comments) error {
	ref := &reference{comments: comments, done: map[reflect.Type]bool{}}
	ref.print("# Spec reference\n\n")
	ref.print("<!-- Generated from the Go types by make generate. -->\n\n")
	ref.print("A spec file holds one or more documents, separated by `---`, in YAML or JSON. The JSON Schemas are in `docs/schema`, and " +
		"`stampmill schema [KIND]` prints them.\n\n")
	ref.print("## Every document\n\n")
	ref.table(reflect.TypeFor[envelope]())
	for _, kind := range r.Names() {
		ref.print("## %s\n\n", kind)
		ref.paragraph(comments.ofType(r[kind], kind))
		ref.section(r[kind], "spec")
	}
	ref.print("## Values\n\n")
	for _, t := range r.Types() {
		if t.PkgPath() == typeOfStored.PkgPath() && t != typeOfStored && t != reflect.TypeFor[envelope]() && t.Name() != "Row" {
			ref.print("### %s\n\n", t.Name())
			ref.paragraph(comments.ofType(t, ""))
			if t.Kind() == reflect.Struct && !has(t, scalarType) {
				ref.table(t)
			}
		}
	}
	_, err := io.WriteString(w, strings.TrimRight(ref.text.String(), "\n")+"\n")
	return err
}

var typeOfStored = reflect.TypeFor[Stored]()

type reference struct {
	comments Comments
	text     strings.Builder
	done     map[reflect.Type]bool
}

func (r *reference) print(format string, args ...any) { fmt.Fprintf(&r.text, format, args...) }

func (r *reference) paragraph(text string) {
	if text != "" {
		r.print("%s\n\n", text)
	}
}

// section is a struct's table, and a section for each struct in it that is the kind's own.
func (r *reference) section(t reflect.Type, path string) {
	r.table(t)
	r.done[t] = true
	for _, f := range fieldsOf(t) {
		inner, suffix := element(f.typ)
		if inner.Kind() != reflect.Struct || inner.PkgPath() == typeOfStored.PkgPath() || r.done[inner] {
			continue
		}
		below := path + "." + f.name + suffix
		r.print("### `%s`\n\n", below)
		r.paragraph(r.comments.ofType(inner, ""))
		r.section(inner, below)
	}
}

// element is what a list or a mapping is made of, and how its path goes on.
func element(t reflect.Type) (reflect.Type, string) {
	suffix := ""
	for {
		switch {
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		case t.Kind() == reflect.Slice && t.Name() == "" && t != bytesType:
			t, suffix = t.Elem(), suffix+"[]"
		case t.Kind() == reflect.Map && t.Name() == "":
			t, suffix = t.Elem(), suffix+".*"
		default:
			return t, suffix
		}
	}
}

func (r *reference) table(t reflect.Type) {
	r.print("| field | type | meaning |\n|---|---|---|\n")
	for _, f := range fieldsOf(t) {
		if f.owner == typeOfStored {
			continue // the loader's own
		}
		text := cell(r.comments.ofField(f))
		var notes []string
		if f.required {
			notes = append(notes, "Required.")
		}
		if value := f.tag.Get("enum"); value != "" {
			notes = append(notes, "One of `"+strings.ReplaceAll(value, ",", "`, `")+"`.")
		}
		low, high := f.tag.Get("min"), f.tag.Get("max")
		switch {
		case low != "" && high != "":
			notes = append(notes, fmt.Sprintf("From %s to %s.", low, high))
		case low != "":
			notes = append(notes, fmt.Sprintf("At least %s.", low))
		case high != "":
			notes = append(notes, fmt.Sprintf("At most %s.", high))
		}
		if value := f.tag.Get("default"); value != "" {
			notes = append(notes, "Default: `"+value+"`.")
		}
		if value := f.tag.Get("example"); value != "" {
			notes = append(notes, "Example: `"+cell(value)+"`.")
		}
		r.print("| `%s` | %s | %s |\n", f.name, r.typeName(f.typ), strings.TrimSpace(strings.Join(append([]string{text}, notes...), " ")))
	}
	r.print("\n")
}

func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n", " "), "|", `\|`)
}

func (r *reference) typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == typeOfStored.PkgPath() && t.Name() != "Row" {
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
	}
	switch {
	case t == rawType:
		return "the kind's own"
	case t == bytesType:
		return "base64"
	}
	switch t.Kind() {
	case reflect.Struct:
		return "mapping" + shortForms(t)
	case reflect.Map:
		return "mapping of " + r.plural(t.Elem())
	case reflect.Slice, reflect.Array:
		return "list of " + r.plural(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Interface:
		return "any value"
	case reflect.Float32, reflect.Float64:
		return "number"
	}
	return "whole number"
}

// shortForms says how a struct may be written otherwise.
func shortForms(t reflect.Type) string {
	if !has(t, shorthandType) {
		return ""
	}
	var forms []string
	for _, short := range shortSchemas(t) {
		switch {
		case short["const"] != nil:
			forms = append(forms, fmt.Sprintf(" or `%v`", short["const"]))
		case short["type"] == "string":
			forms = append(forms, " or text")
		case short["type"] == "array":
			forms = append(forms, " or list")
		case short["type"] == "integer", short["type"] == "number":
			forms = append(forms, " or number")
		}
	}
	return strings.Join(forms, "")
}

func (r *reference) plural(t reflect.Type) string {
	name := r.typeName(t)
	if rest, ok := strings.CutPrefix(name, "mapping"); ok && t.Kind() == reflect.Struct {
		return "mappings" + rest
	}
	switch name {
	case "text", "number", "whole number", "any value":
		return name + "s"
	}
	return name
}
