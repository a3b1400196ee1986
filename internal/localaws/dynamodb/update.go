package dynamodb

import (
	"fmt"
	"slices"
	"strings"
)

// action is one change of an update expression: SET path = value, REMOVE path, ADD path :value, DELETE path :value.
type action struct {
	section string
	path    path
	value   *node
}

// update is a parsed UpdateExpression.
type update struct {
	mentions
	actions []action
	// fault is what the text alone shows to be wrong, after its syntax.
	fault error
}

// updateFunctions are the functions and operators of SET with their number of operands.
var updateFunctions = map[string]int{"if_not_exists": 2, "list_append": 2, "+": 2, "-": 2}

var updateSections = []string{"SET", "REMOVE", "ADD", "DELETE"}

func parseUpdate(text string) (*update, error) {
	l, err := begin(text)
	if err != nil {
		return nil, err
	}
	p := &updateParser{conditionParser: conditionParser{lexer: l}}
	u := &update{}
	for first := true; first || l.peek().kind != tokenEnd; first = false {
		if err := p.section(u); err != nil {
			return nil, err
		}
	}
	u.mentions = l.mentions()
	u.fault = p.fault(u)
	return u, nil
}

type updateParser struct {
	conditionParser
	sections []string
}

func (p *updateParser) section(u *update) error {
	at := slices.IndexFunc(updateSections, p.keyword)
	if at < 0 {
		return p.syntax()
	}
	section := updateSections[at]
	p.sections = append(p.sections, section)
	for {
		path, err := p.path()
		if err != nil {
			return err
		}
		a := action{section: section, path: path}
		switch section {
		case "SET":
			if !p.symbol("=") {
				return p.syntax()
			}
			a.value, err = p.setValue()
		case "ADD", "DELETE":
			t := p.peek()
			if t.kind != tokenValue {
				return p.syntax()
			}
			p.advance()
			a.value = &node{kind: nodeValue, text: t.text}
		}
		if err != nil {
			return err
		}
		u.actions = append(u.actions, a)
		if !p.symbol(",") {
			return nil
		}
	}
}

// setValue reads an operand or a sum or difference of two, which may stand in parentheses.
func (p *updateParser) setValue() (*node, error) {
	if !p.symbol("(") {
		return p.sum()
	}
	if p.depth++; p.depth > maxOperators {
		return nil, expressionError(fmt.Sprintf("The expression contains too many operators; operator count: %d", p.depth))
	}
	defer func() { p.depth-- }()
	inner, err := p.setValue()
	if err != nil {
		return nil, err
	}
	if !p.symbol(")") {
		return nil, p.syntax()
	}
	p.redundant = p.redundant || inner.parenthesized
	inner.parenthesized = true
	if !inner.operand() {
		return inner, nil
	}
	return p.sumAfter(inner)
}

func (p *updateParser) sum() (*node, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	return p.sumAfter(left)
}

func (p *updateParser) sumAfter(left *node) (*node, error) {
	operator := p.peek().text
	if !p.symbol("+") && !p.symbol("-") {
		return left, nil
	}
	right, err := p.operand()
	return &node{kind: nodeCompare, text: operator, arguments: []*node{left, right}}, err
}

// fault finds what is wrong whatever the placeholders stand for.
func (p *updateParser) fault(u *update) error {
	if p.redundant {
		return expressionError("The expression has redundant parentheses;")
	}
	for _, look := range []func(n, parent *node) error{unknownUpdateFunction, misusedUpdateFunction} {
		for _, a := range u.actions {
			if a.value == nil {
				continue
			}
			if err := a.value.walk(nil, look); err != nil {
				return err
			}
		}
	}
	for _, a := range u.actions {
		if err := a.path.reservedIn(); err != nil {
			return err
		}
		if a.value != nil {
			if err := a.value.walk(nil, reservedName); err != nil {
				return err
			}
		}
	}
	for i, section := range p.sections {
		if slices.Contains(p.sections[:i], section) {
			return expressionError("The \"" + section + "\" section can only be used once in an update expression;")
		}
	}
	return nil
}

