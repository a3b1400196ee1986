package bake

import (
	"errors"
	"strings"
)

// Shorthand takes an id, an image's name or ssm:/path.
func (*Source) Shorthand(value any) (map[string]any, error) {
	text, ok := value.(string)
	switch {
	case !ok || text == "":
		return nil, errors.New("expected a source: an AMI id, an image (base or base@12), ssm:/path, or {newest: {owner: …, name: …}}")
	case strings.HasPrefix(text, "ami-"):
		return map[string]any{"ami": text}, nil
	case strings.HasPrefix(text, "i-"):
		return map[string]any{"server": text}, nil
	case strings.HasPrefix(text, "ssm:"):
		return map[string]any{"parameter": strings.TrimPrefix(text, "ssm:")}, nil
	}
	return map[string]any{"image": text}, nil
}

// ShorthandSchemas describes the short form.
func (*Source) ShorthandSchemas() []map[string]any { return text() }

// Shorthand takes a market or a list of them.
func (*Market) Shorthand(value any) (map[string]any, error) {
	switch v := value.(type) {
	case string:
		return map[string]any{"order": []any{v}}, nil
	case []any:
		return map[string]any{"order": v}, nil
	}
	return nil, errors.New("expected on-demand, spot or a list of both")
}

// ShorthandSchemas describes the short forms.
func (*Market) ShorthandSchemas() []map[string]any {
	markets := []any{"on-demand", "spot"}
	return []map[string]any{
		{"type": "string", "enum": markets},
		{"type": "array", "items": map[string]any{"type": "string", "enum": markets}},
	}
}

// Shorthand takes reboot or a script.
func (*Step) Shorthand(value any) (map[string]any, error) {
	text, ok := value.(string)
	switch {
	case !ok || strings.TrimSpace(text) == "":
		return nil, errors.New("expected a step: {run: …}, {copy: …} or reboot")
	case text == "reboot":
		return map[string]any{"reboot": true}, nil
	}
	return map[string]any{"run": text}, nil
}

// ShorthandSchemas describes the short form.
func (*Step) ShorthandSchemas() []map[string]any { return text() }

// Shorthand takes a script.
func (*Verify) Shorthand(value any) (map[string]any, error) {
	text, ok := value.(string)
	if !ok || strings.TrimSpace(text) == "" {
		return nil, errors.New("expected {run: …} or {http: …}")
	}
	return map[string]any{"run": text}, nil
}

// ShorthandSchemas describes the short form.
func (*Verify) ShorthandSchemas() []map[string]any { return text() }

// Shorthand takes true.
func (*NoReboot) Shorthand(value any) (map[string]any, error) {
	return onlyTrue(value, "expected true or {freeze: …, thaw: …}; leave noReboot out to stop the builder")
}

// ShorthandSchemas describes the short form.
func (*NoReboot) ShorthandSchemas() []map[string]any { return []map[string]any{{"const": true}} }

// Shorthand takes true.
func (*Protect) Shorthand(value any) (map[string]any, error) {
	return onlyTrue(value, "expected true or {cooldown: true}; leave protect out for no protection")
}

// ShorthandSchemas describes the short form.
func (*Protect) ShorthandSchemas() []map[string]any { return []map[string]any{{"const": true}} }

func onlyTrue(value any, expected string) (map[string]any, error) {
	if value != true {
		return nil, errors.New(expected)
	}
	return map[string]any{}, nil
}

func text() []map[string]any { return []map[string]any{{"type": "string"}} }
