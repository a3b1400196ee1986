package shell

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"sync"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// configure sets the expansion up for this shell; call it after the options have changed.
func (s *shell) configure() {
	s.config = &expand.Config{
		Env: environ{s}, CmdSubst: s.commandSubstitution, ProcSubst: s.processSubstitution,
		GlobStar: s.shopts["globstar"], DotGlob: s.shopts["dotglob"], NoCaseGlob: s.shopts["nocaseglob"],
		NullGlob: s.shopts["nullglob"], ExtGlob: s.shopts["extglob"], NoUnset: s.options['u'],
	}
	if !s.options['f'] {
		s.config.ReadDir2 = s.readDir
	}
}

func (s *shell) fields(words ...*syntax.Word) ([]string, bool) {
	fields, err := expand.Fields(s.config, words...)
	return fields, s.expanded(err)
}

func (s *shell) literal(word *syntax.Word) (string, bool) {
	value, err := expand.Literal(s.config, word)
	return value, s.expanded(err)
}

func (s *shell) document(word *syntax.Word) (string, bool) {
	value, err := expand.Document(s.config, word)
	return value, s.expanded(err)
}

func (s *shell) pattern(word *syntax.Word) string {
	value, err := expand.Pattern(s.config, word)
	s.expanded(err)
	return value
}

func (s *shell) expanded(err error) bool {
	if err != nil {
		s.failExpansion(err)
		return false
	}
	return s.flow != flowExit
}

// failExpansion reports a failed expansion. An unset variable under set -u and ${x:?} end the script.
func (s *shell) failExpansion(err error) {
	s.complain("%v", err)
	s.status = 1
	if _, unset := errors.AsType[expand.UnsetParameterError](err); unset {
		s.flow = flowExit
		if !s.posix {
			s.status = 127
		}
		if s.options['u'] {
			s.status = 1
		}
	}
}

func (s *shell) commandSubstitution(w io.Writer, cs *syntax.CmdSubst) error {
	if len(cs.Stmts) == 0 {
		return nil
	}
	if name := onlyInput(cs.Stmts); name != nil {
		file, ok := s.literal(name)
		if !ok {
			return nil
		}
		data, err := s.system.Files.ReadFile(s.path(file))
		s.substRan, s.substCode = true, flag(err == nil)
		if err != nil {
			s.complain("%s: %s", file, reason(err))
			return nil
		}
		_, err = w.Write(data)
		return err
	}
	sub := s.subshell()
	if !s.posix {
		delete(sub.options, 'e')
	}
	sub.fds.set(1, Writing(&lockedWriter{w: &limited{w, mostText}}))
	s.substCode = sub.runSub(func() { sub.statements(cs.Stmts) })
	s.substRan = true
	s.status = s.substCode
	return nil
}

// onlyInput is the word of $(<file).
func onlyInput(list []*syntax.Stmt) *syntax.Word {
	if len(list) != 1 || list[0].Cmd != nil || len(list[0].Redirs) != 1 || list[0].Redirs[0].Op != syntax.RdrIn {
		return nil
	}
	return list[0].Redirs[0].Word
}

// lockedWriter takes what a background process of a command substitution writes meanwhile.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

const firstSubstitution = 63

// processSubstitution gives the name of a descriptor whose other end a background process holds.
func (s *shell) processSubstitution(ps *syntax.ProcSubst) (string, error) {
	in, out := newPipe()
	mine, theirs, end := in, out, 1
	if ps.Op == syntax.CmdOut {
		mine, theirs, end = out, in, 0
	}
	outer := s.fds
	s.fds = outer.Clone()
	s.fds.set(end, theirs)
	j := s.background([]string{s.name}, func(sub *shell) { sub.statements(ps.Stmts) })
	s.fds.Close()
	s.fds = outer
	fd := firstSubstitution
	for ; s.fds[fd] != nil; fd-- {
	}
	s.fds.set(fd, mine)
	s.opened = append(s.opened, fd)
	s.lastJob = j.pid
	if ps.Op == syntax.CmdOut {
		s.tails = append(s.tails, j.done)
	}
	return fmt.Sprintf("/dev/fd/%d", fd), nil
}

func (s *shell) readDir(name string) ([]fs.DirEntry, error) {
	names, err := s.system.Files.ReadDir(name)
	if err != nil {
		return nil, err
	}
	entries := make([]fs.DirEntry, 0, len(names))
	for _, entry := range names {
		n, err := s.system.Files.Lstat(path.Join(name, entry))
		if err != nil {
			continue
		}
		entries = append(entries, dirEntry{entry, n.Mode})
	}
	return entries, nil
}

type dirEntry struct {
	name string
	mode fs.FileMode
}

func (e dirEntry) Name() string               { return e.name }
func (e dirEntry) IsDir() bool                { return e.mode.IsDir() }
func (e dirEntry) Type() fs.FileMode          { return e.mode.Type() }
func (e dirEntry) Info() (fs.FileInfo, error) { return e, nil }
func (e dirEntry) Mode() fs.FileMode          { return e.mode }
func (e dirEntry) Size() int64                { return 0 }
func (e dirEntry) ModTime() time.Time         { return time.Time{} }
func (e dirEntry) Sys() any                   { return nil }

// Regular expressions are compiled once for all servers.
var compiled sync.Map

func compile(expr string) (*regexp.Regexp, error) {
	if re, ok := compiled.Load(expr); ok {
		return re.(*regexp.Regexp), nil
	}
	re, err := regexp.Compile(expr)
	if err == nil {
		compiled.Store(expr, re)
	}
	return re, err
}
