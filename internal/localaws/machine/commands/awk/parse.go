package awk

import (
	"fmt"
	"strings"
)

// node is a statement or an expression: an operator with its operands.
type node struct {
	op   string
	text string
	args []*node
}

type token struct{ kind, text string }

type parser struct {
	tokens  []token
	at      int
	inPrint bool // ">" ends an expression of print
	depth   int  // of statements and expressions in each other
}

// maxDepth keeps a program from exhausting the stack.
const maxDepth = 500

// enter counts one level down; what it gives counts it up again.
func (p *parser) enter() func() {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested deeper than %d", maxDepth)
	}
	return func() { p.depth-- }
}

// Parse reads a program.
func Parse(source string) (p *Program, err error) {
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case syntaxError:
			p, err = nil, problem
		default:
			panic(problem)
		}
	}()
	ps := &parser{tokens: tokens}
	return ps.program(), nil
}

type syntaxError string

func (e syntaxError) Error() string { return "syntax error: " + string(e) }

func (p *parser) fail(format string, args ...any) { panic(syntaxError(fmt.Sprintf(format, args...))) }

func (p *parser) peek() token {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return token{"end", "end of program"}
}

func (p *parser) is(text string) bool {
	t := p.peek()
	return t.text == text && t.kind != "string" && t.kind != "regex"
}

