package dynamodb

import (
	"strconv"
	"strings"
)

// statement is a parsed INSERT or UPDATE. Its parts are those of update and condition expressions; the parameters take the
// place of the placeholders.
type statement struct {
	sort       string // Put, Update
	table      string
	parameters int
	item       []assignment // INSERT
	actions    []action     // UPDATE
	where      *node
	returning  string // UpdateItem's ReturnValues; none: empty
	// equalities are the comparisons by = that must all hold: those with key attributes say which item it is.
	equalities []assignment
	// nodes is how many parts the bound form has besides its roots.
	nodes int
}

// assignment is an attribute and the value that it gets or must have.
type assignment struct {
	name  string
	value *node
}

const maxStatement = 8192

func parseStatement(text string) (*statement, error) {
	l, err := lexStatement(text)
	if err != nil {
		return nil, err
	}
	p := &statementParser{statementLexer: l, statement: &statement{}}
	switch {
	case p.keyword("INSERT"):
		err = p.insert()
	case p.keyword("UPDATE"):
		err = p.update()
	case p.atKeyword("SELECT"), p.atKeyword("DELETE"), p.atKeyword("EXISTS"):
		err = p.notServed(strings.ToUpper(p.peek().text) + ", only INSERT and UPDATE")
	default:
		err = p.expected("INSERT or UPDATE")
	}
	if err != nil {
		return nil, err
	}
	p.symbol(";")
	if p.peek().kind != wordEndOfText {
		return nil, p.expected("the end")
	}
	return p.statement, nil
}

type statementParser struct {
	*statementLexer
	statement *statement
	depth     int
}

// insert reads INTO table VALUE {'name': value, …}.
func (p *statementParser) insert() error {
	p.statement.sort = "Put"
	if !p.keyword("INTO") {
		return p.expected("INTO")
	}
	if err := p.table(); err != nil {
		return err
	}
	if !p.keyword("VALUE") {
		return p.expected("VALUE")
	}
	if !p.symbol("{") {
		return p.expected("{")
	}
	for first := true; first || p.symbol(","); first = false {
		if first && p.peek().text == "}" {
			break
		}
		if err := p.attribute(); err != nil {
			return err
		}
	}
	if !p.symbol("}") {
		return p.expected(", or }")
	}
	return nil
}

func (p *statementParser) attribute() error {
	name := p.peek()
	if name.kind != wordString {
		return p.expected("an attribute's name in single quotes")
	}
	if name.text == "" {
		return p.wrong(name.at, "an attribute's name is empty")
	}
	for _, other := range p.statement.item {
		if other.name == name.text {
			return p.wrong(name.at, "the attribute %s is given twice", name.text)
		}
	}
	p.take()
	if !p.symbol(":") {
		return p.expected(":")
	}
	value, err := p.value()
	p.statement.item = append(p.statement.item, assignment{name: name.text, value: value})
	return err
}

// update reads table SET path = value … REMOVE path … WHERE condition.
func (p *statementParser) update() error {
	p.statement.sort = "Update"
	if err := p.table(); err != nil {
		return err
	}
	for !p.atKeyword("WHERE") {
		if err := p.clause(); err != nil {
			return err
		}
	}
	if p.statement.actions == nil {
		return p.expected("SET or REMOVE")
	}
	p.take()
	where, err := p.or()
	if err != nil {
		return err
	}
	p.statement.where = where
	if err := p.returning(); err != nil {
		return err
	}
	p.findEqualities(where)
	var paths []path
	for _, a := range p.statement.actions {
		paths = append(paths, a.path)
	}
	return clashes(paths)
}

// returning reads RETURNING (ALL | MODIFIED) (OLD | NEW) *.
func (p *statementParser) returning() error {
	if !p.keyword("RETURNING") {
		return nil
	}
	switch {
	case p.keyword("ALL"):
		p.statement.returning = "ALL"
	case p.keyword("MODIFIED"):
		p.statement.returning = "UPDATED"
	default:
		return p.expected("ALL or MODIFIED")
	}
	switch {
	case p.keyword("OLD"):
		p.statement.returning += "_OLD"
	case p.keyword("NEW"):
		p.statement.returning += "_NEW"
	default:
		return p.expected("OLD or NEW")
	}
	if !p.symbol("*") {
		return p.expected("*")
	}
	return nil
}

