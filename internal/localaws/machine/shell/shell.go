package shell

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// Options are what a shell is started with.
type Options struct {
	// Set holds the one-letter options that are on, and pipefail as "P".
	Set string
	// POSIX is set for sh: command substitutions keep errexit.
	POSIX bool
}

// shell executes one script, or one subshell of it.
type shell struct {
	ctx     context.Context
	process *Process
	system  *System
	name    string // $0
	params  []string
	dir     string
	fds     Descriptors
	umask   fs.FileMode
	scope   *scope
	funcs   map[string]*syntax.Stmt
	options map[byte]bool
	shopts  map[string]bool
	posix   bool
	config  *expand.Config

	status     int // $?
	lastStatus int // $? before the current builtin
	pipeStatus []string
	substCode  int // of the last command substitution in an expansion
	substRan   bool
	noErrExit  int
	flow       flow
	depth      int // of loops left to break out of or to continue
	loops      int
	functions  int
	sourced    int
	level      int // of subshells and functions, against endless recursion
	keepFiles  bool
	line       uint
	started    time.Time

	traps      map[string]string
	inTrap     bool
	signalLock *sync.Mutex
	pending    *[]int
	signalled  chan struct{}

	jobs    []*job
	lastJob int
	// expandedText is how many bytes of variables the current command has expanded.
	expandedText int
	tails        []chan struct{} // process substitutions to wait for at the end
	opened       []int           // descriptors of process substitutions in the current command
	optind       int
	optChar      int
	random       uint32
}

// flow says why statements are being left.
type flow int

const (
	flowNone flow = iota
	flowBreak
	flowContinue
	flowReturn
	flowExit
)

// job is a background command.
type job struct {
	pid    int
	done   chan struct{}
	status int
}

// maxLevel bounds nested functions, subshells and sourced files, as a real stack does.
const maxLevel = 500

// runScript runs a script's text as a process.
func runScript(ctx context.Context, p *Process, name, text string, args []string, options Options) int {
	s := &shell{
		ctx: ctx, process: p, system: p.System, name: name, params: args, dir: p.Dir, fds: p.Descriptors.Clone(),
		umask: p.Umask, scope: &scope{vars: map[string]expand.Variable{}}, funcs: map[string]*syntax.Stmt{},
		options: map[byte]bool{}, shopts: map[string]bool{}, posix: options.POSIX, traps: map[string]string{},
		signalLock: &sync.Mutex{}, pending: &[]int{}, signalled: make(chan struct{}, 1), started: time.Now(), optind: 1,
	}
	for _, option := range []byte(options.Set) {
		s.options[option] = true
	}
	if s.umask == 0 {
		s.umask = 0o022
	}
	if s.dir == "" {
		s.dir = "/"
	}
	for name, value := range p.Env {
		s.scope.vars[name] = expand.Variable{Set: true, Exported: true, Kind: expand.String, Str: value}
	}
	s.setString("PWD", s.dir)
	if !s.scope.vars["IFS"].Set {
		s.setString("IFS", " \t\n")
	}
	s.configure()
	p.onSignal(s.trapSignal)
	defer p.onSignal(nil)
	s.runText(text)
	s.finish()
	return s.status
}

// runText executes a script as far as it can be parsed, as a shell that reads its script line by line does.
func (s *shell) runText(text string) {
	if s.level >= maxLevel {
		s.complain("maximum nesting level exceeded")
		s.status, s.flow = 1, flowExit
		return
	}
	s.level++
	defer func() { s.level-- }()
	script := parse(text)
	s.statements(script.statements)
	if script.err == nil || s.flow != flowNone || s.ctx.Err() != nil {
		return
	}
	s.complain("%s", strings.TrimPrefix(script.err.Error(), ":"))
	s.status = 2
	s.flow = flowExit
}

// finish runs the EXIT trap, closes the files and lets what writes through a process substitution end.
func (s *shell) finish() {
	if action := s.traps["EXIT"]; action != "" && s.ctx.Err() == nil {
		delete(s.traps, "EXIT")
		s.flow = flowNone
		status := s.status
		s.runText(action)
		if s.flow != flowExit {
			s.status = status
		}
	}
	s.fds.Close()
	for _, tail := range s.tails {
		timer := time.NewTimer(time.Second)
		select {
		case <-tail:
		case <-timer.C:
		case <-s.ctx.Done():
		}
		timer.Stop()
	}
}

