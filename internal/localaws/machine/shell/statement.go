package shell

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

func (s *shell) stopped() bool {
	if s.ctx.Err() != nil {
		s.flow = flowExit
	} else if !s.system.step() {
		s.flow, s.status = flowExit, 137
	}
	s.expandedText = 0
	return s.flow != flowNone || s.options['n']
}

func (s *shell) statements(list []*syntax.Stmt) {
	for _, st := range list {
		s.statement(st)
		if s.flow != flowNone {
			return
		}
	}
}

func (s *shell) statement(st *syntax.Stmt) {
	if len(*s.pending) > 0 {
		s.runTraps()
	}
	if s.stopped() {
		return
	}
	s.line = st.Pos().Line()
	if st.Background || st.Disown {
		foreground := *st
		foreground.Background, foreground.Disown = false, false
		j := s.background([]string{s.name}, func(sub *shell) {
			sub.noErrExit = 0
			sub.statement(&foreground)
		})
		s.jobs = append(s.jobs, j)
		s.lastJob = j.pid
		s.status = 0
		return
	}
	if !s.redirected(st) {
		s.afterStatement(st)
	}
	s.checkErrExit(st)
}

// redirected runs the statement's command with its redirections; true if one of them failed and it did not run.
func (s *shell) redirected(st *syntax.Stmt) bool {
	if len(st.Redirs) == 0 {
		if st.Cmd != nil {
			s.command(st.Cmd)
		}
		return false
	}
	outer := s.fds
	s.fds = outer.Clone()
	failed := false
	for _, redirect := range st.Redirs {
		if err := s.redirect(redirect); err != nil {
			s.complain("%v", err)
			s.status, failed = 1, true
			break
		}
	}
	switch {
	case failed:
	case st.Cmd != nil:
		s.command(st.Cmd)
	default:
		s.status = 0
	}
	if s.keepFiles && !failed {
		s.keepFiles = false
		outer.Close()
		return false
	}
	s.fds.Close()
	s.fds = outer
	return failed
}

func (s *shell) afterStatement(st *syntax.Stmt) {
	if st.Negated && s.flow == flowNone {
		if s.status == 0 {
			s.status = 1
		} else {
			s.status = 0
		}
	}
}

// checkErrExit applies set -e and the ERR trap: not to conditions, to the left of && and ||, nor to what ! negates.
func (s *shell) checkErrExit(st *syntax.Stmt) {
	if s.status == 0 || s.noErrExit > 0 || st.Negated || s.flow != flowNone {
		return
	}
	if b, ok := st.Cmd.(*syntax.BinaryCmd); ok && (b.Op == syntax.AndStmt || b.Op == syntax.OrStmt) {
		return
	}
	if action := s.traps["ERR"]; action != "" && !s.inTrap {
		status := s.status
		s.inTrap = true
		s.runText(action)
		s.inTrap = false
		if s.flow != flowExit {
			s.status = status
		}
	}
	if s.options['e'] {
		s.flow = flowExit
	}
}

func (s *shell) condition(run func()) bool {
	s.noErrExit++
	run()
	s.noErrExit--
	return s.status == 0
}

func (s *shell) command(cmd syntax.Command) {
	if s.stopped() {
		return
	}
	switch cmd := cmd.(type) {
	case *syntax.CallExpr:
		s.simple(cmd)
	case *syntax.Block:
		s.statements(cmd.Stmts)
	case *syntax.Subshell:
		sub := s.subshell()
		s.status = sub.runSub(func() { sub.statements(cmd.Stmts) })
	case *syntax.BinaryCmd:
		s.binary(cmd)
	case *syntax.IfClause:
		s.ifClause(cmd)
	case *syntax.WhileClause:
		s.loop(func() bool {
			met := s.condition(func() { s.statements(cmd.Cond) })
			return s.flow == flowNone && met != cmd.Until
		}, cmd.Do)
	case *syntax.ForClause:
		s.forClause(cmd)
	case *syntax.CaseClause:
		s.caseClause(cmd)
	case *syntax.FuncDecl:
		if cmd.Name == nil { // other shells' functions without a name
			s.complain("syntax error near unexpected token `('")
			s.status, s.flow = 2, flowExit
			return
		}
		s.funcs[cmd.Name.Value] = cmd.Body
		s.status = 0
	case *syntax.DeclClause:
		s.declare(cmd)
	case *syntax.ArithmCmd:
		s.status = flag(s.arithmetic(cmd.X) != 0)
	case *syntax.LetClause:
		value := 0
		for _, x := range cmd.Exprs {
			value = s.arithmetic(x)
		}
		s.status = flag(value != 0)
	case *syntax.TestClause:
		s.status = s.testClause(cmd.X)
	case *syntax.TimeClause:
		start := time.Now()
		if cmd.Stmt != nil {
			s.statement(cmd.Stmt)
		}
		took := time.Since(start)
		fmt.Fprintf(s.stderr(), "\nreal\t%dm%.3fs\nuser\t0m0.000s\nsys\t0m0.000s\n", int(took.Minutes()), took.Seconds()-60*float64(int(took.Minutes())))
	default:
		s.complain("this shell does not support %T", cmd)
		s.status = 2
	}
}

