package spec_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

func TestTheMessageSchemaTakesWhatTheWorkerTakes(t *testing.T) {
	t.Parallel()
	raw, err := toys().MessageSchema()
	if err != nil {
		t.Fatal(err)
	}
	schema := parseSchema(t, raw)
	for _, c := range []struct {
		message string
		valid   bool
	}{
		{`{"schema":1,"type":"submit","kind":"Toy","name":"web","region":"eu-west-1","key":"k","priority":"low","labels":{"a":"b"},"spec":{"from":"base"}}`, true},
		{`{"schema":1,"type":"submit","kind":"Toy","name":"web","role":"arn:aws:iam::111122223333:role/stampmill","spec":{"from":{"image":"base"}}}`, true},
		{`{"schema":1,"type":"cancel","job":"toy-web-abc","run":1}`, true},
		{`{"schema":1,"type":"retry","job":"toy-web-abc","run":2}`, true},
		{`{"schema":1,"type":"submit","kind":"Toy","name":"Web","spec":{"from":"base"}}`, false},
		{`{"schema":1,"type":"submit","kind":"Toy","name":"web","region":"nowhere","spec":{"from":"base"}}`, false},
		{`{"schema":1,"type":"submit","kind":"Toy","name":"web","priority":"urgent","spec":{"from":"base"}}`, false},
		{`{"schema":1,"type":"submit","kind":"Toy","name":"web","vars":{},"spec":{"from":"base"}}`, false},
		{`{"schema":1,"type":"cancel","job":"toy-web-abc"}`, false},
		{`{"schema":1,"type":"cancel","job":"toy-web-abc","run":0}`, false},
		{`{"schema":0,"type":"cancel","job":"toy-web-abc","run":1}`, false},
		{`{"schema":1,"type":"stop","job":"toy-web-abc","run":1}`, false},
	} {
		_, err := jobs.ParseMessage([]byte(c.message))
		problems := schema.check(t, c.message)
		if (err == nil) != c.valid || (len(problems) == 0) != c.valid {
			t.Errorf("%s\nwant valid %v; the worker says %v, the schema %v", c.message, c.valid, err, problems)
		}
	}
}

func TestAKindsSchemaTakesWhatDecodeTakes(t *testing.T) {
	t.Parallel()
	raw, err := toys().Schema("Toy")
	if err != nil {
		t.Fatal(err)
	}
	schema := parseSchema(t, raw)
	for _, c := range []struct {
		spec  string
		valid bool
	}{
		{`{"from": "base"}`, true},
		{`{"from": {"ami": "ami-1"}, "count": 7, "accept": "95%", "surge": 3, "size": 20, "timeout": "1h30m", "on": true, "ratio": 1.5}`, true},
		{`{"from": "base", "steps": ["reboot", {"run": "ls"}, {"run": {"text": "ls"}}], "subnets": ["a"], "rows": [{"a": 1}], "anything": {"a": [1]}}`, true},
		{`{}`, false},
		{`{"from": "base", "cuont": 7}`, false},
		{`{"from": "base", "count": 101}`, false},
		{`{"from": "base", "market": "sport"}`, false},
		{`{"from": "base", "timeout": "soon"}`, false},
		{`{"from": "base", "accept": "101%"}`, false},
		{`{"from": {"ami": "i-1"}}`, false},
		{`{"from": "base", "types": "a"}`, false},
		{`{"from": "base", "volumes": {"a": {"sise": 1}}}`, false},
	} {
		_, err := spec.Decode[toy](json.RawMessage(c.spec))
		problems := schema.check(t, c.spec)
		if (err == nil) != c.valid || (len(problems) == 0) != c.valid {
			t.Errorf("%s\nwant valid %v; Decode says %v, the schema %v", c.spec, c.valid, err, problems)
		}
	}
}

func TestASchemaOfAnUnknownKindNamesTheKnownOnes(t *testing.T) {
	t.Parallel()
	if _, err := toys().Schema("Toi"); err == nil || err.Error() != "there is no kind Toi; did you mean Toy?" {
		t.Errorf("got %v", err)
	}
}

// schema checks values against the part of JSON Schema 2020-12 that is in use here. Any other keyword fails the test.
type schema struct {
	root map[string]any
}

func parseSchema(t *testing.T, raw []byte) *schema {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	if root["$schema"] != spec.SchemaDialect {
		t.Fatalf("the schema's dialect is %v", root["$schema"])
	}
	return &schema{root}
}

func (s *schema) check(t *testing.T, document string) []string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(document), &value); err != nil {
		t.Fatal(err)
	}
	return s.problems(s.root, value, "")
}