// subshell is a shell with a copy of everything. An asynchronous one keeps its own references to the open files.
func (s *shell) subshell() *shell {
	sub := *s
	sub.scope = s.scope.clone()
	sub.funcs = maps.Clone(s.funcs)
	sub.options = maps.Clone(s.options)
	sub.shopts = maps.Clone(s.shopts)
	sub.fds = s.fds.Clone()
	sub.traps = map[string]string{}
	sub.signalLock, sub.pending, sub.signalled = &sync.Mutex{}, &[]int{}, make(chan struct{}, 1)
	sub.jobs, sub.tails, sub.opened, sub.loops, sub.flow, sub.keepFiles = nil, nil, nil, 0, flowNone, false
	sub.level++
	sub.configure()
	return &sub
}

// runSub runs statements in a subshell and gives their status.
func (sub *shell) runSub(run func()) int {
	if sub.level > maxLevel {
		sub.complain("maximum nesting level exceeded")
		sub.fds.Close()
		return 1
	}
	run()
	sub.finish()
	return sub.status
}

// background starts f as a process of its own in a subshell.
func (s *shell) background(args []string, f func(*shell)) *job {
	j := &job{done: make(chan struct{})}
	if s.system.crowded() {
		s.complain("fork: Resource temporarily unavailable")
		j.status = 254
		close(j.done)
		return j
	}
	sub := s.subshell()
	p, ctx := s.system.begin(s.ctx, &Process{Args: args, Env: s.process.Env, Dir: s.dir, Descriptors: sub.fds, Parent: s.process.PID})
	sub.ctx, sub.process, j.pid = ctx, p, p.PID
	p.onSignal(sub.trapSignal)
	s.system.Go(func() {
		defer close(j.done)
		defer s.system.end(p)
		code := guard(ctx, p, func(context.Context, *Process) int { return sub.runSub(func() { f(sub) }) })
		j.status = p.result(ctx, code)
	})
	return j
}

func (s *shell) trapSignal(signal int) bool {
	s.signalLock.Lock()
	defer s.signalLock.Unlock()
	if _, ok := s.traps[signalName(signal)]; !ok {
		return false
	}
	*s.pending = append(*s.pending, signal)
	select {
	case s.signalled <- struct{}{}:
	default:
	}
	return true
}

// runTraps runs the actions of signals that came in.
func (s *shell) runTraps() {
	s.signalLock.Lock()
	pending := *s.pending
	*s.pending = nil
	s.signalLock.Unlock()
	for _, signal := range pending {
		status := s.status
		s.runText(s.traps[signalName(signal)])
		if s.flow != flowExit {
			s.status = status
		}
	}
}

func (s *shell) stdout() writer { return s.writer(1) }
func (s *shell) stderr() writer { return s.writer(2) }

func (s *shell) writer(fd int) writer {
	return writer{s.ctx, s.fds[fd], func() { s.flow, s.status = flowExit, 141 }}
}

func (s *shell) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(s.stdout(), format, args...); err != nil {
		s.status = 1
	}
}

// complain prints a message as bash does: where, then what.
func (s *shell) complain(format string, args ...any) {
	fmt.Fprintf(s.stderr(), "%s%s\n", s.where(), fmt.Sprintf(format, args...))
}

func (s *shell) where() string {
	return fmt.Sprintf("%s: line %d: ", s.name, s.line)
}

func (s *shell) path(name string) string { return absolute(s.dir, name) }

func (s *shell) chdir(name string) error {
	target := path.Clean(s.path(name))
	n, err := s.system.Files.Stat(target)
	if err != nil {
		return err
	}
	if !n.Mode.IsDir() {
		return &fs.PathError{Op: "cd", Path: name, Err: errNotDirectory}
	}
	s.setString("OLDPWD", s.dir)
	s.dir = target
	s.setString("PWD", target)
	return nil
}

// open opens a file for a redirection.
func (s *shell) open(name string, flag int) (*Handle, error) {
	if fd, ok := descriptorNumber(name); ok {
		if h, ok := s.fds[fd]; ok {
			return h, nil
		}
	}
	if s.options['C'] && flag&os.O_TRUNC != 0 {
		if n, err := s.system.Files.Stat(s.path(name)); err == nil && n.Mode.IsRegular() {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errNoClobber}
		}
	}
	f, err := s.system.Files.Open(s.path(name), flag, 0o666&^s.umask)
	if err != nil {
		return nil, err
	}
	h := ReadWrite(f)
	h.name = f.Path()
	return h, nil
}
