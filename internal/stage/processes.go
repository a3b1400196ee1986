package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// Processes are the children, each the leader of a process group of its own.
type Processes struct {
	mu  sync.Mutex
	all []*Process
}

// Process is one child. Its standard error goes to its log.
type Process struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
	err  error         // why; to be read after gone
}

// Start starts a child in the folder, with its log folder/name.log; one that is there already is continued. Each line of its
// standard output, or of its standard error, is also given to the readers that are not nil.
func (ps *Processes) Start(name, folder string, environment []string, out, errs func(line string), command string, args ...string) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(command, args...), gone: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir, p.cmd.SysProcAttr = environment, folder, ownGroup()
	var streams sync.WaitGroup
	outPipe, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	errPipe, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	ps.mu.Lock()
	ps.all = append(slices.DeleteFunc(ps.all, func(old *Process) bool { return !old.Running() }), p)
	ps.mu.Unlock()
	streams.Go(func() { follow(outPipe, log, out) })
	streams.Go(func() { follow(errPipe, log, errs) })
	go func() {
		defer close(p.gone)
		streams.Wait()
		p.err = errors.Join(p.cmd.Wait(), log.Close())
	}()
	return p, nil
}

// follow copies a stream to the log line by line until its end.
func follow(stream io.Reader, log io.Writer, each func(line string)) {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, _ = fmt.Fprintln(log, lines.Text()) // the log is for people after a failure; what it misses changes nothing
		if each != nil {
			each(lines.Text())
		}
	}
	_, _ = io.Copy(log, stream) // a line too long to scan: the child must not block on it
}

// Wait waits until the child has ended, or ends it with the context.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.gone:
		return p.err
	case <-ctx.Done():
		p.Signal(syscall.SIGKILL)
		<-p.gone
		return ctx.Err()
	}
}

// Gone is closed when the child has ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running: it has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// Signal reaches the child and whatever it started. A child that has ended gets none: its id may be another's by now.
func (p *Process) Signal(s syscall.Signal) {
	if p.Running() {
		_ = syscall.Kill(-p.cmd.Process.Pid, s) // it may end at this moment; its end is what is waited for
	}
}

// End ends all children, and waits until they have ended. What they leave undone is thrown away with their folder.
func (ps *Processes) End() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all {
		p.Signal(syscall.SIGKILL)
	}
	for _, p := range ps.all {
		<-p.gone
	}
	ps.all = nil
}

// grouped lets the end of a command's context end what the command started as well.
func grouped(cmd *exec.Cmd) {
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