func (s *shell) ifClause(cmd *syntax.IfClause) {
	for clause := cmd; clause != nil; clause = clause.Else {
		if len(clause.Cond) == 0 || s.condition(func() { s.statements(clause.Cond) }) && s.flow == flowNone {
			s.statements(clause.Then)
			return
		}
		if s.flow != flowNone {
			return
		}
	}
	s.status = 0
}

func (s *shell) binary(cmd *syntax.BinaryCmd) {
	if cmd.Op == syntax.Pipe || cmd.Op == syntax.PipeAll {
		s.pipeline(cmd)
		return
	}
	s.condition(func() { s.statement(cmd.X) })
	if s.flow == flowNone && (s.status == 0) == (cmd.Op == syntax.AndStmt) {
		s.statement(cmd.Y)
	}
}

// pipeline runs each stage as a subshell, all at the same time.
func (s *shell) pipeline(cmd *syntax.BinaryCmd) {
	stages := []*syntax.Stmt{cmd.Y}
	var both []bool
	left := cmd.X
	both = append(both, cmd.Op == syntax.PipeAll)
	for {
		b, ok := left.Cmd.(*syntax.BinaryCmd)
		if !ok || b.Op != syntax.Pipe && b.Op != syntax.PipeAll || len(left.Redirs) > 0 || left.Negated {
			break
		}
		stages, both = append(stages, b.Y), append(both, b.Op == syntax.PipeAll)
		left = b.X
	}
	stages = append(stages, left)
	slices.Reverse(stages)
	slices.Reverse(both)
	jobs := make([]*job, len(stages)-1)
	outer := s.fds
	s.fds = outer.Clone()
	for i, stage := range stages[:len(stages)-1] {
		in, out := newPipe()
		s.fds.set(1, out)
		if both[i] {
			s.fds.set(2, out)
		}
		jobs[i] = s.background([]string{s.name}, func(sub *shell) { sub.statement(stage) })
		s.fds.Close()
		s.fds = outer.Clone()
		s.fds.set(0, in)
	}
	last := s.subshell()
	s.fds.Close()
	s.fds = outer
	s.status = last.runSub(func() { last.statement(stages[len(stages)-1]) })
	statuses := make([]string, len(stages))
	failed := 0
	for i, j := range jobs {
		select {
		case <-j.done:
			statuses[i] = strconv.Itoa(j.status)
			if j.status != 0 {
				failed = j.status
			}
		case <-s.ctx.Done():
			<-j.done
			statuses[i] = "143"
		}
	}
	statuses[len(stages)-1] = strconv.Itoa(s.status)
	if s.options['P'] && s.status == 0 {
		s.status = failed
	}
	s.pipeStatus = statuses
}

func (s *shell) loop(next func() bool, body []*syntax.Stmt) {
	status := 0
	s.loops++
	defer func() { s.loops-- }()
	for next() {
		s.statements(body)
		status = s.status
		if s.flow == flowBreak || s.flow == flowContinue {
			s.depth--
			if s.depth > 0 {
				return
			}
			leave := s.flow == flowBreak
			s.flow = flowNone
			if leave {
				break
			}
		}
		if s.stopped() {
			return
		}
	}
	if s.flow == flowNone {
		s.status = status
	}
}

func (s *shell) forClause(cmd *syntax.ForClause) {
	switch loop := cmd.Loop.(type) {
	case *syntax.WordIter:
		items := s.params
		if loop.InPos.IsValid() {
			var ok bool
			if items, ok = s.fields(loop.Items...); !ok {
				return
			}
		}
		s.status = 0
		s.loop(func() bool {
			if len(items) == 0 {
				return false
			}
			s.setString(loop.Name.Value, items[0])
			items = items[1:]
			return true
		}, cmd.Do)
	case *syntax.CStyleLoop:
		if loop.Init != nil {
			s.arithmetic(loop.Init)
		}
		first := true
		s.loop(func() bool {
			if !first && loop.Post != nil {
				s.arithmetic(loop.Post)
			}
			first = false
			return s.flow == flowNone && (loop.Cond == nil || s.arithmetic(loop.Cond) != 0)
		}, cmd.Do)
	}
}

func (s *shell) caseClause(cmd *syntax.CaseClause) {
	value, ok := s.literal(cmd.Word)
	if !ok {
		return
	}
	s.status = 0
	next := false
	for _, item := range cmd.Items {
		if !next && !slices.ContainsFunc(item.Patterns, func(w *syntax.Word) bool { return s.matches(s.pattern(w), value) }) {
			continue
		}
		s.statements(item.Stmts)
		if item.Op == syntax.Break || s.flow != flowNone {
			return
		}
		next = item.Op == syntax.Fallthrough
	}
}

func (s *shell) matches(pat, value string) bool {
	if !strings.ContainsAny(pat, `*?[\(`) {
		return pat == value
	}
	rx, err := pattern.Regexp(pat, pattern.EntireString|pattern.ExtendedOperators)
	if err != nil {
		return pat == value
	}
	re, err := compile(rx)
	return err == nil && re.MatchString(value)
}

func (s *shell) arithmetic(x syntax.ArithmExpr) int {
	n, err := expand.Arithm(s.config, x)
	if err != nil {
		s.failExpansion(err)
	}
	return n
}

func flag(ok bool) int {
	if ok {
		return 0
	}
	return 1
}
