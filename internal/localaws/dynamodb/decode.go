package dynamodb

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

const (
	maxDepth  = 32
	emptyText = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
	manyText  = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
)

// item reads a map of attribute values.
func (r *reader) item() (Item, error) { return r.mapValue(0) }

func (r *reader) mapValue(depth int) (Item, error) {
	item := Item{}
	err := r.members(func(name string) error {
		if r.literal("null") {
			return invalid("The supplied Item contains a null AttributeValue: %s is null", name)
		}
		value, err := r.nested(depth)
		if err != nil {
			return err
		}
		if name == "" {
			return invalid("Empty attribute name")
		}
		item[name] = value
		return nil
	})
	return item, err
}

// value reads one attribute value.
func (r *reader) value() (Value, error) { return r.nested(0) }

func (r *reader) nested(depth int) (Value, error) {
	if depth > maxDepth {
		return nil, invalid("Nesting Levels have exceeded supported limits")
	}
	var value Value
	err := r.object(func(kind string) error {
		if depth == maxDepth && (kind == "L" || kind == "M") {
			return invalid("Nesting Levels have exceeded supported limits")
		}
		if value != nil {
			return invalid(manyText)
		}
		var err error
		value, err = r.content(kind, depth)
		return err
	})
	if err == nil && value == nil {
		err = invalid(emptyText)
	}
	return value, err
}

func (r *reader) content(kind string, depth int) (Value, error) {
	switch kind {
	case "S":
		s, err := r.string()
		return String(s), err
	case "N":
		s, err := r.string()
		if err != nil {
			return nil, err
		}
		return valueOrError(ParseNumber(s))
	case "B":
		b, err := r.binary()
		return Binary(b), err
	case "BOOL":
		b, err := r.boolean()
		return Bool(b), err
	case "NULL":
		b, err := r.boolean()
		if err == nil && !b {
			err = parameter("Null attribute value types must have the value of true")
		}
		return Null{}, err
	case "SS", "NS", "BS":
		return r.set(kind)
	case "L":
		list := List{}
		err := r.array(func() error {
			element, err := r.nested(depth + 1)
			list = append(list, element)
			return err
		})
		return list, err
	case "M":
		return valueOrError(r.mapValue(depth + 1))
	}
	return nil, invalid(emptyText+": %q is none; expected S, N, B, BOOL, NULL, SS, NS, BS, L or M", kind)
}

// valueOrError keeps a typed zero value from becoming a Value that is not nil.
func valueOrError[T Value](v T, err error) (Value, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (r *reader) binary() (string, error) {
	text, err := r.string()
	if err != nil {
		return "", err
	}
	bytes, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", failure("SerializationException", "%q is not base64 with its padding: %v", text, err)
	}
	return string(bytes), nil
}

func (r *reader) set(kind string) (Value, error) {
	if kind == "BS" {
		return r.binarySet()
	}
	texts, err := r.strings()
	if err != nil {
		return nil, err
	}
	if kind == "NS" {
		return numberSet(texts)
	}
	if len(texts) == 0 {
		return nil, parameter("An string set  may not be empty")
	}
	given := fmt.Sprintf("[%s]", strings.Join(texts, ", "))
	sorted, distinct := sortedSet(texts)
	if !distinct {
		return nil, parameter("Input collection %s contains duplicates.", given)
	}
	return StringSet(sorted), nil
}

func numberSet(texts []string) (Value, error) {
	if len(texts) == 0 {
		return nil, parameter("An number set  may not be empty")
	}
	numbers := make(NumberSet, 0, len(texts))
	for _, text := range texts {
		n, err := ParseNumber(text)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	slices.SortFunc(numbers, Number.Compare)
	if len(slices.Compact(slices.Clone(numbers))) < len(numbers) {
		return nil, invalid("Input collection contains duplicates")
	}
	return numbers, nil
}

func (r *reader) binarySet() (Value, error) {
	set := []string{}
	err := r.array(func() error {
		b, err := r.binary()
		set = append(set, b)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(set) == 0 {
		return nil, parameter("Binary sets should not be empty")
	}
	sorted, distinct := sortedSet(set)
	if !distinct {
		return nil, parameter("Input collection of type BS contains duplicates.")
	}
	return BinarySet(sorted), nil
}
