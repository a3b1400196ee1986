package dynamodb

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
)

// A Value is an attribute value. Values are never changed once they are made: an update makes new ones along its path.
type Value interface {
	// kind is the descriptor under which the value stands on the wire: S, N, B, BOOL, NULL, SS, NS, BS, L, M.
	kind() string
	// size is what the value counts towards an item's 400 KB, without its name.
	size() int
}

type (
	// String is an S.
	String string
	// Binary is a B, as its bytes.
	Binary string
	// Bool is a BOOL.
	Bool bool
	// Null is a NULL.
	Null struct{}
	// StringSet is an SS, sorted.
	StringSet []string
	// NumberSet is an NS, sorted.
	NumberSet []Number
	// BinarySet is a BS, sorted.
	BinarySet []string
	// List is an L.
	List []Value
	// Item is an M, and a whole item.
	Item map[string]Value
)

func (String) kind() string    { return "S" }
func (Number) kind() string    { return "N" }
func (Binary) kind() string    { return "B" }
func (Bool) kind() string      { return "BOOL" }
func (Null) kind() string      { return "NULL" }
func (StringSet) kind() string { return "SS" }
func (NumberSet) kind() string { return "NS" }
func (BinarySet) kind() string { return "BS" }
func (List) kind() string      { return "L" }
func (Item) kind() string      { return "M" }

func (v String) size() int    { return len(v) }
func (v Binary) size() int    { return len(v) }
func (Bool) size() int        { return 1 }
func (Null) size() int        { return 1 }
func (v StringSet) size() int { return lengths(v) }
func (v BinarySet) size() int { return lengths(v) }

func (v NumberSet) size() int {
	total := 0
	for _, n := range v {
		total += n.size()
	}
	return total
}

// A list or map counts three bytes and one for each element.
func (v List) size() int {
	total := 3 + len(v)
	for _, element := range v {
		total += element.size()
	}
	return total
}

func (v Item) size() int { return 3 + len(v) + v.itemSize() }

// itemSize is the size of a whole item: names and values.
func (v Item) itemSize() int {
	total := 0
	for name, value := range v {
		total += len(name) + value.size()
	}
	return total
}

func lengths(values []string) int {
	total := 0
	for _, s := range values {
		total += len(s)
	}
	return total
}

// levels is how many levels of values an item has, its own included; an empty list or map counts as if it held something.
func (v Item) levels() int {
	deepest := 1
	for _, value := range v {
		deepest = max(deepest, levels(value))
	}
	return 1 + deepest
}

func levels(v Value) int {
	switch v := v.(type) {
	case Item:
		return v.levels()
	case List:
		deepest := 1
		for _, value := range v {
			deepest = max(deepest, levels(value))
		}
		return 1 + deepest
	}
	return 1
}

// equal says whether two values are the same. A nil is an attribute that is not there and equals nothing.
func equal(a, b Value) bool {
	switch a := a.(type) {
	case String:
		b, ok := b.(String)
		return ok && a == b
	case Number:
		b, ok := b.(Number)
		return ok && a == b
	case Binary:
		b, ok := b.(Binary)
		return ok && a == b
	case Bool:
		b, ok := b.(Bool)
		return ok && a == b
	case Null:
		_, ok := b.(Null)
		return ok
	case StringSet:
		b, ok := b.(StringSet)
		return ok && slices.Equal(a, b)
	case NumberSet:
		b, ok := b.(NumberSet)
		return ok && slices.Equal(a, b)
	case BinarySet:
		b, ok := b.(BinarySet)
		return ok && slices.Equal(a, b)
	case List:
		b, ok := b.(List)
		return ok && slices.EqualFunc(a, b, equal)
	case Item:
		b, ok := b.(Item)
		return ok && maps.EqualFunc(a, b, equal)
	}
	return false
}

// compare orders two scalars of one sort; ok is false for anything else.
func compare(a, b Value) (order int, ok bool) {
	switch a := a.(type) {
	case String:
		if b, ok := b.(String); ok {
			return strings.Compare(string(a), string(b)), true
		}
	case Binary:
		if b, ok := b.(Binary); ok {
			return strings.Compare(string(a), string(b)), true
		}
	case Number:
		if b, ok := b.(Number); ok {
			return a.Compare(b), true
		}
	}
	return 0, false
}