func (p *parser) take(text string) bool {
	if p.is(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(text string) {
	if !p.take(text) {
		p.fail("expected %q, got %q", text, p.peek().text)
	}
}

func (p *parser) newlines() {
	for p.is("\n") || p.is(";") {
		p.at++
	}
}

func (p *parser) program() *Program {
	out := &Program{}
	for p.newlines(); p.peek().kind != "end"; p.newlines() {
		switch {
		case p.take("BEGIN"):
			out.begin = append(out.begin, p.block())
		case p.take("END"):
			out.end = append(out.end, p.block())
		default:
			r := rule{index: len(out.rules)}
			if !p.is("{") {
				r.from = p.expression()
				if p.take(",") {
					r.to = p.expression()
				}
			}
			if p.is("{") {
				r.action = p.block()
			}
			out.rules = append(out.rules, r)
		}
	}
	return out
}

func (p *parser) block() *node {
	p.expect("{")
	n := &node{op: "block"}
	for p.newlines(); !p.take("}"); p.newlines() {
		n.args = append(n.args, p.statement())
	}
	return n
}

func (p *parser) body() *node {
	p.skipLines()
	if p.take(";") {
		return &node{op: "block"}
	}
	return p.statement()
}

func (p *parser) skipLines() {
	for p.is("\n") {
		p.at++
	}
}

func (p *parser) statement() *node {
	defer p.enter()()
	switch {
	case p.is("{"):
		return p.block()
	case p.take("if"):
		p.expect("(")
		n := &node{op: "if", args: []*node{p.expression()}}
		p.expect(")")
		n.args = append(n.args, p.body())
		mark := p.at
		p.newlines()
		if p.take("else") {
			n.args = append(n.args, p.body())
		} else {
			p.at = mark
		}
		return n
	case p.take("while"):
		p.expect("(")
		condition := p.expression()
		p.expect(")")
		return &node{op: "while", args: []*node{condition, p.body()}}
	case p.take("for"):
		return p.loop()
	case p.take("next"), p.take("break"), p.take("continue"):
		return &node{op: p.tokens[p.at-1].text}
	case p.take("exit"):
		n := &node{op: "exit"}
		if !p.ended() {
			n.args = append(n.args, p.expression())
		}
		return n
	case p.take("delete"):
		n := &node{op: "delete", text: p.name()}
		if p.take("[") {
			n.args = append(n.args, p.index())
		}
		return n
	case p.is("print"), p.is("printf"):
		return p.output()
	case p.is("getline"), p.is("function"):
		p.fail("this awk has no %s", p.peek().text)
	}
	return &node{op: "expression", args: []*node{p.expression()}}
}

func (p *parser) ended() bool {
	return p.is(";") || p.is("\n") || p.is("}") || p.peek().kind == "end"
}

func (p *parser) name() string {
	t := p.peek()
	if t.kind != "name" {
		p.fail("expected a name, got %q", t.text)
	}
	p.at++
	return t.text
}

func (p *parser) index() *node {
	n := p.expression()
	for links := 0; p.take(","); links++ {
		if links > maxDepth {
			p.fail("an index of more than %d parts", maxDepth)
		}
		n = &node{op: "concat", args: []*node{{op: "concat", args: []*node{n, {op: "name", text: "SUBSEP"}}}, p.expression()}}
	}
	p.expect("]")
	return n
}

func (p *parser) loop() *node {
	p.expect("(")
	if mark := p.at; p.peek().kind == "name" {
		name := p.name()
		if p.take("in") {
			array := p.name()
			p.expect(")")
			return &node{op: "for in", text: name, args: []*node{{op: "name", text: array}, p.body()}}
		}
		p.at = mark
	}
	parts := []*node{nil, nil, nil}
	for i, end := range []string{";", ";", ")"} {
		if !p.is(end) {
			parts[i] = p.expression()
		}
		p.expect(end)
	}
	return &node{op: "for", args: append(parts, p.body())}
}

func (p *parser) output() *node {
	n := &node{op: p.peek().text}
	p.at++
	p.inPrint = true
	defer func() { p.inPrint = false }()
	if !p.ended() {
		n.args = append(n.args, p.expression())
		for p.take(",") {
			p.skipLines()
			n.args = append(n.args, p.expression())
		}
	}
	if len(n.args) == 1 && n.args[0].op == "group" && len(n.args[0].args) > 1 {
		n.args = n.args[0].args
	}
	if p.is(">") || p.is(">>") || p.is("|") {
		p.fail("this awk prints to its standard output only")
	}
	return n
}

func (p *parser) expression() *node { return p.ternary() }

func (p *parser) ternary() *node {
	defer p.enter()()
	n := p.binary(0)
	if p.take("?") {
		yes := p.ternary()
		p.expect(":")
		return &node{op: "?", args: []*node{n, yes, p.ternary()}}
	}
	for _, op := range []string{"=", "+=", "-=", "*=", "/=", "%="} {
		if p.is(op) && (n.op == "name" || n.op == "field" || n.op == "element") {
			p.at++
			right := p.ternary()
			if op != "=" {
				right = &node{op: op[:1], args: []*node{n, right}}
			}
			return &node{op: "=", args: []*node{n, right}}
		}
	}
	return n
}

// levels are the binary operators, the loosest first; concatenation stands between comparison and addition.
var levels = [][]string{{"||"}, {"&&"}, {"in"}, {"~", "!~"}, {"<", "<=", "==", "!=", ">", ">="}, {"concat"}, {"+", "-"}, {"*", "/", "%"}, {"^"}}

func (p *parser) binary(level int) *node {
	if level == len(levels) {
		return p.unary()
	}
	n := p.binary(level + 1)
	for links := 0; ; links++ {
		if links > 20*maxDepth {
			p.fail("an expression of more than %d operators", 20*maxDepth)
		}
		op := ""
		for _, candidate := range levels[level] {
			if p.is(candidate) && !(candidate == ">" && p.inPrint) {
				op = candidate
			}
		}
		switch {
		case op == "in":
			p.at++
			n = &node{op: "in", text: p.name(), args: []*node{n}}
		case op != "":
			p.at++
			p.skipLines()
			n = &node{op: op, args: []*node{n, p.binary(level + 1)}}
		case levels[level][0] == "concat" && p.startsValue():
			n = &node{op: "concat", args: []*node{n, p.binary(level + 1)}}
		default:
			return n
		}
	}
}

func (p *parser) startsValue() bool {
	switch t := p.peek(); t.kind {
	case "number", "string":
		return true
	case "name":
		return t.text != "in"
	default:
		return t.text == "$" || t.text == "("
	}
}

func (p *parser) unary() *node {
	defer p.enter()()
	switch {
	case p.take("!"):
		return &node{op: "!", args: []*node{p.unary()}}
	case p.take("-"):
		return &node{op: "negative", args: []*node{p.unary()}}
	case p.take("+"):
		return p.unary()
	case p.is("++") || p.is("--"):
		op := p.peek().text
		p.at++
		return &node{op: "pre" + op, args: []*node{p.primary()}}
	}
	n := p.primary()
	if p.is("++") || p.is("--") {
		n = &node{op: "post" + p.peek().text, args: []*node{n}}
		p.at++
	}
	return n
}

func (p *parser) primary() *node {
	t := p.peek()
	p.at++
	switch {
	case t.kind == "number" || t.kind == "string" || t.kind == "regex":
		return &node{op: t.kind, text: t.text}
	case t.text == "$":
		defer p.enter()()
		return &node{op: "field", args: []*node{p.increment()}}
	case t.text == "(":
		return p.group()
	case t.kind == "name" && p.is("(") && functions[t.text] != nil:
		p.at++
		n := &node{op: "call", text: t.text}
		for !p.take(")") {
			n.args = append(n.args, p.expression())
			if !p.is(")") {
				p.expect(",")
			}
		}
		return n
	case t.kind == "name" && t.text == "length":
		return &node{op: "call", text: "length"}
	case t.kind == "name" && p.take("["):
		return &node{op: "element", text: t.text, args: []*node{p.index()}}
	case t.kind == "name" && p.is("(") && strings.TrimSpace(t.text) != "":
		p.fail("this awk has no function %s", t.text)
	case t.kind == "name":
		return &node{op: "name", text: t.text}
	}
	p.fail("unexpected %q", t.text)
	return nil
}

// increment is what may follow "$" without parentheses.
func (p *parser) increment() *node {
	if p.is("++") || p.is("--") || p.is("-") {
		return p.unary()
	}
	return p.primary()
}

func (p *parser) group() *node {
	outer := p.inPrint
	p.inPrint = false
	defer func() { p.inPrint = outer }()
	n := &node{op: "group", args: []*node{p.expression()}}
	for p.take(",") {
		n.args = append(n.args, p.expression())
	}
	p.expect(")")
	if len(n.args) == 1 && !outer {
		return n.args[0]
	}
	return n
}
