package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
)

// Process is a running program as the program sees it.
type Process struct {
	Args        []string
	Env         map[string]string
	Dir         string
	Descriptors Descriptors
	Umask       fs.FileMode
	Parent      int
	// Complain begins the message of a failed exec, as a shell does: "sh: line 3: ".
	Complain string

	// The system sets these.
	PID    int
	Start  time.Time
	System *System
	In     io.Reader
	Out    io.Writer
	Err    io.Writer

	cancel context.CancelCauseFunc
	mu     sync.Mutex
	// trapped, if the process is a shell, takes signals that it has a trap for.
	trapped func(signal int) bool
}

// killed is why a process's context ended.
type killed int

func (k killed) Error() string { return "killed by signal " + strconv.Itoa(int(k)) }

// Files is the server's file system.
func (p *Process) Files() *files.Tree { return p.System.Files }

// Path makes a name absolute.
func (p *Process) Path(name string) string { return absolute(p.Dir, name) }

// Errorf prints a message that begins with the program's name.
func (p *Process) Errorf(format string, args ...any) {
	name := p.Args[0][strings.LastIndexByte(p.Args[0], '/')+1:]
	fmt.Fprintf(p.Err, "%s: %s\n", name, fmt.Sprintf(format, args...))
}

// Open opens a file; the names of the process's own descriptors work too.
func (p *Process) Open(name string, flag int, perm fs.FileMode) (io.ReadWriter, error) {
	return open(context.Background(), p.Files(), p.Descriptors, p.Path(name), flag, perm&^p.Umask)
}

// ReadFile reads a whole file; "-" is standard input.
func (p *Process) ReadFile(name string) ([]byte, error) {
	switch name {
	case "-", "/dev/stdin":
		return io.ReadAll(p.In)
	}
	if _, ok := descriptorNumber(name); ok {
		f, err := p.Open(name, os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(&bounded{Reader: f})
	}
	return p.Files().ReadFile(p.Path(name))
}

// Spawn runs another program with the same environment and files, to its end.
func (p *Process) Spawn(ctx context.Context, args ...string) int {
	return p.System.Exec(ctx, p.Child(args...))
}

// Child is a process with the same environment and files, to be run by Exec.
func (p *Process) Child(args ...string) *Process {
	return &Process{Args: args, Env: p.Env, Dir: p.Dir, Descriptors: p.Descriptors, Umask: p.Umask, Parent: p.PID,
		Complain: p.Args[0] + ": "}
}

// WithEnv gives the environment with some variables set.
func (p *Process) WithEnv(pairs ...string) map[string]string {
	env := maps.Clone(p.Env)
	if env == nil {
		env = map[string]string{}
	}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

// Signal sends a signal. A shell with a trap for it runs the trap; anything else ends, except for signals that do nothing.
func (p *Process) Signal(signal int) {
	p.mu.Lock()
	trapped := p.trapped
	p.mu.Unlock()
	switch {
	case signal == 0 || signal == 17 || signal == 18 || signal == 19:
	case signal != 9 && trapped != nil && trapped(signal):
	default:
		p.cancel(killed(signal))
	}
}

func (p *Process) onSignal(f func(int) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trapped = f
}

func (p *Process) attach(ctx context.Context) {
	p.In = &bounded{Reader: reader{ctx, p.Descriptors[0]}, system: p.System}
	broken := func() { p.cancel(killed(int(syscall.SIGPIPE))) }
	p.Out = charged{writer{ctx, p.Descriptors[1], broken}, p.System}
	p.Err = writer{ctx, p.Descriptors[2], broken}
}

func (p *Process) stderr(ctx context.Context) io.Writer { return writer{ctx, p.Descriptors[2], nil} }

// result is the exit code of a process that may have been killed.
func (p *Process) result(ctx context.Context, code int) int {
	if ctx.Err() == nil {
		return code & 0xff
	}
	if signal, ok := errors.AsType[killed](context.Cause(ctx)); ok {
		return 128 + int(signal)
	}
	return 137
}

// descriptorNumber reads /dev/stdin, /dev/fd/3 and /proc/self/fd/3.
func descriptorNumber(name string) (int, bool) {
	switch name {
	case "/dev/stdin":
		return 0, true
	case "/dev/stdout":
		return 1, true
	case "/dev/stderr":
		return 2, true
	}
	number, ok := strings.CutPrefix(name, "/dev/fd/")
	if !ok {
		number, ok = strings.CutPrefix(name, "/proc/self/fd/")
	}
	fd, err := strconv.Atoi(number)
	return fd, ok && err == nil
}

// descriptorFile makes a handle a file again.
type descriptorFile struct {
	reader
	io.Writer
}

func open(ctx context.Context, tree *files.Tree, d Descriptors, name string, flag int, perm fs.FileMode) (io.ReadWriter, error) {
	if fd, ok := descriptorNumber(name); ok {
		h, ok := d[fd]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
		}
		return descriptorFile{reader{ctx, h}, writer{ctx, h, nil}}, nil
	}
	return tree.Open(name, flag, perm)
}