func (s *schema) problems(rules map[string]any, v any, at string) []string {
	var found []string
	fail := func(format string, args ...any) { found = append(found, at+": "+fmt.Sprintf(format, args...)) }
	for _, keyword := range slices.Sorted(maps.Keys(rules)) {
		rule := rules[keyword]
		switch keyword {
		case "$schema", "$defs", "title", "description", "default", "examples", "contentEncoding", "then":
		case "$ref":
			name := strings.TrimPrefix(rule.(string), "#/$defs/")
			found = append(found, s.problems(s.root["$defs"].(map[string]any)[name].(map[string]any), v, at)...)
		case "type":
			if !isType(rule, v) {
				fail("%v is no %v", v, rule)
			}
		case "const":
			if fmt.Sprint(rule) != fmt.Sprint(v) {
				fail("%v is not %v", v, rule)
			}
		case "enum":
			if !slices.Contains(rule.([]any), v) {
				fail("%v is none of %v", v, rule)
			}
		case "oneOf":
			if n := s.matching(rule.([]any), v); n != 1 {
				fail("%v matches %d of its forms", v, n)
			}
		case "allOf":
			for _, part := range rule.([]any) {
				found = append(found, s.problems(part.(map[string]any), v, at)...)
			}
		case "if":
			if len(s.problems(rule.(map[string]any), v, at)) == 0 {
				found = append(found, s.problems(rules["then"].(map[string]any), v, at)...)
			}
		default:
			found = append(found, s.valueProblems(keyword, rules, v, at)...)
		}
	}
	return found
}

func (s *schema) matching(forms []any, v any) int {
	n := 0
	for _, form := range forms {
		if len(s.problems(form.(map[string]any), v, "")) == 0 {
			n++
		}
	}
	return n
}

func (s *schema) valueProblems(keyword string, rules map[string]any, v any, at string) []string {
	rule := rules[keyword]
	switch value := v.(type) {
	case string:
		if keyword == "pattern" && !regexp.MustCompile(rule.(string)).MatchString(value) ||
			keyword == "minLength" && utf8.RuneCountInString(value) < int(rule.(float64)) {
			return []string{fmt.Sprintf("%s: %q breaks %s %v", at, value, keyword, rule)}
		}
	case float64:
		if keyword == "minimum" && value < rule.(float64) || keyword == "maximum" && value > rule.(float64) {
			return []string{fmt.Sprintf("%s: %v breaks %s %v", at, value, keyword, rule)}
		}
	case []any:
		return s.listProblems(keyword, rule, value, at)
	case map[string]any:
		return s.objectProblems(keyword, rules, value, at)
	}
	return nil
}

func (s *schema) listProblems(keyword string, rule any, list []any, at string) []string {
	var found []string
	switch keyword {
	case "items":
		for i, item := range list {
			found = append(found, s.problems(rule.(map[string]any), item, fmt.Sprintf("%s/%d", at, i))...)
		}
	case "minItems":
		if len(list) < int(rule.(float64)) {
			found = append(found, at+": too few items")
		}
	}
	return found
}

func (s *schema) objectProblems(keyword string, rules, object map[string]any, at string) []string {
	var found []string
	rule := rules[keyword]
	properties, _ := rules["properties"].(map[string]any)
	switch keyword {
	case "properties":
		for name, inner := range properties {
			if value, ok := object[name]; ok {
				found = append(found, s.problems(inner.(map[string]any), value, at+"/"+name)...)
			}
		}
	case "required":
		for _, name := range rule.([]any) {
			if _, ok := object[name.(string)]; !ok {
				found = append(found, at+": without "+name.(string))
			}
		}
	case "additionalProperties":
		for name, value := range object {
			if properties[name] != nil {
				continue
			}
			if inner, ok := rule.(map[string]any); ok {
				found = append(found, s.problems(inner, value, at+"/"+name)...)
			} else if rule == false {
				found = append(found, at+": unknown "+name)
			}
		}
	case "propertyNames":
		for name := range object {
			found = append(found, s.problems(rule.(map[string]any), name, at+"/"+name)...)
		}
	case "maxProperties":
		if len(object) > int(rule.(float64)) {
			found = append(found, at+": too many")
		}
	default:
		found = append(found, at+": this test does not know the keyword "+keyword)
	}
	return found
}

func isType(rule, v any) bool {
	if several, ok := rule.([]any); ok {
		return slices.ContainsFunc(several, func(one any) bool { return isType(one, v) })
	}
	switch value := v.(type) {
	case string:
		return rule == "string"
	case bool:
		return rule == "boolean"
	case float64:
		return rule == "number" || rule == "integer" && value == float64(int64(value))
	case []any:
		return rule == "array"
	case map[string]any:
		return rule == "object"
	}
	return rule == "null"
}
