// Package ordinals holds sets of ordinals: the numbers, from 0, that the servers of a fleet are known by. A set of ten
// thousand is a few ranges in a job's progress, never a list.
package ordinals

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Span is the ordinals from First to Last, both included.
type Span struct{ First, Last int }

// Set is a set of ordinals. The zero value is empty. A Set never changes; its methods give new ones.
type Set struct {
	spans []Span // sorted, apart from each other by at least one ordinal
}

// Of is the set of the given ordinals, in any order and as often as it may be.
func Of(list ...int) Set {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	var set Set
	for _, ordinal := range sorted {
		set.push(Span{ordinal, ordinal})
	}
	return set
}

// Between is the set from first to last, both included; empty if last is lower.
func Between(first, last int) Set {
	if last < first {
		return Set{}
	}
	return Set{spans: []Span{{first, last}}}
}

// push appends a span that does not begin before the last one does.
func (s *Set) push(span Span) {
	if n := len(s.spans); n > 0 && span.First <= s.spans[n-1].Last+1 {
		s.spans[n-1].Last = max(s.spans[n-1].Last, span.Last)
		return
	}
	s.spans = append(s.spans, span)
}

// Len is how many ordinals the set has.
func (s Set) Len() int {
	n := 0
	for _, span := range s.spans {
		n += span.Last - span.First + 1
	}
	return n
}

// Empty reports whether the set has no ordinal.
func (s Set) Empty() bool { return len(s.spans) == 0 }

// IsZero lets JSON leave an empty set out (omitzero).
func (s Set) IsZero() bool { return s.Empty() }

// Has reports whether the ordinal is in the set.
func (s Set) Has(ordinal int) bool {
	_, found := slices.BinarySearchFunc(s.spans, ordinal, func(span Span, ordinal int) int {
		switch {
		case span.Last < ordinal:
			return -1
		case span.First > ordinal:
			return 1
		}
		return 0
	})
	return found
}

// All gives the ordinals in rising order.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, span := range s.spans {
			for ordinal := span.First; ordinal <= span.Last; ordinal++ {
				if !yield(ordinal) {
					return
				}
			}
		}
	}
}

// List is the ordinals in rising order.
func (s Set) List() []int { return slices.Collect(s.All()) }

// Plus is the ordinals of either set.
func (s Set) Plus(other Set) Set {
	spans := slices.Concat(s.spans, other.spans)
	slices.SortFunc(spans, func(a, b Span) int { return a.First - b.First })
	var sum Set
	for _, span := range spans {
		sum.push(span)
	}
	return sum
}

// Minus is the ordinals of s that other does not have.
func (s Set) Minus(other Set) Set {
	var rest Set
	for ordinal := range s.All() {
		if !other.Has(ordinal) {
			rest.push(Span{ordinal, ordinal})
		}
	}
	return rest
}

// Lowest is the n lowest ordinals, or all if there are not so many.
func (s Set) Lowest(n int) Set {
	var low Set
	for _, span := range s.spans {
		if n <= 0 {
			break
		}
		span.Last = min(span.Last, span.First+n-1)
		n -= span.Last - span.First + 1
		low.push(span)
	}
	return low
}

// Chunks splits the set into sets of at most size ordinals, the lowest first.
func (s Set) Chunks(size int) []Set {
	var chunks []Set
	for rest := s; !rest.Empty(); {
		chunk := rest.Lowest(size)
		chunks = append(chunks, chunk)
		rest = rest.Minus(chunk)
	}
	return chunks
}

// String writes the set as people and JSON do: 0-99,105.
func (s Set) String() string {
	parts := make([]string, 0, len(s.spans))
	for _, span := range s.spans {
		parts = append(parts, span.String())
	}
	return strings.Join(parts, ",")
}

func (s Span) String() string {
	if s.First == s.Last {
		return strconv.Itoa(s.First)
	}
	return fmt.Sprintf("%d-%d", s.First, s.Last)
}

// ParseSpan reads 3 or 17-20.
func ParseSpan(text string) (Span, error) {
	first, last, ranged := strings.Cut(strings.TrimSpace(text), "-")
	if !ranged {
		last = first
	}
	from, err := number(first)
	if err != nil {
		return Span{}, err
	}
	to, err := number(last)
	if err != nil {
		return Span{}, err
	}
	if to < from {
		return Span{}, fmt.Errorf("%q: a range begins with its lower ordinal, such as 17-20", text)
	}
	return Span{from, to}, nil
}

// MaxOrdinal is the highest ordinal that there can be: fleets have at most 10,000 servers, but an ordinal may have stayed
// above a gap.
const MaxOrdinal = 999_999

func number(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 || n > MaxOrdinal {
		return 0, fmt.Errorf("%q: expected an ordinal (0 to %d) or a range such as 17-20", text, MaxOrdinal)
	}
	return n, nil
}

// MarshalText writes the set as String does.
func (s Set) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what String writes.
func (s *Set) UnmarshalText(text []byte) error {
	var set Set
	if len(text) > 0 {
		for part := range strings.SplitSeq(string(text), ",") {
			span, err := ParseSpan(part)
			if err != nil {
				return err
			}
			set = set.Plus(Set{spans: []Span{span}})
		}
	}
	*s = set
	return nil
}
