package shell

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// redirect performs one redirection on the current descriptors.
func (s *shell) redirect(r *syntax.Redirect) error {
	fd := -1
	if r.N != nil {
		if _, err := fmt.Sscanf(r.N.Value, "%d", &fd); err != nil {
			return s.redirectNamed(r)
		}
	}
	switch r.Op {
	case syntax.Hdoc, syntax.DashHdoc:
		s.fds.set(or(fd, 0), Reading(strings.NewReader(s.hereDocument(r))))
		return nil
	}
	target, ok := s.literal(r.Word)
	if !ok {
		return errors.New("cannot expand the redirection's word")
	}
	switch r.Op {
	case syntax.WordHdoc:
		s.fds.set(or(fd, 0), Reading(strings.NewReader(target+"\n")))
	case syntax.RdrIn:
		return s.redirectFile(target, os.O_RDONLY, or(fd, 0))
	case syntax.RdrInOut:
		return s.redirectFile(target, os.O_RDWR|os.O_CREATE, or(fd, 0))
	case syntax.RdrOut, syntax.RdrClob:
		return s.redirectFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, or(fd, 1))
	case syntax.AppOut:
		return s.redirectFile(target, os.O_WRONLY|os.O_CREATE|os.O_APPEND, or(fd, 1))
	case syntax.RdrAll:
		return s.redirectFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 1, 2)
	case syntax.AppAll:
		return s.redirectFile(target, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 1, 2)
	case syntax.DplIn:
		return s.duplicate(target, or(fd, 0))
	case syntax.DplOut:
		return s.duplicate(target, or(fd, 1))
	default:
		return fmt.Errorf("this shell does not support the redirection %v", r.Op)
	}
	return nil
}

// redirectNamed is {name}>file: the shell picks the descriptor and stores its number.
func (s *shell) redirectNamed(r *syntax.Redirect) error {
	name := strings.Trim(r.N.Value, "{}")
	free := 10
	for ; s.fds[free] != nil; free++ {
	}
	numbered := *r
	numbered.N = &syntax.Lit{Value: fmt.Sprint(free)}
	s.setString(name, numbered.N.Value)
	return s.redirect(&numbered)
}

func (s *shell) redirectFile(name string, flag int, fds ...int) error {
	h, err := s.open(name, flag)
	if err != nil {
		return fmt.Errorf("%s: %s", name, reason(err))
	}
	for _, fd := range fds {
		s.fds.set(fd, h)
	}
	return nil
}

func (s *shell) duplicate(target string, fd int) error {
	if target == "-" {
		s.fds.drop(fd)
		return nil
	}
	move := strings.HasSuffix(target, "-")
	var from int
	if _, err := fmt.Sscanf(target, "%d", &from); err != nil {
		return fmt.Errorf("%s: ambiguous redirect", target)
	}
	h, ok := s.fds[from]
	if !ok {
		return fmt.Errorf("%d: Bad file descriptor", from)
	}
	s.fds.set(fd, h)
	if move {
		s.fds.drop(from)
	}
	return nil
}

func (s *shell) hereDocument(r *syntax.Redirect) string {
	if r.Hdoc == nil {
		return ""
	}
	literal := true
	for _, part := range r.Word.Parts {
		if lit, ok := part.(*syntax.Lit); ok && !strings.Contains(lit.Value, `\`) {
			literal = false
		}
	}
	if lit := r.Hdoc.Lit(); literal && (lit != "" || len(r.Hdoc.Parts) == 0) {
		return stripTabs(r, lit)
	}
	word := r.Hdoc
	if r.Op == syntax.DashHdoc {
		word = withoutTabs(word)
	}
	content, _ := s.document(word)
	return content
}

func stripTabs(r *syntax.Redirect, content string) string {
	if r.Op != syntax.DashHdoc {
		return content
	}
	var out strings.Builder
	for line := range strings.Lines(content) {
		out.WriteString(strings.TrimLeft(line, "\t"))
	}
	return out.String()
}

// withoutTabs drops the tabs at the beginning of each line of the literal parts.
func withoutTabs(word *syntax.Word) *syntax.Word {
	stripped := &syntax.Word{}
	atStart := true
	for _, part := range word.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok {
			stripped.Parts = append(stripped.Parts, part)
			atStart = false
			continue
		}
		var out strings.Builder
		for line := range strings.Lines(lit.Value) {
			if atStart {
				line = strings.TrimLeft(line, "\t")
			}
			out.WriteString(line)
			atStart = strings.HasSuffix(line, "\n")
		}
		stripped.Parts = append(stripped.Parts, &syntax.Lit{Value: out.String()})
	}
	return stripped
}

func or(fd, standard int) int {
	if fd < 0 {
		return standard
	}
	return fd
}
