package content

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// CompareSpecs tells which fields of two stored Bakes differ, by their paths. Scripts and files are compared by their
// checksums; a text of several lines is shown as one.
func CompareSpecs(before, after json.RawMessage) ([]Change, error) {
	was, err := flatten(before)
	if err != nil {
		return nil, err
	}
	is, err := flatten(after)
	if err != nil {
		return nil, err
	}
	var paths []string
	for path := range was {
		paths = append(paths, path)
	}
	for path := range is {
		if _, both := was[path]; !both {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	changes := []Change{}
	for _, path := range paths {
		if was[path] != is[path] {
			changes = append(changes, Change{Name: path, Before: was[path], After: is[path]})
		}
	}
	return changes, nil
}

func flatten(raw json.RawMessage) (map[string]string, error) {
	flat := map[string]string{}
	if len(raw) == 0 {
		return flat, nil
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return nil, fmt.Errorf("the stored spec cannot be read: %w", err)
	}
	walk("", value, flat)
	return flat, nil
}

func walk(path string, value any, into map[string]string) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			walk(strings.TrimPrefix(path+"."+name, "."), inner, into)
		}
	case []any:
		for i, inner := range v {
			walk(fmt.Sprintf("%s[%d]", path, i), inner, into)
		}
	case string:
		into[path] = short(v)
	default:
		into[path] = fmt.Sprint(v)
	}
}

// longText is from when on a text is shown by its checksum.
const longText = 80

func short(text string) string {
	if len(text) <= longText && !strings.Contains(text, "\n") {
		return text
	}
	if strings.HasPrefix(text, "sha256:") {
		return text
	}
	return fmt.Sprintf("%s (%d lines)", Digest([]byte(text))[:len("sha256:")+12], strings.Count(strings.TrimSuffix(text, "\n"), "\n")+1)
}
