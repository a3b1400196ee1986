package shell

import (
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// simple runs a simple command: assignments, a function, a builtin or a program.
func (s *shell) simple(cmd *syntax.CallExpr) {
	s.substRan = false
	opened := len(s.opened)
	defer func() {
		for _, fd := range s.opened[opened:] {
			s.fds.drop(fd)
		}
		s.opened = s.opened[:opened]
	}()
	fields, ok := s.fields(cmd.Args...)
	if !ok {
		return
	}
	if len(fields) == 0 {
		s.assignOnly(cmd.Assigns)
		return
	}
	var restore []func()
	for _, as := range cmd.Assigns {
		name := as.Name.Value
		before := s.scope.get(name)
		value, ok := s.assignedValue(as, before)
		if !ok {
			return
		}
		s.trace(fmt.Sprintf("%s=%s", name, value.Str))
		value.Exported = true
		s.scope.set(name, value)
		restore = append(restore, func() { s.scope.vars[name] = before })
	}
	if s.options['x'] {
		s.trace(quoted(fields))
	}
	s.call(fields)
	for _, f := range restore {
		f()
	}
}

func (s *shell) assignOnly(assigns []*syntax.Assign) {
	// The status stays what it was until all values are had: code=$? is the last command's.
	for _, as := range assigns {
		if !s.assign(as, func(*expand.Variable) {}) {
			return
		}
		if s.options['x'] && as.Array == nil {
			s.trace(fmt.Sprintf("%s=%s", as.Name.Value, s.scope.get(as.Name.Value).String()))
		}
	}
	if s.flow != flowNone {
		return
	}
	s.status = 0
	if s.substRan {
		s.status = s.substCode
	}
}

func (s *shell) call(args []string) {
	if body, ok := s.funcs[args[0]]; ok {
		s.callFunction(body, args)
		return
	}
	s.callBuiltinOrProgram(args)
}

func (s *shell) callBuiltinOrProgram(args []string) {
	if f, ok := builtins[args[0]]; ok {
		s.lastStatus, s.status = s.status, 0
		status := f(s, args)
		if s.flow == flowNone || status != 0 {
			s.status = status
		}
		return
	}
	s.status = s.execute(args)
}

func (s *shell) callFunction(body *syntax.Stmt, args []string) {
	if s.level >= maxLevel {
		s.complain("%s: maximum function nesting level exceeded", args[0])
		s.status, s.flow = 1, flowExit
		return
	}
	params, outer, loops := s.params, s.scope, s.loops
	s.params, s.scope, s.loops = args[1:], &scope{parent: outer, vars: map[string]expand.Variable{}}, 0
	s.functions++
	s.level++
	s.statement(body)
	s.level--
	s.functions--
	s.params, s.scope, s.loops = params, outer, loops
	if s.flow == flowReturn {
		s.flow = flowNone
	}
}

// execute runs a program as a child.
func (s *shell) execute(args []string) int {
	return s.system.Exec(s.ctx, &Process{Args: args, Env: s.scope.exported(), Dir: s.dir, Descriptors: s.fds, Umask: s.umask,
		Parent: s.process.PID, Complain: s.where()})
}

func (s *shell) trace(text string) {
	if s.options['x'] {
		fmt.Fprintf(s.stderr(), "+ %s\n", text)
	}
}

func quoted(fields []string) string {
	out := make([]string, len(fields))
	for i, field := range fields {
		q, err := syntax.Quote(field, syntax.LangBash)
		if err != nil {
			q = "'" + field + "'"
		}
		out[i] = q
	}
	return strings.Join(out, " ")
}
