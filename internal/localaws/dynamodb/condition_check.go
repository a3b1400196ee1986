package dynamodb

import (
	"fmt"
	"slices"
)

// conditionFunctions are the functions of conditions with their number of operands.
var conditionFunctions = map[string]int{
	"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2, "size": 1,
}

// fault finds what is wrong whatever the placeholders stand for, in AWS's order: parentheses, functions, reserved words.
func (p *conditionParser) fault(root *node) error {
	if p.redundant {
		return expressionError("The expression has redundant parentheses;")
	}
	operators := 0
	for _, look := range []func(n, parent *node) error{unknownFunction, misusedFunction, reservedName, func(n, _ *node) error {
		if !n.operand() || n.kind == nodeFunction {
			operators++
		}
		if n.kind == nodeIn && len(n.arguments) > maxIn+1 {
			return expressionError(fmt.Sprintf("The IN operator is provided with too many operands; number of operands: %d", len(n.arguments)-1))
		}
		return nil
	}} {
		if err := root.walk(nil, look); err != nil {
			return err
		}
	}
	if operators > maxOperators {
		return expressionError(fmt.Sprintf("The expression contains too many operators; operator count: %d", operators))
	}
	return nil
}

func (n *node) walk(parent *node, look func(n, parent *node) error) error {
	if err := look(n, parent); err != nil {
		return err
	}
	for _, argument := range n.arguments {
		if err := argument.walk(n, look); err != nil {
			return err
		}
	}
	return nil
}

func unknownFunction(n, _ *node) error {
	if n.kind != nodeFunction {
		return nil
	}
	if _, ok := conditionFunctions[n.text]; ok {
		return nil
	}
	if _, ok := updateFunctions[n.text]; ok {
		return expressionError("The function is not allowed in a condition expression; function: " + n.text)
	}
	return expressionError("Invalid function name; function: " + n.text)
}

// misusedFunction finds a size that stands as a condition and any other function that stands as an operand.
func misusedFunction(n, parent *node) error {
	if n.kind != nodeFunction {
		return nil
	}
	asOperand := parent != nil && parent.kind != nodeAnd && parent.kind != nodeOr && parent.kind != nodeNot
	if asOperand != (n.text == "size") {
		return expressionError("The function is not allowed to be used this way in an expression; function: " + n.text)
	}
	return nil
}

func reservedName(n, _ *node) error {
	if n.kind != nodePath {
		return nil
	}
	return n.path.reservedIn()
}

// bound is a node with its placeholders resolved.
type bound struct {
	node      *node
	value     Value
	path      path
	arguments []bound
}

// bind resolves the placeholders and checks the operands, part by part from the left.
func (n *node) bind(h *placeholders) (bound, error) {
	b := bound{node: n}
	var err error
	switch n.kind {
	case nodePath:
		b.path, err = h.path(n.path)
		return b, err
	case nodeValue:
		b.value, err = h.value(n.text)
		return b, err
	}
	b.arguments = make([]bound, len(n.arguments))
	for i, argument := range n.arguments {
		if b.arguments[i], err = argument.bind(h); err != nil {
			return b, err
		}
	}
	return b, b.check()
}

func (b bound) check() error {
	arguments := b.arguments
	switch b.node.kind {
	case nodeFunction:
		if count := conditionFunctions[b.node.text]; count != len(arguments) {
			return expressionError(fmt.Sprintf("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d",
				b.node.text, len(arguments)))
		}
	case nodeCompare, nodeBetween, nodeIn:
	default:
		return nil
	}
	if err := b.distinct(); err != nil {
		return err
	}
	switch b.node.kind {
	case nodeFunction:
		return b.checkFunction()
	case nodeCompare:
		if b.node.text != "=" && b.node.text != "<>" {
			return b.kinds(arguments, "S", "N", "B")
		}
	case nodeBetween:
		if err := b.kinds(arguments, "S", "N", "B"); err != nil {
			return err
		}
		return checkBounds(arguments[1].value, arguments[2].value)
	}
	return nil
}

// paths adds the document paths in the expression to those given.
func (b bound) paths(all []path) []path {
	if b.node.kind == nodePath {
		all = append(all, b.path)
	}
	for _, argument := range b.arguments {
		all = argument.paths(all)
	}
	return all
}

// distinct refuses an attribute that is compared with itself.
func (b bound) distinct() error {
	first := b.arguments[0]
	if first.node.kind != nodePath {
		return nil
	}
	for _, other := range b.arguments[1:] {
		if other.node.kind == nodePath && slices.Equal(first.path, other.path) {
			return expressionError(fmt.Sprintf("The first operand must be distinct from the remaining operands for this operator or function; "+
				"operator: %s, first operand: %v", b.node.text, first.path))
		}
	}
	return nil
}

func (b bound) checkFunction() error {
	first := b.arguments[0]
	switch b.node.text {
	case "attribute_exists", "attribute_not_exists":
		if first.node.kind != nodePath {
			return expressionError("Operator or function requires a document path; operator or function: " + b.node.text)
		}
	case "begins_with":
		return b.kinds(b.arguments, "S", "B")
	case "size":
		return b.kinds(b.arguments, "S", "B", "SS", "NS", "BS", "L", "M")
	case "attribute_type":
		second := b.arguments[1]
		if second.kind() == "" {
			return operandType(b.node.text, "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}")
		}
		if err := b.kinds(b.arguments[1:], "S"); err != nil {
			return err
		}
		if name, ok := second.value.(String); ok && !slices.Contains([]string{"S", "N", "B", "NULL", "SS", "BOOL", "L", "BS", "NS", "M"}, string(name)) {
			return expressionError("Invalid attribute type name found; type: " + string(name) + ", valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}")
		}
	}
	return nil
}

// kind is the type that the operand is known to have, empty for attributes.
func (b bound) kind() string {
	switch {
	case b.value != nil:
		return b.value.kind()
	case b.node.kind == nodeFunction:
		return "N"
	}
	return ""
}

// kinds checks that each operand whose type is known has one of the types.
func (b bound) kinds(operands []bound, allowed ...string) error {
	for _, operand := range operands {
		if kind := operand.kind(); kind != "" && !slices.Contains(allowed, kind) {
			return operandType(b.node.text, kind)
		}
	}
	return nil
}

func operandType(operator, kind string) error {
	return expressionError("Incorrect operand type for operator or function; operator or function: " + operator + ", operand type: " + kind)
}

func checkBounds(low, high Value) error {
	if low == nil || high == nil {
		return nil
	}
	rule := ""
	if order, same := compare(low, high); !same {
		rule = "same data type for lower and upper bounds"
	} else if order > 0 {
		rule = "upper bound to be greater than or equal to lower bound"
	}
	if rule == "" {
		return nil
	}
	return expressionError(fmt.Sprintf("The BETWEEN operator requires %s; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s",
		rule, shown(low), shown(high)))
}

// shown is a scalar as AWS's messages write it.
func shown(v Value) string {
	switch v := v.(type) {
	case String:
		return "{S:" + string(v) + "}"
	case Number:
		return "{N:" + v.String() + "}"
	}
	return "{" + v.kind() + ":" + string(appendValue(nil, v)) + "}"
}
