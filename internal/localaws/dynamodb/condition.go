package dynamodb

import (
	"fmt"
	"slices"
)

type nodeKind byte

const (
	nodePath     nodeKind = iota // an attribute
	nodeValue                    // a :placeholder; in statements a parameter or a literal
	nodeFunction                 // name(arguments)
	nodeCompare                  // = <> < <= > >=
	nodeBetween
	nodeIn
	nodeAnd
	nodeOr
	nodeNot
)

// node is a part of a parsed condition, key condition or filter.
type node struct {
	kind nodeKind
	// text is the operator, the function's name or the value's placeholder.
	text      string
	path      path
	arguments []*node
	// value is a statement's literal; without one, parameter is the index of the parameter.
	value     Value
	parameter int
	// parenthesized says that the node stands in parentheses of its own.
	parenthesized bool
}

func (n *node) operand() bool {
	return n.kind == nodePath || n.kind == nodeValue || n.kind == nodeFunction
}

// condition is a parsed condition expression.
type condition struct {
	mentions
	root *node
	// fault is what the text alone shows to be wrong, after its syntax.
	fault error
}

const (
	maxExpression = 4096
	maxOperators  = 300
	maxIn         = 100
)

// parseCondition parses a ConditionExpression, FilterExpression or KeyConditionExpression.
func parseCondition(text string) (*condition, error) {
	l, err := begin(text)
	if err != nil {
		return nil, err
	}
	p := &conditionParser{lexer: l}
	root, err := p.or()
	if err == nil && (l.peek().kind != tokenEnd || root.kind == nodePath || root.kind == nodeValue) {
		err = l.syntax()
	}
	if err != nil {
		return nil, err
	}
	c := &condition{mentions: l.mentions(), root: root}
	c.fault = p.fault(root)
	return c, nil
}

func begin(text string) (*lexer, error) {
	if text == "" {
		return nil, expressionError("The expression can not be empty;")
	}
	if len(text) > maxExpression {
		return nil, expressionError(fmt.Sprintf("Expression size has exceeded the maximum allowed size; expression size: %d", len(text)))
	}
	return lex(text), nil
}

type conditionParser struct {
	*lexer
	depth     int
	redundant bool
}

func (p *conditionParser) or() (*node, error) { return p.chain(nodeOr, "OR", p.and) }

func (p *conditionParser) and() (*node, error) { return p.chain(nodeAnd, "AND", p.not) }

func (p *conditionParser) chain(kind nodeKind, word string, part func() (*node, error)) (*node, error) {
	first, err := part()
	if err != nil || !p.atKeyword(word) {
		return first, err
	}
	all := &node{kind: kind, text: word, arguments: []*node{first}}
	for {
		last := all.arguments[len(all.arguments)-1]
		if last.kind == nodePath || last.kind == nodeValue {
			return nil, p.syntax()
		}
		if !p.keyword(word) {
			return all, nil
		}
		next, err := part()
		if err != nil {
			return nil, err
		}
		all.arguments = append(all.arguments, next)
	}
}

func (p *conditionParser) not() (*node, error) {
	if !p.keyword("NOT") {
		return p.comparison()
	}
	if p.depth++; p.depth > maxOperators {
		return nil, expressionError(fmt.Sprintf("The expression contains too many operators; operator count: %d", p.depth))
	}
	defer func() { p.depth-- }()
	negated, err := p.not()
	if err != nil {
		return nil, err
	}
	if negated.kind == nodePath || negated.kind == nodeValue {
		return nil, p.syntax()
	}
	return &node{kind: nodeNot, text: "NOT", arguments: []*node{negated}}, nil
}

// comparison reads an operand and what may follow it; a condition in parentheses and a function stand alone.
func (p *conditionParser) comparison() (*node, error) {
	left, err := p.primary()
	if err != nil || !left.operand() {
		return left, err
	}
	t := p.peek()
	switch {
	case t.kind == tokenSymbol && slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, t.text):
		p.advance()
		right, err := p.operand()
		return &node{kind: nodeCompare, text: t.text, arguments: []*node{left, right}}, err
	case p.keyword("BETWEEN"):
		low, err := p.operand()
		if err != nil {
			return nil, err
		}
		if !p.keyword("AND") {
			return nil, p.syntax()
		}
		high, err := p.operand()
		return &node{kind: nodeBetween, text: "BETWEEN", arguments: []*node{left, low, high}}, err
	case p.keyword("IN"):
		if !p.symbol("(") {
			return nil, p.syntax()
		}
		list, err := p.operands()
		return &node{kind: nodeIn, text: "IN", arguments: append([]*node{left}, list...)}, err
	}
	return left, nil
}

// primary reads an operand or anything in parentheses: which of both it is shows what follows.
func (p *conditionParser) primary() (*node, error) {
	if !p.symbol("(") {
		return p.atom()
	}
	if p.depth++; p.depth > maxOperators {
		return nil, expressionError(fmt.Sprintf("The expression contains too many operators; operator count: %d", p.depth))
	}
	defer func() { p.depth-- }()
	inner, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.symbol(")") {
		return nil, p.syntax()
	}
	p.redundant = p.redundant || inner.parenthesized
	inner.parenthesized = true
	return inner, nil
}

// operand reads what stands on a side of an operator.
func (p *conditionParser) operand() (*node, error) {
	if !p.symbol("(") {
		return p.atom()
	}
	if p.depth++; p.depth > maxOperators {
		return nil, expressionError(fmt.Sprintf("The expression contains too many operators; operator count: %d", p.depth))
	}
	defer func() { p.depth-- }()
	inner, err := p.operand()
	if err != nil {
		return nil, err
	}
	if !p.symbol(")") {
		return nil, p.syntax()
	}
	p.redundant = p.redundant || inner.parenthesized
	inner.parenthesized = true
	return inner, nil
}

func (p *conditionParser) atom() (*node, error) {
	t := p.peek()
	switch t.kind {
	case tokenValue:
		p.advance()
		return &node{kind: nodeValue, text: t.text}, nil
	case tokenWord:
		if slices.ContainsFunc([]string{"AND", "OR", "NOT", "BETWEEN", "IN"}, p.atKeyword) {
			return nil, p.syntax()
		}
		if after := p.tokens[p.at+1]; after.text == "(" {
			p.advance()
			p.advance()
			arguments, err := p.operands()
			return &node{kind: nodeFunction, text: t.text, arguments: arguments}, err
		}
	}
	path, err := p.path()
	return &node{kind: nodePath, path: path}, err
}

// operands reads a list of operands and its closing parenthesis.
func (p *conditionParser) operands() ([]*node, error) {
	var list []*node
	for {
		if p.depth++; p.depth > maxOperators {
			return nil, expressionError(fmt.Sprintf("The expression contains too many operators; operator count: %d", p.depth))
		}
		operand, err := p.operand()
		p.depth--
		if err != nil {
			return nil, err
		}
		list = append(list, operand)
		if p.symbol(",") {
			continue
		}
		if !p.symbol(")") {
			return nil, p.syntax()
		}
		return list, nil
	}
}
