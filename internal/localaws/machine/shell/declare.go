package shell

import (
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// attributes are what declare, local, export and readonly give a variable.
type attributes struct {
	local, global, export, unexport, readonly, print, functions bool
	kind                                                        expand.ValueKind
}

func (a attributes) apply(v *expand.Variable) {
	v.Exported = v.Exported && !a.unexport || a.export
	v.ReadOnly = v.ReadOnly || a.readonly
	if a.kind == expand.NameRef && v.Kind == expand.String {
		v.Kind = expand.NameRef
	}
}

func (s *shell) declare(cmd *syntax.DeclClause) {
	a := attributes{}
	switch cmd.Variant.Value {
	case "export":
		a.export = true
	case "readonly":
		a.readonly = true
	case "nameref":
		a.kind = expand.NameRef
	case "local":
		if s.functions == 0 {
			s.complain("local: can only be used in a function")
			s.status = 1
			return
		}
		a.local = true
	default:
		a.local = s.functions > 0
	}
	named, status := false, 0
	for _, arg := range cmd.Args {
		if arg.Name == nil {
			if code := s.declareWords(cmd.Variant.Value, arg, &a, &named); code != 0 {
				status = code
			}
			continue
		}
		named = true
		if !s.declareOne(arg, a) {
			status = 1
		}
	}
	if !named && status == 0 {
		s.printVariables(a)
	}
	// The status of a command substitution in a value is lost here, as in every shell.
	if s.flow == flowNone {
		s.status = status
	}
}

// declareWords handles options and arguments that only expansion tells, such as "$name=1". It returns the status.
func (s *shell) declareWords(command string, arg *syntax.Assign, a *attributes, named *bool) int {
	words, ok := s.fields(arg.Value)
	if !ok {
		return 1
	}
	status := 0
	for _, word := range words {
		if len(word) > 1 && (word[0] == '-' || word[0] == '+') {
			if !a.option(word) {
				s.complain("%s: %s: invalid option", command, word)
				return 2
			}
			continue
		}
		*named = true
		name, value, hasValue := strings.Cut(word, "=")
		as := &syntax.Assign{Name: &syntax.Lit{Value: name}, Naked: !hasValue}
		if hasValue {
			as.Value = &syntax.Word{Parts: []syntax.WordPart{&syntax.SglQuoted{Value: value}}}
		}
		if !syntax.ValidName(name) && !a.functions {
			s.complain("%s: `%s': not a valid identifier", command, word)
			status = 1
		} else if !s.declareOne(as, *a) {
			status = 1
		}
	}
	return status
}

func (a *attributes) option(word string) bool {
	on := word[0] == '-'
	for _, letter := range word[1:] {
		switch letter {
		case 'x':
			a.export, a.unexport = on, !on
		case 'n':
			a.kind = expand.NameRef
			if a.export {
				a.kind, a.export, a.unexport = 0, false, true
			}
		case 'r':
			a.readonly = on
		case 'a':
			a.kind = expand.Indexed
		case 'A':
			a.kind = expand.Associative
		case 'g':
			a.global = on
		case 'p':
			a.print = true
		case 'f', 'F':
			a.functions = true
		case 'i', 'l', 'u', 't':
		default:
			return false
		}
	}
	return true
}

func (s *shell) declareOne(as *syntax.Assign, a attributes) bool {
	name := as.Name.Value
	if a.functions {
		_, ok := s.funcs[name]
		return ok
	}
	if a.print {
		v := s.scope.get(name)
		if !v.Declared() {
			s.complain("declare: %s: not found", name)
			return false
		}
		s.printVariable(name, v)
		return true
	}
	if a.local && !a.global {
		if _, ok := s.scope.vars[name]; !ok {
			s.scope.vars[name] = expand.Variable{Local: true}
		}
	}
	before := s.scope.get(name)
	if a.kind == expand.Associative && before.Kind != expand.Associative || a.kind == expand.Indexed && before.Kind == expand.Unknown {
		before.Kind = a.kind
		s.scope.set(name, before)
	}
	if as.Naked || as.Value == nil && as.Array == nil {
		v := s.scope.get(name)
		a.apply(&v)
		if a.local && !v.Set {
			v.Local = true
		}
		s.scope.set(name, v)
		return true
	}
	return s.assign(as, a.apply)
}

func (s *shell) printVariables(a attributes) {
	s.scope.each(func(name string, v expand.Variable) bool {
		if v.Declared() && (!a.export || v.Exported) && (!a.readonly || v.ReadOnly) {
			s.printVariable(name, v)
		}
		return true
	})
}

func (s *shell) printVariable(name string, v expand.Variable) {
	flags := v.Flags()
	if flags == "" {
		flags = "-"
	}
	value := ""
	switch {
	case !v.Set:
	case v.Kind == expand.Indexed:
		var parts []string
		for i, e := range v.List {
			if v.Indexes != nil {
				i = v.Indexes[i]
			}
			parts = append(parts, fmt.Sprintf("[%d]=%q", i, e))
		}
		value = "=(" + strings.Join(parts, " ") + ")"
	case v.Kind == expand.Associative:
		var parts []string
		for key, e := range v.Map {
			parts = append(parts, fmt.Sprintf("[%s]=%q", key, e))
		}
		value = "=(" + strings.Join(parts, " ") + ")"
	default:
		value = fmt.Sprintf("=%q", v.Str)
	}
	s.printf("declare -%s %s%s\n", flags, name, value)
}
