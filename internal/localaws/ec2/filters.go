package ec2

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// filter is one Filter.N of a describe: any of its values fits; all filters of a request must fit.
type filter struct {
	Name   string   `query:"Name"`
	Values []string `query:"Value"`
}

// fields are a describe's filters by name: the values of a record that a filter is compared with.
type fields[T record] map[string]func(T) []string

// maxFilterValues is AWS's limit for the values of one request's filters.
const maxFilterValues = 200

// check refuses filters that the call does not have.
func (f fields[T]) check(filters []filter) error {
	count := 0
	for _, one := range filters {
		count += len(one.Values)
		if one.Name == "" {
			return api.Errorf("InvalidParameterValue", "The filter name is empty")
		}
		if len(one.Values) == 0 {
			return api.Errorf("InvalidParameterValue", "The filter '%s' has no values", one.Name)
		}
		if strings.HasPrefix(one.Name, "tag:") || one.Name == "tag-key" || one.Name == "tag-value" {
			continue
		}
		if _, ok := f[one.Name]; !ok {
			return api.Errorf("InvalidParameterValue", "The filter '%s' is invalid", one.Name)
		}
	}
	if count > maxFilterValues {
		return api.Errorf("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
	}
	return nil
}

func (f fields[T]) match(filters []filter, r T) bool {
	for _, one := range filters {
		if !f.matchOne(one, r) {
			return false
		}
	}
	return true
}

func (f fields[T]) matchOne(one filter, r T) bool {
	tags := r.common().Tags
	switch key, isTag := strings.CutPrefix(one.Name, "tag:"); {
	case isTag:
		return slices.ContainsFunc(tags, func(t Tag) bool { return t.Key == key && matchAny(one.Values, t.Value) })
	case one.Name == "tag-key":
		return slices.ContainsFunc(tags, func(t Tag) bool { return matchAny(one.Values, t.Key) })
	case one.Name == "tag-value":
		return slices.ContainsFunc(tags, func(t Tag) bool { return matchAny(one.Values, t.Value) })
	}
	for _, value := range f[one.Name](r) {
		if matchAny(one.Values, value) {
			return true
		}
	}
	return false
}

func matchAny(patterns []string, value string) bool {
	for _, pattern := range patterns {
		if pattern == value || hasWildcard(pattern) && wildcard(pattern, value) {
			return true
		}
	}
	return false
}

func hasWildcard(pattern string) bool { return strings.ContainsAny(pattern, `*?\`) }

// wildcard matches * (any characters) and ? (one character); a backslash makes the next character literal. After a
// mismatch only the last * takes more: what the ones before it took need not change.
func wildcard(pattern, value string) bool {
	star, retry := -1, 0
	p, v := 0, 0
	for v < len(value) {
		switch literal, width := next(pattern, p); {
		case width == 1 && pattern[p] == '*':
			star, retry = p+1, v
			p++
			continue
		case width == 1 && pattern[p] == '?', width > 0 && literal == value[v]:
			p += width
			v++
			continue
		}
		if star < 0 {
			return false
		}
		retry++
		p, v = star, retry
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// next is the character that the pattern has at p, and how wide it is written; width 0: the pattern is over.
func next(pattern string, p int) (literal byte, width int) {
	switch {
	case p == len(pattern):
		return 0, 0
	case pattern[p] == '\\' && p+1 < len(pattern):
		return pattern[p+1], 2
	}
	return pattern[p], 1
}

// paging is what paginated describes take.
type paging struct {
	MaxResults *int32 `query:"MaxResults"`
	NextToken  string `query:"NextToken"`
}

// page cuts the records to the requested page and gives the next page's token, which is empty at the end. Pages follow
// the order of making, so that what is made meanwhile neither hides nor doubles a record.
func page[T record](p paging, smallest, largest int32, records []T) ([]T, string, error) {
	if p.NextToken != "" {
		raw, err := base64.RawURLEncoding.DecodeString(p.NextToken)
		last, numberErr := strconv.ParseUint(string(raw), 10, 64)
		if err != nil || numberErr != nil {
			return nil, "", api.Errorf("InvalidNextToken", "The token '%s' is invalid.", p.NextToken)
		}
		from, found := slices.BinarySearchFunc(records, last, func(r T, sequence uint64) int {
			return int(int64(r.common().Sequence) - int64(sequence))
		})
		if found {
			from++
		}
		records = records[from:]
	}
	if p.MaxResults == nil {
		return records, "", nil
	}
	size := *p.MaxResults
	if size < smallest || size > largest {
		return nil, "", api.Errorf("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", size, smallest, largest)
	}
	if len(records) <= int(size) {
		return records, "", nil
	}
	records = records[:size]
	last := records[size-1].common().Sequence
	return records, base64.RawURLEncoding.EncodeToString(strconv.AppendUint(nil, last, 10)), nil
}

// yesNo is a boolean as filters compare it.
func yesNo(b bool) []string { return []string{strconv.FormatBool(b)} }

func one(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}
