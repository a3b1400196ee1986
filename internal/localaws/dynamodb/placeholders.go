package dynamodb

import (
	"maps"
	"slices"
	"strings"
)

// placeholders are a request's ExpressionAttributeNames and ExpressionAttributeValues.
type placeholders struct {
	names  map[string]string
	values map[string]Value
}

// name is the attribute name of a step.
func (h *placeholders) name(s step) (step, error) {
	if s.isIndex() || s.name[0] != '#' {
		return s, nil
	}
	name, ok := h.names[s.name]
	if !ok {
		return s, expressionError("An expression attribute name used in the document path is not defined; attribute name: " + s.name)
	}
	return step{name: name, index: -1}, nil
}

// path is the path with its placeholders resolved: itself if it has none.
func (h *placeholders) path(p path) (path, error) {
	if !slices.ContainsFunc(p, func(s step) bool { return !s.isIndex() && s.name[0] == '#' }) {
		return p, nil
	}
	resolved := make(path, len(p))
	for i, s := range p {
		var err error
		if resolved[i], err = h.name(s); err != nil {
			return nil, err
		}
	}
	return resolved, nil
}

func (h *placeholders) value(placeholder string) (Value, error) {
	value, ok := h.values[placeholder]
	if !ok {
		return nil, expressionError("An expression attribute value used in expression is not defined; attribute value: " + placeholder)
	}
	return value, nil
}

// check looks at the placeholders' own form.
func (h *placeholders) check() error {
	if h.names != nil && len(h.names) == 0 {
		return invalid("ExpressionAttributeNames must not be empty")
	}
	for placeholder, name := range h.names {
		if !wellFormed(placeholder, '#') {
			return invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: \"%s\"", placeholder)
		}
		if name == "" {
			return invalid("ExpressionAttributeNames contains invalid value: Empty attribute name for key %s", placeholder)
		}
	}
	if h.values != nil && len(h.values) == 0 {
		return invalid("ExpressionAttributeValues must not be empty")
	}
	for placeholder := range h.values {
		if !wellFormed(placeholder, ':') {
			return invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: \"%s\"", placeholder)
		}
	}
	return nil
}

func wellFormed(placeholder string, first byte) bool {
	return len(placeholder) > 1 && placeholder[0] == first && wordEnd(placeholder, 1) == len(placeholder)
}

// unused is the error for placeholders that no expression of the request mentions.
func (h *placeholders) unused(expressions ...*mentions) error {
	used := func(placeholder string) bool {
		return slices.ContainsFunc(expressions, func(m *mentions) bool { return m != nil && slices.Contains(m.placeholders, placeholder) })
	}
	left := func(all []string) string {
		slices.Sort(all)
		return strings.Join(slices.DeleteFunc(all, used), ", ")
	}
	if keys := left(slices.Collect(maps.Keys(h.names))); keys != "" {
		return invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", keys)
	}
	if keys := left(slices.Collect(maps.Keys(h.values))); keys != "" {
		return invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", keys)
	}
	return nil
}

// mentions are the placeholders that an expression's text has.
type mentions struct{ placeholders []string }

func (l *lexer) mentions() mentions {
	var m mentions
	for _, t := range l.tokens {
		if (t.kind == tokenName || t.kind == tokenValue) && !slices.Contains(m.placeholders, t.text) {
			m.placeholders = append(m.placeholders, t.text)
		}
	}
	return m
}
