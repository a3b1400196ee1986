package spec

// Selector chooses things that exist in AWS, such as subnets: by their ids, or by tags that they all carry. The short form
// is a list of ids, or one id.
type Selector struct {
	// IDs are the things themselves.
	IDs []string `json:"ids,omitempty"`
	// Tag chooses what carries all of these tags.
	Tag map[string]string `json:"tag,omitempty"`
}

// IsZero reports whether the selector chooses nothing.
func (s Selector) IsZero() bool { return len(s.IDs) == 0 && len(s.Tag) == 0 }

// Shorthand takes a list of ids, or one id.
func (*Selector) Shorthand(value any) (map[string]any, error) {
	switch v := value.(type) {
	case string:
		return map[string]any{"ids": []any{v}}, nil
	case []any:
		return map[string]any{"ids": v}, nil
	}
	return nil, &wrong{"ids, or {tag: {Name: value}}", ""}
}

// ShorthandSchemas describes the short forms.
func (*Selector) ShorthandSchemas() []map[string]any {
	return []map[string]any{
		{"type": "string"},
		{"type": "array", "items": map[string]any{"type": "string"}},
	}
}

// CheckSpec refuses a selector that chooses in two ways.
func (s *Selector) CheckSpec(p *Problems) {
	if len(s.IDs) > 0 && len(s.Tag) > 0 {
		p.Add("expected ids or tag, found both", "remove one of them")
	}
	for i, id := range s.IDs {
		if id == "" {
			p.At("ids", i).Add("expected an id, found an empty text", "remove it")
		}
	}
}
