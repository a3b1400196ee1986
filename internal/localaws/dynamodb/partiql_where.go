package dynamodb

import (
	"slices"
	"strings"
)

// or reads a WHERE's condition into the nodes that a ConditionExpression gives.
func (p *statementParser) or() (*node, error) { return p.chain(nodeOr, "OR", p.and) }

func (p *statementParser) and() (*node, error) { return p.chain(nodeAnd, "AND", p.not) }

func (p *statementParser) chain(kind nodeKind, word string, part func() (*node, error)) (*node, error) {
	first, err := part()
	if err != nil || !p.atKeyword(word) {
		return first, err
	}
	all := &node{kind: kind, text: word, arguments: []*node{first}}
	for p.keyword(word) {
		next, err := part()
		if err != nil {
			return nil, err
		}
		all.arguments = append(all.arguments, next)
	}
	p.statement.nodes += len(all.arguments)
	return all, nil
}

func (p *statementParser) not() (*node, error) {
	if !p.keyword("NOT") {
		return p.comparison()
	}
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	negated, err := p.not()
	p.statement.nodes++
	return &node{kind: nodeNot, text: "NOT", arguments: []*node{negated}}, err
}

func (p *statementParser) deeper() error {
	if p.depth++; p.depth > maxOperators {
		return p.wrong(p.peek().at, "the condition is nested more than %d levels deep", maxOperators)
	}
	return nil
}

// comparison reads a condition in parentheses, a comparison, or IS MISSING.
func (p *statementParser) comparison() (*node, error) {
	if p.symbol("(") {
		if err := p.deeper(); err != nil {
			return nil, err
		}
		defer func() { p.depth-- }()
		inner, err := p.or()
		if err == nil && !p.symbol(")") {
			err = p.expected(")")
		}
		return inner, err
	}
	w := p.peek()
	if name := strings.ToLower(w.text); w.kind == wordBare && p.words[p.next+1].text == "(" && slices.Contains(statementFunctions, name) {
		p.take()
		return p.function(name)
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	w = p.peek()
	switch {
	case w.kind == wordSymbol && slices.Contains([]string{"=", "<>", "!=", "<", "<=", ">", ">="}, w.text):
		p.take()
		if w.text == "!=" {
			w.text = "<>"
		}
		right, err := p.operand()
		p.statement.nodes += 2
		return &node{kind: nodeCompare, text: w.text, arguments: []*node{left, right}}, err
	case p.keyword("IS"):
		return p.missing(left)
	case p.atKeyword("IN"), p.atKeyword("BETWEEN"):
		return nil, p.notServed("IN and BETWEEN")
	}
	return nil, p.expected("a comparison (=, <>, <, <=, >, >=) or IS MISSING")
}

// statementFunctions are the conditions with two operands in parentheses.
var statementFunctions = []string{"attribute_type", "begins_with", "contains"}

// function reads a function's operands.
func (p *statementParser) function(name string) (*node, error) {
	all := &node{kind: nodeFunction, text: name}
	for i, before := range []string{"(", ","} {
		if !p.symbol(before) {
			return nil, p.expected(before)
		}
		operand, err := p.operand()
		if err != nil {
			return nil, err
		}
		if i == 0 && operand.kind != nodePath {
			return nil, p.expected(name + " of an attribute")
		}
		all.arguments = append(all.arguments, operand)
	}
	if !p.symbol(")") {
		return nil, p.expected(")")
	}
	p.statement.nodes += len(all.arguments)
	return all, nil
}

// missing reads what follows IS.
func (p *statementParser) missing(left *node) (*node, error) {
	function := "attribute_not_exists"
	if p.keyword("NOT") {
		function = "attribute_exists"
	}
	if left.kind != nodePath {
		return nil, p.expected("IS behind an attribute")
	}
	if !p.keyword("MISSING") {
		return nil, p.expected("MISSING")
	}
	p.statement.nodes++
	return &node{kind: nodeFunction, text: function, arguments: []*node{left}}, nil
}

// findEqualities gathers what the condition demands by = whatever else it says.
func (p *statementParser) findEqualities(n *node) {
	switch {
	case n.kind == nodeAnd:
		for _, argument := range n.arguments {
			p.findEqualities(argument)
		}
	case n.kind == nodeCompare && n.text == "=":
		left, right := n.arguments[0], n.arguments[1]
		if left.kind == nodeValue {
			left, right = right, left
		}
		if left.kind == nodePath && len(left.path) == 1 && right.kind == nodeValue {
			p.statement.equalities = append(p.statement.equalities, assignment{name: left.path[0].name, value: right})
		}
	}
}
