package dynamodb

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// step is one element of a document path: an attribute's or map key's name, or a list index.
type step struct {
	name  string // as written: a name or a #placeholder
	index int    // -1 for names
}

// path is a document path as an expression writes it. resolved paths have no placeholders left.
type path []step

func (s step) isIndex() bool { return s.index >= 0 }

func (s step) String() string {
	if s.isIndex() {
		return fmt.Sprintf("[%d]", s.index)
	}
	return s.name
}

// String is the path as AWS's messages write it: [a, [0], b].
func (p path) String() string {
	texts := make([]string, len(p))
	for i, s := range p {
		texts[i] = s.String()
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// path reads a document path; keywords says which words cannot be names here.
func (l *lexer) path() (path, error) {
	first, err := l.pathName()
	if err != nil {
		return nil, err
	}
	p := path{first}
	for {
		switch {
		case l.symbol("."):
			next, err := l.pathName()
			if err != nil {
				return nil, err
			}
			p = append(p, next)
		case l.symbol("["):
			t := l.peek()
			if t.kind != tokenIndex {
				return nil, l.syntax()
			}
			l.advance()
			if l.peek().text != "]" {
				return nil, l.syntax()
			}
			l.advance()
			index, err := strconv.Atoi(t.text)
			if err != nil || index > math.MaxInt32 {
				return nil, expressionError("List index is not within the allowable range; index: [" + t.text + "]")
			}
			p = append(p, step{index: index})
		default:
			return p, nil
		}
		if len(p) > maxDepth {
			return nil, expressionError(fmt.Sprintf("The document path has too many nesting levels; nesting levels: %d", len(p)))
		}
	}
}

func (l *lexer) pathName() (step, error) {
	t := l.peek()
	if t.kind != tokenWord && t.kind != tokenName {
		return step{}, l.syntax()
	}
	l.advance()
	return step{name: t.text, index: -1}, nil
}

// reservedIn is the error for the first reserved word in the path.
func (p path) reservedIn() error {
	for _, s := range p {
		if !s.isIndex() && isReserved(s.name) {
			return expressionError("Attribute name is a reserved keyword; reserved keyword: " + s.name)
		}
	}
	return nil
}

// look follows the path from an item's attribute into the value; nil if there is nothing.
func (p path) look(item Item) Value {
	if len(p) == 0 {
		return nil
	}
	value := item[p[0].name]
	for _, s := range p[1:] {
		value = s.in(value)
	}
	return value
}

func (s step) in(value Value) Value {
	switch value := value.(type) {
	case Item:
		if !s.isIndex() {
			return value[s.name]
		}
	case List:
		if s.isIndex() && s.index < len(value) {
			return value[s.index]
		}
	}
	return nil
}

// clash is the error of two paths of which one lies in the other, or that differ in sort where they part.
func clash(one, two path) error {
	for i := range min(len(one), len(two)) {
		if one[i].isIndex() != two[i].isIndex() {
			return expressionError(fmt.Sprintf("Two document paths conflict with each other; must remove or rewrite one of these paths; "+
				"path one: %v, path two: %v", one, two))
		}
		if one[i] != two[i] {
			return nil
		}
	}
	return expressionError(fmt.Sprintf("Two document paths overlap with each other; must remove or rewrite one of these paths; "+
		"path one: %v, path two: %v", one, two))
}

func clashes(paths []path) error {
	for i, two := range paths {
		for _, one := range paths[:i] {
			if err := clash(one, two); err != nil {
				return err
			}
		}
	}
	return nil
}