func unknownUpdateFunction(n, _ *node) error {
	if n.kind != nodeFunction {
		return nil
	}
	if _, ok := updateFunctions[n.text]; ok {
		return nil
	}
	if _, ok := conditionFunctions[n.text]; ok {
		return expressionError("The function is not allowed in an update expression; function: " + n.text)
	}
	return expressionError("Invalid function name; function: " + n.text)
}

// misusedUpdateFunction finds a list_append inside of anything.
func misusedUpdateFunction(n, parent *node) error {
	if n.kind == nodeFunction && n.text == "list_append" && parent != nil {
		return expressionError("The function is not allowed to be used this way in an expression; function: list_append")
	}
	return nil
}

// boundAction is an action with its placeholders resolved.
type boundAction struct {
	section string
	path    path
	value   bound
}

// bind resolves the placeholders and checks operands and paths.
func (u *update) bind(h *placeholders) ([]boundAction, error) {
	actions := make([]boundAction, len(u.actions))
	paths := make([]path, len(u.actions))
	var err error
	for i, a := range u.actions {
		actions[i].section = a.section
		if paths[i], err = h.path(a.path); err != nil {
			return nil, err
		}
		actions[i].path = paths[i]
		if a.value == nil {
			continue
		}
		if actions[i].value, err = a.value.resolve(h); err != nil {
			return nil, err
		}
	}
	if err := clashes(paths); err != nil {
		return nil, err
	}
	for _, look := range []func(boundAction) error{boundAction.distinct, boundAction.check} {
		for _, a := range actions {
			if err := look(a); err != nil {
				return nil, err
			}
		}
	}
	return actions, nil
}

// resolve is bind without the checks of conditions.
func (n *node) resolve(h *placeholders) (bound, error) {
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
		if b.arguments[i], err = argument.resolve(h); err != nil {
			return b, err
		}
	}
	return b, nil
}

var typeNames = map[string]string{
	"S": "STRING", "N": "NUMBER", "B": "BINARY", "BOOL": "BOOLEAN", "NULL": "NULL", "L": "LIST", "M": "MAP",
}

// distinct refuses an if_not_exists of an attribute or else the same attribute.
func (a boundAction) distinct() error {
	if a.value.node == nil {
		return nil
	}
	return a.value.distinctDefaults()
}

func (b bound) distinctDefaults() error {
	for _, argument := range b.arguments {
		if err := argument.distinctDefaults(); err != nil {
			return err
		}
	}
	if b.node.text != "if_not_exists" || len(b.arguments) == 0 {
		return nil
	}
	return b.distinct()
}

func (a boundAction) check() error {
	switch a.section {
	case "SET":
		return a.value.checkSet()
	case "ADD", "DELETE":
		kind := a.value.value.kind()
		if strings.HasSuffix(kind, "S") && len(kind) == 2 || a.section == "ADD" && kind == "N" {
			return nil
		}
		return expressionError(fmt.Sprintf("Incorrect operand type for operator or function; operator: %s, operand type: %s, typeSet: ALLOWED_FOR_%s_OPERAND",
			a.section, typeNames[kind], a.section))
	}
	return nil
}

func (b bound) checkSet() error {
	for _, argument := range b.arguments {
		if err := argument.checkSet(); err != nil {
			return err
		}
	}
	if b.node.operand() && b.node.kind != nodeFunction {
		return nil
	}
	if count := updateFunctions[b.node.text]; count != len(b.arguments) {
		return expressionError(fmt.Sprintf("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d",
			b.node.text, len(b.arguments)))
	}
	allowed := map[string]string{"+": "N", "-": "N", "list_append": "L"}[b.node.text]
	if allowed == "" {
		if b.arguments[0].node.kind != nodePath {
			return expressionError("Operator or function requires a document path; operator or function: " + b.node.text)
		}
		return nil
	}
	for _, argument := range b.arguments {
		if argument.value != nil && argument.value.kind() != allowed {
			return operandType(b.node.text, argument.value.kind())
		}
	}
	return nil
}
