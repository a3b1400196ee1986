package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// SchemaDialect is the JSON Schema version that the schemas are written in.
const SchemaDialect = "https://json-schema.org/draft/2020-12/schema"

// Schemer is a type that says itself how it is written.
type Schemer interface {
	JSONSchema() map[string]any
}

// ShortSchemer is a type with short forms that says how they are written. Of others, any text, number, truth value or list
// is taken for one.
type ShortSchemer interface {
	ShorthandSchemas() []map[string]any
}

// Schema is the JSON Schema of a kind's spec.
func (r Registry) Schema(kind string) ([]byte, error) {
	t, ok := r[kind]
	if !ok {
		return nil, fmt.Errorf("there is no kind %s; %s", kind, suggest(kind, r.Names()))
	}
	b := newSchemaBuilder(BuiltinComments())
	return b.finish(kind+"'s spec", b.structure(t, kind))
}

// Schemas are all schemas as they are published, by file name: one a kind, message and document.
func (r Registry) Schemas(comments Comments) (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, kind := range r.Names() {
		b := newSchemaBuilder(comments)
		schema, err := b.finish(kind+"'s spec", b.structure(r[kind], kind))
		if err != nil {
			return nil, err
		}
		all[strings.ToLower(kind)] = schema
	}
	var err error
	if all["message"], err = r.messageSchema(comments); err != nil {
		return nil, err
	}
	all["document"], err = r.documentSchema(comments)
	return all, err
}

// MessageSchema is the JSON Schema of what anybody may send to the queues: a submission, a cancel, a retry.
func (r Registry) MessageSchema() ([]byte, error) { return r.messageSchema(BuiltinComments()) }

func (r Registry) messageSchema(comments Comments) ([]byte, error) {
	b := newSchemaBuilder(comments)
	submit := b.envelope(r.jobs(), map[string]any{
		"schema": map[string]any{"const": 1, "description": "The version of this schema."},
		"type":   map[string]any{"const": "submit"},
	}, []string{"schema", "type", "kind", "name"})
	delete(submit["properties"].(map[string]any), "vars") // a file's: in a message they stand in the spec
	command := func(name, does string) map[string]any {
		return object(map[string]any{
			"schema": map[string]any{"const": 1},
			"type":   map[string]any{"const": name},
			"job":    map[string]any{"type": "string", "pattern": "^[a-z]{1,32}-[a-z0-9-]{1,120}$", "description": "The job's id."},
			"run":    map[string]any{"type": "integer", "minimum": 1, "description": "The run that is meant; the first is 1."},
		}, []string{"schema", "type", "job", "run"}, does)
	}
	root := map[string]any{"oneOf": []any{submit,
		command("cancel", "Cancels a job: what it made is undone."),
		command("retry", "Runs a finished job again."), tickSchema()}}
	return b.finish("A message to Stampmill", root)
}

// tickSchema is the message that looks at a policy.
func tickSchema() map[string]any {
	return object(map[string]any{
		"schema": map[string]any{"const": 1},
		"type":   map[string]any{"const": "tick"},
		"policy": map[string]any{"type": "string", "pattern": namePattern.String(), "description": "The policy's name."},
		"at":     map[string]any{"type": "string", "format": "date-time", "description": "The instant that is meant, such as EventBridge Scheduler's <aws.scheduler.scheduled-time>: the same one again does nothing."},
	}, []string{"schema", "type", "policy", "at"}, "Has a policy looked at now.")
}

// DocumentSchema is the JSON Schema of one document of a spec file, for editors.
func (r Registry) DocumentSchema() ([]byte, error) { return r.documentSchema(BuiltinComments()) }

func (r Registry) documentSchema(comments Comments) ([]byte, error) {
	b := newSchemaBuilder(comments)
	return b.finish("A Stampmill spec file", b.envelope(r, map[string]any{}, []string{"kind", "name"}))
}

// kind refers to a kind's spec, under the kind's name.
func (b *schemaBuilder) kind(t reflect.Type, kind string) map[string]any {
	if _, ok := b.names[t]; !ok {
		b.names[t] = kind
		b.defs[kind] = b.structure(t, kind)
	}
	return map[string]any{"$ref": "#/$defs/" + kind}
}

type schemaBuilder struct {
	comments Comments
	defs     map[string]any
	names    map[reflect.Type]string
}

func newSchemaBuilder(comments Comments) *schemaBuilder {
	return &schemaBuilder{comments: comments, defs: map[string]any{}, names: map[reflect.Type]string{}}
}

func (b *schemaBuilder) finish(title string, root map[string]any) ([]byte, error) {
	whole := maps.Clone(root)
	whole["$schema"], whole["title"] = SchemaDialect, title
	if len(b.defs) > 0 {
		whole["$defs"] = b.defs
	}
	raw, err := json.MarshalIndent(whole, "", "  ")
	return append(raw, '\n'), err
}

// envelope is the object around the spec; the kind decides which spec belongs into it.
func (b *schemaBuilder) envelope(r Registry, extra map[string]any, required []string) map[string]any {
	o := b.structure(reflect.TypeFor[envelope](), "")
	properties := o["properties"].(map[string]any)
	for name, pattern := range map[string]string{"name": namePattern.String(), "region": regionPattern.String(),
		"role": rolePattern.String(), "key": keyPattern.String()} {
		properties[name].(map[string]any)["pattern"] = pattern
	}
	properties["labels"].(map[string]any)["propertyNames"] = map[string]any{"pattern": labelPattern.String()}
	properties["labels"].(map[string]any)["maxProperties"] = 50
	properties["vars"].(map[string]any)["propertyNames"] = map[string]any{"pattern": varName.String()}
	properties["kind"].(map[string]any)["enum"] = r.Names()
	properties["spec"] = map[string]any{"type": "object"}
	maps.Copy(properties, extra)
	o["required"] = required
	var kinds []any
	for _, kind := range r.Names() {
		kinds = append(kinds, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"kind": map[string]any{"const": kind}}},
			"then": map[string]any{"properties": map[string]any{"spec": b.kind(r[kind], kind)}},
		})
	}
	if len(kinds) > 0 {
		o["allOf"] = kinds
	}
	return o
}

