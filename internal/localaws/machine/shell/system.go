// Package shell runs the processes of one server: shell scripts, and the programs that they call.
//
// The language is parsed and expanded by mvdan.cc/sh; the execution is this package's own, since that module's
// interpreter ties standard input to pipes of the operating system, which stop the clock of testing/synctest, makes its
// process substitutions as named pipes on the real disk, and knows no descriptors above 2. Here a pipe is memory, a file
// is on the server's disk, a process is a goroutine, and nothing reaches the real system.
//
// A program is a Go function. It is installed on a server as a file whose content names it (Binary), so that looking it
// up, removing, linking or copying it works as on any server; a name without a file is "command not found", 127.
package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
)

// Program is what a binary does; it returns the exit code. It must return soon after the context ends.
type Program func(ctx context.Context, p *Process) int

// System is what the processes of one boot share.
type System struct {
	Files *files.Tree
	// Programs by the name that a binary's content carries.
	Programs map[string]Program
	// Speed divides how long sleep takes.
	Speed float64
	// MaxSteps is how many commands and rounds of loops the scripts of this boot have; 0: more than any honest one needs.
	MaxSteps int64
	// Server is for programs that administer the server.
	Server any

	mu        sync.Mutex
	processes map[int]*Process
	lastPID   int
	steps     atomic.Int64
	bytes     atomic.Int64
	running   sync.WaitGroup
	locks     locks
}

const binaryMagic = "\x7fELF localaws program "

// DefaultPath is where programs are looked for.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Binary is the content of an executable file that runs the program of this name.
func Binary(program string) []byte { return []byte(binaryMagic + program + "\n") }

// Exec runs a program or script to its end in the calling goroutine and returns its exit code.
func (s *System) Exec(ctx context.Context, spec *Process) int {
	name, content, code, message := s.find(spec)
	if code != 0 {
		fmt.Fprintf(spec.stderr(ctx), "%s%s: %s\n", spec.Complain, spec.Args[0], message)
		return code
	}
	if s.crowded() {
		fmt.Fprintf(spec.stderr(ctx), "%sfork: Resource temporarily unavailable\n", spec.Complain)
		return 254
	}
	p, ctx := s.begin(ctx, spec)
	defer s.end(p)
	if strings.Contains(p.Args[0], "/") {
		// A script is told the name that it was called by.
		name = p.Args[0]
	}
	return p.result(ctx, s.runContent(ctx, p, name, content, 0))
}

// Wait waits for all processes, background ones too.
func (s *System) Wait() { s.running.Wait() }

// Go runs f as a background process of this system.
func (s *System) Go(f func()) { s.running.Go(f) }

// Sleep waits in the server's time. It reports false if the context ended before.
func (s *System) Sleep(ctx context.Context, d time.Duration) bool {
	if s.Speed > 1 {
		d = time.Duration(float64(d) / s.Speed)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Processes lists what runs, by PID.
func (s *System) Processes() []*Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.processes), func(a, b *Process) int { return a.PID - b.PID })
}

// Process finds a process by its PID.
func (s *System) Process(pid int) (*Process, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.processes[pid]
	return p, ok
}

// LookPath finds the file that a command name means, as execvp does.
func (s *System) LookPath(name, dir, search string) (string, bool) {
	if strings.Contains(name, "/") {
		return absolute(dir, name), true
	}
	for in := range strings.SplitSeq(search, ":") {
		candidate := path.Join(absolute(dir, in), name)
		if n, err := s.Files.Stat(candidate); err == nil && n.Mode.IsRegular() && n.Mode&0o111 != 0 {
			return candidate, true
		}
	}
	return "", false
}

// find gives the file to run and its content, or the exit code and message of a failed exec.
func (s *System) find(p *Process) (name string, content []byte, code int, message string) {
	search, ok := p.Env["PATH"]
	if !ok {
		search = DefaultPath
	}
	name, ok = s.LookPath(p.Args[0], p.Dir, search)
	if !ok {
		return "", nil, 127, "command not found"
	}
	n, err := s.Files.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, 127, "No such file or directory"
	case err != nil:
		return "", nil, 126, files.Reason(err)
	case n.Mode.IsDir():
		return "", nil, 126, "Is a directory"
	case n.Mode&0o111 == 0:
		return "", nil, 126, "Permission denied"
	}
	if bytes.HasPrefix(n.Data, []byte("\x7fELF")) && s.program(n.Data) == nil {
		return "", nil, 126, "cannot execute binary file: Exec format error"
	}
	return name, n.Data, 0, ""
}

func (s *System) program(content []byte) Program {
	name, ok := bytes.CutPrefix(content, []byte(binaryMagic))
	if !ok {
		return nil
	}
	return s.Programs[string(bytes.TrimSpace(name))]
}

const maxInterpreters = 5

func (s *System) runContent(ctx context.Context, p *Process, name string, content []byte, depth int) int {
	if program := s.program(content); program != nil {
		return guard(ctx, p, program)
	}
	line, isScript := bytes.CutPrefix(content, []byte("#!"))
	if !isScript {
		return runScript(ctx, p, name, string(content), p.Args[1:], Options{})
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	interpreter, argument, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	args := []string{interpreter}
	if argument = strings.TrimSpace(argument); argument != "" {
		args = append(args, argument)
	}
	n, err := s.Files.Stat(interpreter)
	if err != nil || n.Mode&0o111 == 0 || depth == maxInterpreters {
		fmt.Fprintf(p.Err, "%s%s: %s: bad interpreter: No such file or directory\n", p.Complain, p.Args[0], interpreter)
		return 126
	}
	p.Args = append(append(args, name), p.Args[1:]...)
	return s.runContent(ctx, p, interpreter, n.Data, depth+1)
}

// guard turns a defect of a program into what a crash of it would be.
func guard(ctx context.Context, p *Process, program Program) (code int) {
	defer func() {
		if crash := recover(); crash != nil {
			fmt.Fprintf(p.Err, "%s: crashed: %v\n%s", p.Args[0], crash, debug.Stack())
			code = 139
		}
	}()
	return program(ctx, p)
}

func (s *System) begin(ctx context.Context, p *Process) (*Process, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	p.cancel = cancel
	p.Start = time.Now()
	p.System = s
	p.attach(ctx)
	s.mu.Lock()
	if s.processes == nil {
		s.processes, s.lastPID = map[int]*Process{}, firstPID
	}
	s.lastPID++
	p.PID = s.lastPID
	s.processes[p.PID] = p
	s.mu.Unlock()
	return p, ctx
}

const firstPID = 600

func (s *System) end(p *Process) {
	s.mu.Lock()
	delete(s.processes, p.PID)
	s.mu.Unlock()
	p.cancel(nil)
}

func absolute(dir, name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return strings.TrimSuffix(dir, "/") + "/" + name
}

// Signals by name.
var signals = map[string]int{"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "CHLD": 17, "CONT": 18, "STOP": 19}

// SignalNumber reads a signal by number or name, with or without SIG.
func SignalNumber(name string) (int, bool) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, n >= 0 && n < 65
	}
	n, ok := signals[strings.TrimPrefix(strings.ToUpper(name), "SIG")]
	return n, ok
}
