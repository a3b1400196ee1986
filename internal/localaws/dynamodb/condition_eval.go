package dynamodb

import (
	"slices"
	"strings"
)

// holds says whether the item, nil if there is none, fulfils the condition.
func (b bound) holds(item Item) bool {
	switch b.node.kind {
	case nodeAnd:
		return !slices.ContainsFunc(b.arguments, func(part bound) bool { return !part.holds(item) })
	case nodeOr:
		return slices.ContainsFunc(b.arguments, func(part bound) bool { return part.holds(item) })
	case nodeNot:
		return !b.arguments[0].holds(item)
	case nodeFunction:
		return b.function(item)
	}
	left := b.arguments[0].of(item)
	switch b.node.kind {
	case nodeCompare:
		return compares(b.node.text, left, b.arguments[1].of(item))
	case nodeBetween:
		return compares(">=", left, b.arguments[1].of(item)) && compares("<=", left, b.arguments[2].of(item))
	case nodeIn:
		return slices.ContainsFunc(b.arguments[1:], func(one bound) bool { return equal(left, one.of(item)) })
	}
	return false
}

// of is the operand's value in the item, nil if it has none.
func (b bound) of(item Item) Value {
	switch b.node.kind {
	case nodeValue:
		return b.value
	case nodePath:
		return b.path.look(item)
	}
	if size, ok := sizeOf(b.arguments[0].of(item)); ok {
		return NumberOf(int64(size))
	}
	return nil
}

func compares(operator string, left, right Value) bool {
	switch operator {
	case "=":
		return equal(left, right)
	case "<>":
		return !equal(left, right)
	}
	order, ok := compare(left, right)
	if !ok {
		return false
	}
	switch operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func (b bound) function(item Item) bool {
	first := b.arguments[0].of(item)
	switch b.node.text {
	case "attribute_exists":
		return first != nil
	case "attribute_not_exists":
		return first == nil
	}
	second := b.arguments[1].of(item)
	switch b.node.text {
	case "attribute_type":
		name, ok := second.(String)
		return ok && first != nil && first.kind() == string(name)
	case "begins_with":
		return beginsWith(first, second)
	}
	return contains(first, second)
}

func beginsWith(value, prefix Value) bool {
	switch value := value.(type) {
	case String:
		prefix, ok := prefix.(String)
		return ok && strings.HasPrefix(string(value), string(prefix))
	case Binary:
		prefix, ok := prefix.(Binary)
		return ok && strings.HasPrefix(string(value), string(prefix))
	}
	return false
}

func contains(value, part Value) bool {
	switch value := value.(type) {
	case String:
		part, ok := part.(String)
		return ok && strings.Contains(string(value), string(part))
	case Binary:
		part, ok := part.(Binary)
		return ok && strings.Contains(string(value), string(part))
	case StringSet:
		part, ok := part.(String)
		return ok && slices.Contains(value, string(part))
	case BinarySet:
		part, ok := part.(Binary)
		return ok && slices.Contains(value, string(part))
	case NumberSet:
		part, ok := part.(Number)
		return ok && slices.Contains(value, part)
	case List:
		return slices.ContainsFunc(value, func(element Value) bool { return equal(element, part) })
	}
	return false
}