// of is the schema of a value of the type; a field's tags narrow it.
func (b *schemaBuilder) of(t reflect.Type, tag reflect.StructTag) map[string]any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := b.plain(t, tag)
	if value, ok := tag.Lookup("default"); ok {
		s["default"] = tagValue(t, value)
	}
	if value, ok := tag.Lookup("example"); ok && s["examples"] == nil {
		s["examples"] = []any{tagValue(t, value)}
	}
	return s
}

func (b *schemaBuilder) plain(t reflect.Type, tag reflect.StructTag) map[string]any {
	if schemer, ok := reflect.TypeAssert[Schemer](reflect.New(t)); ok {
		return schemer.JSONSchema()
	}
	switch {
	case innerKind(t, tag) != "":
		return map[string]any{"type": []string{"object", "string"}}
	case t == rawType || t.Kind() == reflect.Interface || has(t, unmarshalerType):
		return map[string]any{}
	case t == bytesType:
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.Struct:
		return map[string]any{"$ref": "#/$defs/" + b.define(t)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": b.of(t.Elem(), "")}
	case reflect.Slice, reflect.Array:
		s := map[string]any{"type": "array", "items": b.of(t.Elem(), narrowing(tag))}
		if tag.Get("required") == "true" {
			s["minItems"] = 1
		}
		return s
	case reflect.String:
		return textSchema(tag)
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return numberSchema("number", tag)
	default:
		return numberSchema("integer", tag)
	}
}

// narrowing are the tags of a list's field that hold for its items.
func narrowing(tag reflect.StructTag) reflect.StructTag {
	var kept []string
	for _, name := range []string{"enum", "pattern", "min", "max"} {
		if value, ok := tag.Lookup(name); ok {
			kept = append(kept, fmt.Sprintf("%s:%q", name, value))
		}
	}
	return reflect.StructTag(strings.Join(kept, " "))
}

func textSchema(tag reflect.StructTag) map[string]any {
	s := map[string]any{"type": "string"}
	if enum := tag.Get("enum"); enum != "" {
		s["enum"] = strings.Split(enum, ",")
	}
	if pattern := tag.Get("pattern"); pattern != "" {
		s["pattern"] = pattern
	}
	if tag.Get("required") == "true" {
		s["minLength"] = 1
	}
	return s
}

func numberSchema(name string, tag reflect.StructTag) map[string]any {
	s := map[string]any{"type": name}
	if low, ok := limit(tag.Get("min")); ok {
		s["minimum"] = low
	}
	if high, ok := limit(tag.Get("max")); ok {
		s["maximum"] = high
	}
	return s
}

// define puts a struct's schema among the definitions, with its short forms, and gives its name there.
func (b *schemaBuilder) define(t reflect.Type) string {
	if name, ok := b.names[t]; ok {
		return name
	}
	name := t.Name()
	if name == "Spec" { // another package's, such as notify's
		name = strings.ToUpper(pkgName(t)[:1]) + pkgName(t)[1:]
	}
	if _, taken := b.defs[name]; taken {
		name = strings.ToUpper(pkgName(t)[:1]) + pkgName(t)[1:] + t.Name()
	}
	b.names[t] = name
	b.defs[name] = map[string]any{} // while its own fields may refer to it
	full := b.structure(t, "")
	if has(t, shorthandType) {
		forms := []any{}
		for _, short := range shortSchemas(t) {
			forms = append(forms, short)
		}
		description := full["description"]
		delete(full, "description")
		full = map[string]any{"oneOf": append(forms, full)}
		if description != nil {
			full["description"] = description
		}
	}
	b.defs[name] = full
	return name
}

func shortSchemas(t reflect.Type) []map[string]any {
	if s, ok := reflect.TypeAssert[ShortSchemer](reflect.New(t)); ok {
		return s.ShorthandSchemas()
	}
	return []map[string]any{{"type": []string{"string", "number", "boolean", "array"}}}
}

func pkgName(t reflect.Type) string {
	path := t.PkgPath()
	return path[strings.LastIndexByte(path, '/')+1:]
}

func (b *schemaBuilder) structure(t reflect.Type, name string) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, f := range fieldsOf(t) {
		s := b.of(f.typ, f.tag)
		if text := b.comments.ofField(f); text != "" {
			s["description"] = text
		}
		properties[f.name] = s
		if f.required {
			required = append(required, f.name)
		}
	}
	return object(properties, required, b.comments.ofType(t, name))
}

func object(properties map[string]any, required []string, description string) map[string]any {
	o := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		o["required"] = required
	}
	if description != "" {
		o["description"] = description
	}
	return o
}

// tagValue is a tag's text as a value of the type, where it reads as one.
func tagValue(t reflect.Type, text string) any {
	if t.Kind() == reflect.String {
		return text
	}
	n, _, err := readYAML(chunk{content: text}, "")
	if err != nil || n.kind == nullNode {
		return text
	}
	return n.plain()
}
