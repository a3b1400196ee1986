package eventbridge

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// checkPattern refuses what is no pattern, and the matchers that this endpoint does not know: of those there are texts
// and prefixes only.
func checkPattern(text string) error {
	var pattern map[string]any
	if json.Unmarshal([]byte(text), &pattern) != nil || len(pattern) == 0 || !validPattern(pattern) {
		return api.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: expected members with lists of texts or {\"prefix\": text}: %s", text)
	}
	return nil
}

func validPattern(pattern map[string]any) bool {
	for _, wanted := range pattern {
		switch wanted := wanted.(type) {
		case map[string]any:
			if !validPattern(wanted) {
				return false
			}
		case []any:
			if len(wanted) == 0 || !slices.ContainsFunc(wanted, func(any) bool { return true }) {
				return false
			}
			for _, one := range wanted {
				if _, prefix := prefixOf(one); !prefix {
					if _, text := one.(string); !text {
						return false
					}
				}
			}
		default:
			return false
		}
	}
	return true
}

func prefixOf(one any) (string, bool) {
	matcher, ok := one.(map[string]any)
	if !ok || len(matcher) != 1 {
		return "", false
	}
	prefix, ok := matcher["prefix"].(string)
	return prefix, ok
}

// fits reports whether the event has, for each member of the pattern, one of its values.
func fits(pattern, event map[string]any) bool {
	for name, wanted := range pattern {
		switch wanted := wanted.(type) {
		case map[string]any:
			inner, ok := event[name].(map[string]any)
			if !ok || !fits(wanted, inner) {
				return false
			}
		case []any:
			if !slices.ContainsFunc(wanted, func(one any) bool { return fitsOne(one, event[name]) }) {
				return false
			}
		}
	}
	return true
}

// fitsOne compares one wanted value with what stands there; of a list, one entry is enough.
func fitsOne(wanted, value any) bool {
	if list, ok := value.([]any); ok {
		return slices.ContainsFunc(list, func(entry any) bool { return fitsOne(wanted, entry) })
	}
	text, ok := value.(string)
	if !ok {
		return false
	}
	if prefix, ok := prefixOf(wanted); ok {
		return strings.HasPrefix(text, prefix)
	}
	return wanted == text
}