// clause reads one SET, of which several parts may follow each other by commas, or one REMOVE of one path.
func (p *statementParser) clause() error {
	switch {
	case p.keyword("REMOVE"):
		path, err := p.path()
		p.statement.actions = append(p.statement.actions, action{section: "REMOVE", path: path})
		if err == nil && p.peek().text == "," && p.peek().kind == wordSymbol {
			err = p.expected("another REMOVE or WHERE")
		}
		return err
	case !p.keyword("SET"):
		return p.expected("SET, REMOVE or WHERE")
	}
	for {
		a := action{section: "SET"}
		var err error
		if a.path, err = p.path(); err != nil {
			return err
		}
		if !p.symbol("=") {
			return p.expected("=")
		}
		if a.value, err = p.sum(); err != nil {
			return err
		}
		p.statement.actions = append(p.statement.actions, a)
		if !p.symbol(",") {
			return nil
		}
	}
}

// sum reads an operand, or the sum or difference of two.
func (p *statementParser) sum() (*node, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	operator := p.peek().text
	if !p.symbol("+") && !p.symbol("-") {
		return left, nil
	}
	right, err := p.operand()
	p.statement.nodes += 2
	return &node{kind: nodeCompare, text: operator, arguments: []*node{left, right}}, err
}

func (p *statementParser) operand() (*node, error) {
	w := p.peek()
	if w.kind == wordQuoted || w.kind == wordBare && !isKeyword(w.text) {
		path, err := p.path()
		return &node{kind: nodePath, path: path}, err
	}
	return p.value()
}

// value reads a parameter or a literal.
func (p *statementParser) value() (*node, error) {
	n := &node{kind: nodeValue}
	w := p.peek()
	switch {
	case w.kind == wordParameter:
		n.parameter = p.statement.parameters
		p.statement.parameters++
	case w.kind == wordString:
		n.value = String(w.text)
	case w.kind == wordNumber, w.kind == wordSymbol && w.text == "-" && p.words[p.next+1].kind == wordNumber:
		return n, p.number(n)
	case p.atKeyword("TRUE"), p.atKeyword("FALSE"):
		n.value = Bool(p.atKeyword("TRUE"))
	case p.atKeyword("NULL"):
		n.value = Null{}
	case w.kind == wordSymbol && strings.Contains("[{<", w.text) && w.text != "":
		return nil, p.notServed("lists, maps and sets as literals: give a parameter")
	case w.kind == wordBare && p.words[p.next+1].text == "(":
		return nil, p.notServed("functions")
	default:
		return nil, p.expected("a parameter (?) or a literal")
	}
	p.take()
	return n, nil
}

func (p *statementParser) number(n *node) error {
	text := ""
	if p.symbol("-") {
		text = "-"
	}
	w := p.take()
	number, err := ParseNumber(text + w.text)
	if err != nil {
		return p.wrong(w.at, "%s is no number that DynamoDB can hold", text+w.text)
	}
	n.value = number
	return nil
}

func (p *statementParser) table() error {
	name, err := p.name("a table's name")
	if err != nil {
		return err
	}
	p.statement.table = name
	if p.symbol(".") {
		return expressionError("This operation is not supported on an index")
	}
	return nil
}

// name reads an identifier, bare or in double quotes.
func (p *statementParser) name(what string) (string, error) {
	w := p.peek()
	switch {
	case w.kind == wordBare && isKeyword(w.text):
		return "", p.wrong(w.at, "expected %s, not the keyword %s: put a name that is one in double quotes", what, w.text)
	case w.kind == wordQuoted && w.text == "":
		return "", p.wrong(w.at, "expected %s, which cannot be empty,", what)
	case w.kind == wordBare, w.kind == wordQuoted:
		p.take()
		return w.text, nil
	}
	return "", p.expected(what)
}

// path reads an attribute's name and what may lead into its value.
func (p *statementParser) path() (path, error) {
	name, err := p.name("an attribute's name")
	if err != nil {
		return nil, err
	}
	if w := p.peek(); w.kind == wordSymbol && w.text == "(" {
		return nil, p.notServed("functions")
	}
	all := path{{name: name, index: -1}}
	for {
		switch {
		case p.symbol("."):
			if name, err = p.name("an attribute's name"); err != nil {
				return nil, err
			}
			all = append(all, step{name: name, index: -1})
		case p.symbol("["):
			w := p.peek()
			index, err := strconv.ParseUint(w.text, 10, 31)
			if w.kind != wordNumber || err != nil {
				return nil, p.expected("a list's index")
			}
			p.take()
			if !p.symbol("]") {
				return nil, p.expected("]")
			}
			all = append(all, step{index: int(index)})
		default:
			return all, nil
		}
		if len(all) > maxDepth {
			return nil, p.wrong(p.peek().at, "the document path has more than %d levels", maxDepth)
		}
	}
}
