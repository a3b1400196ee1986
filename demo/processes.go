package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// processes are the demo's children, each the leader of a process group of its own.
type processes struct {
	mu  sync.Mutex
	all []*process
}

// process is one child. Its standard error goes to its log.
type process struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
	err  error         // why; to be read after gone
}

// start starts a child with its log folder/name.log. Each line of its standard output, or of its standard error, is
// also given to the readers that are not nil.
func (ps *processes) start(name, folder string, environment []string, out, errs func(line string), command string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(folder, name+".log"))
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(command, args...), gone: make(chan struct{})}
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
	ps.all = append(ps.all, p)
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

// wait waits until the child has ended, or ends it with the context.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.gone:
		return p.err
	case <-ctx.Done():
		p.signal(syscall.SIGKILL)
		<-p.gone
		return ctx.Err()
	}
}

// running: it has not ended.
func (p *process) running() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// signal reaches the child and whatever it started. A child that has ended gets none: its id may be another's by now.
func (p *process) signal(s syscall.Signal) {
	if p.running() {
		_ = syscall.Kill(-p.cmd.Process.Pid, s) // it may end at this moment; its end is what is waited for
	}
}

// end ends all children, and waits until they have ended. What they leave undone is thrown away with their folder.
func (ps *processes) end() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all {
		p.signal(syscall.SIGKILL)
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
