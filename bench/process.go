package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// started are the processes that bench has started and not yet ended.
var started struct {
	sync.Mutex
	all    []*process
	folder string // of their binaries
}

// process is a program of this repository that bench built and runs.
type process struct {
	*exec.Cmd
	gone chan struct{}
}

// build builds a command of this repository into the folder.
func build(ctx context.Context, folder, name string) (string, error) {
	binary := filepath.Join(folder, name)
	command := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/stampmill/stampmill/cmd/"+name)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w (run bench inside the repository)", name, err)
	}
	return binary, nil
}

// start runs a program in the given environment, on the two cores that rates are meant for. Its standard error is ours;
// its standard output is read if line is not nil, which gets the first line.
func start(binary string, environment, arguments []string, line *string) (*process, error) {
	if taskset, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 2 {
		arguments = append([]string{"-c", "0,1", binary}, arguments...)
		binary = taskset
	}
	p := &process{Cmd: exec.Command(binary, arguments...), gone: make(chan struct{})}
	p.Env, p.Stderr = environment, os.Stderr
	var output io.ReadCloser
	if line != nil {
		var err error
		if output, err = p.StdoutPipe(); err != nil {
			return nil, err
		}
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	started.Lock()
	started.all = append(started.all, p)
	started.Unlock()
	var err error
	if line != nil {
		*line, err = bufio.NewReader(output).ReadString('\n')
		*line = strings.TrimSpace(*line)
	}
	go func() {
		// How it ends is no result: bench ends it.
		_ = p.Wait()
		close(p.gone)
	}()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s said nothing: %w", filepath.Base(binary), err), p.end())
	}
	return p, nil
}

// end asks the process to end, and kills it if it does not soon: a worker would let its long polls finish.
func (p *process) end() error {
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := p.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-p.gone:
			return nil
		case <-time.After(time.Second):
		}
	}
	return fmt.Errorf("process %d does not end", p.Process.Pid)
}

// endProcesses ends everything that bench has started.
func endProcesses() {
	started.Lock()
	all := started.all
	started.all = nil
	started.Unlock()
	for _, p := range slices.Backward(all) { // workers before their endpoint
		if err := p.end(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
}

// cleanUp ends everything and removes the binaries: for a bench that is interrupted.
func cleanUp() {
	endProcesses()
	started.Lock()
	defer started.Unlock()
	if started.folder == "" {
		return
	}
	if err := os.RemoveAll(started.folder); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// cpu is the processor time that the process has taken, in user and in kernel mode.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time is read from /proc, which only Linux has: %w", err)
	}
	// Fields 14 and 15 of proc(5), in ticks of 10 ms; the second field is in parentheses and may hold spaces.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is too short", p.Process.Pid)
	}
	user, userErr := strconv.ParseInt(fields[11], 10, 64)
	system, systemErr := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(userErr, systemErr)
}

// peak is the process's peak resident memory in MB.
func (p *process) peak() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("memory is read from /proc, which only Linux has: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kilobytes * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", p.Process.Pid)
}
