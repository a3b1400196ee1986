package shell

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// testClause is [[ ]].
func (s *shell) testClause(x syntax.TestExpr) int {
	s.status = 0
	result := s.evaluate(x)
	if s.flow != flowNone || s.status == 2 {
		return s.status
	}
	return flag(result)
}

func (s *shell) evaluate(x syntax.TestExpr) bool {
	switch x := x.(type) {
	case *syntax.ParenTest:
		return s.evaluate(x.X)
	case *syntax.Word:
		value, _ := s.literal(x)
		return value != ""
	case *syntax.UnaryTest:
		if x.Op == syntax.TsNot {
			return !s.evaluate(x.X)
		}
		word, ok := x.X.(*syntax.Word)
		if !ok {
			return false
		}
		value, _ := s.literal(word)
		return s.testUnary(x.Op.String(), value)
	case *syntax.BinaryTest:
		switch x.Op {
		case syntax.AndTest:
			return s.evaluate(x.X) && s.evaluate(x.Y)
		case syntax.OrTest:
			return s.evaluate(x.X) || s.evaluate(x.Y)
		}
		left, okLeft := x.X.(*syntax.Word)
		right, okRight := x.Y.(*syntax.Word)
		return okLeft && okRight && s.compare(left, x.Op, right)
	}
	return false
}

func (s *shell) compare(left *syntax.Word, op syntax.BinTestOperator, right *syntax.Word) bool {
	x, ok := s.literal(left)
	if !ok {
		return false
	}
	switch op {
	case syntax.TsMatch, syntax.TsMatchShort:
		return s.matches(s.pattern(right), x)
	case syntax.TsNoMatch:
		return !s.matches(s.pattern(right), x)
	}
	y, ok := s.literal(right)
	if !ok {
		return false
	}
	switch op {
	case syntax.TsReMatch:
		re, err := compile(y)
		if err != nil {
			s.complain("%v", err)
			s.status = 2
			return false
		}
		groups := re.FindStringSubmatch(x)
		if groups == nil {
			return false
		}
		s.scope.set("BASH_REMATCH", expand.Variable{Set: true, Kind: expand.Indexed, List: groups})
		return true
	case syntax.TsEql, syntax.TsNeq, syntax.TsLeq, syntax.TsGeq, syntax.TsLss, syntax.TsGtr:
		return s.testBinary(s.integer(x), op.String(), s.integer(y))
	}
	return s.testBinary(x, op.String(), y)
}

// integer evaluates an operand of [[ -eq ]], which is an arithmetic expression.
func (s *shell) integer(value string) string {
	expr, err := syntax.NewParser().Arithmetic(strings.NewReader(value))
	if err != nil || expr == nil {
		return value
	}
	return strconv.Itoa(s.arithmetic(expr))
}