// sizeOf is what the expression function size gives; of a string the number of its UTF-16 units.
func sizeOf(v Value) (int, bool) {
	switch v := v.(type) {
	case String:
		return len(utf16.Encode([]rune(string(v)))), true
	case Binary:
		return len(v), true
	case StringSet:
		return len(v), true
	case NumberSet:
		return len(v), true
	case BinarySet:
		return len(v), true
	case List:
		return len(v), true
	case Item:
		return len(v), true
	}
	return 0, false
}

// orderedBytes encodes a key's value so that the bytes sort as the values do and no encoding begins another one.
func orderedBytes(to []byte, v Value) []byte {
	switch v := v.(type) {
	case String:
		return append(escapeZeros(to, string(v)), 0, 0)
	case Binary:
		return append(escapeZeros(to, string(v)), 0, 0)
	case Number:
		return orderedNumber(to, v)
	}
	panic("dynamodb: a key attribute is a " + v.kind())
}

func escapeZeros(to []byte, s string) []byte {
	for {
		at := strings.IndexByte(s, 0)
		if at < 0 {
			return append(to, s...)
		}
		to = append(to, s[:at]...)
		to = append(to, 0, 0xff)
		s = s[at+1:]
	}
}

func orderedNumber(to []byte, n Number) []byte {
	exponent := n.exponent + 512
	switch n.sign() {
	case 0:
		return append(to, 1)
	case 1:
		to = append(to, 2, byte(exponent>>8), byte(exponent))
		to = append(to, n.digits...)
		return append(to, 0)
	}
	to = append(to, 0, ^byte(exponent>>8), ^byte(exponent))
	for i := range len(n.digits) {
		to = append(to, ^n.digits[i])
	}
	return append(to, 0xff)
}

// sortedSet sorts the elements and says whether they are all different.
func sortedSet(elements []string) ([]string, bool) {
	slices.Sort(elements)
	return elements, len(slices.Compact(slices.Clone(elements))) == len(elements)
}

// union adds the elements of a set to another of its sort; ok is false for other sorts.
func union(a, b Value) (Value, bool) {
	switch a := a.(type) {
	case StringSet:
		b, ok := b.(StringSet)
		return StringSet(merged(a, b, strings.Compare)), ok
	case BinarySet:
		b, ok := b.(BinarySet)
		return BinarySet(merged(a, b, strings.Compare)), ok
	case NumberSet:
		b, ok := b.(NumberSet)
		return NumberSet(merged(a, b, Number.Compare)), ok
	}
	return nil, false
}

// without removes the elements of a set from another of its sort. The result is nil if nothing is left.
func without(a, b Value) (Value, bool) {
	switch a := a.(type) {
	case StringSet:
		b, ok := b.(StringSet)
		left := StringSet(rest(a, b))
		return orNil(left, len(left)), ok
	case BinarySet:
		b, ok := b.(BinarySet)
		left := BinarySet(rest(a, b))
		return orNil(left, len(left)), ok
	case NumberSet:
		b, ok := b.(NumberSet)
		left := NumberSet(rest(a, b))
		return orNil(left, len(left)), ok
	}
	return nil, false
}

func orNil(v Value, length int) Value {
	if length == 0 {
		return nil
	}
	return v
}

func merged[T comparable](a, b []T, order func(x, y T) int) []T {
	both := append(slices.Clone(a), b...)
	slices.SortFunc(both, order)
	return slices.Compact(both)
}

func rest[T comparable](a, b []T) []T {
	return slices.DeleteFunc(slices.Clone(a), func(element T) bool { return slices.Contains(b, element) })
}

// MarshalJSON writes the item in DynamoDB's JSON.
func (v Item) MarshalJSON() ([]byte, error) { return appendItem(nil, v), nil }

// UnmarshalJSON reads the item from DynamoDB's JSON.
func (v *Item) UnmarshalJSON(text []byte) error {
	r := &reader{data: bytes.TrimSpace(text)}
	item, err := r.item()
	*v = item
	return err
}
