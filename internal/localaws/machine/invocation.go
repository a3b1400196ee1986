package machine

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

const (
	// maxCommands is how many commands the SSM agent works on at once.
	maxCommands = 10
	// maxOutput bounds what is kept of a command's output.
	maxOutput = 4 << 20
	// shortestTimeout is real time: at a high speed, a loaded computer must not make commands late.
	shortestTimeout = 2 * time.Second
	rebootLinux     = 194
	rebootWindows   = 3010
)

// invocation is a command on its way through a server, reboots included.
type invocation struct {
	command Command
	done    func(Result)
	once    sync.Once
	// before is what it printed before the reboots that it asked for.
	before   Result
	rebooted bool

	mu        sync.Mutex
	cancelled bool
	cancel    context.CancelCauseFunc
}

var (
	errCancelled = errors.New("the command was cancelled")
	errTimedOut  = errors.New("the command reached its execution timeout")
)

func (i *invocation) finish(r Result) {
	r.Stdout, r.Stderr = i.before.Stdout+r.Stdout, i.before.Stderr+r.Stderr
	i.once.Do(func() { i.done(r) })
}

func (s *server) Run(command Command, done func(Result)) {
	i := &invocation{command: command, done: done}
	s.mu.Lock()
	b := s.boot
	if b == nil {
		s.mu.Unlock()
		go i.finish(Result{ExitCode: -1, Interrupted: true})
		return
	}
	s.waiting = append(s.waiting, i)
	s.mu.Unlock()
	b.runWaiting()
}

func (s *server) Cancel(commandID string) {
	s.mu.Lock()
	b := s.boot
	for n, i := range s.waiting {
		if i.command.ID == commandID {
			s.waiting = append(s.waiting[:n:n], s.waiting[n+1:]...)
			s.mu.Unlock()
			i.finish(Result{ExitCode: -1, Cancelled: true})
			return
		}
	}
	s.mu.Unlock()
	if b == nil {
		return
	}
	b.mu.Lock()
	i := b.running[commandID]
	b.mu.Unlock()
	if i != nil {
		i.stop(errCancelled)
	}
}

func (i *invocation) stop(cause error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if errors.Is(cause, errCancelled) {
		i.cancelled = true
	}
	if i.cancel != nil {
		i.cancel(cause)
	}
}

// runWaiting starts the commands that wait for the agent, if it is online.
func (b *boot) runWaiting() {
	if online, _ := b.agentState(); !online {
		return
	}
	b.server.mu.Lock()
	waiting := b.server.waiting
	b.server.waiting = nil
	b.server.mu.Unlock()
	for _, i := range waiting {
		if !b.task(func() { b.carry(i) }) {
			i.finish(Result{ExitCode: -1, Interrupted: true})
		}
	}
}

// carry runs one command to its end, or to the reboot that it asks for.
func (b *boot) carry(i *invocation) {
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-b.ctx.Done():
		i.finish(Result{ExitCode: -1, Interrupted: true})
		return
	}
	ctx, cancel := context.WithCancelCause(b.ctx)
	i.mu.Lock()
	i.cancel = cancel
	if i.cancelled {
		cancel(errCancelled)
	}
	i.mu.Unlock()
	b.mu.Lock()
	b.running[i.command.ID] = i
	b.mu.Unlock()
	result := b.runCommand(ctx, cancel, i.command, i.rebooted)
	b.mu.Lock()
	delete(b.running, i.command.ID)
	b.mu.Unlock()
	reboot := rebootLinux
	if b.server.windows() {
		reboot = rebootWindows
	}
	if result.ExitCode != reboot || result.Interrupted || result.Cancelled || result.TimedOut {
		i.finish(result)
		return
	}
	i.before.Stdout, i.before.Stderr = i.before.Stdout+result.Stdout, i.before.Stderr+result.Stderr
	i.rebooted = true
	b.server.mu.Lock()
	b.server.waiting = append(b.server.waiting, i)
	b.server.mu.Unlock()
	b.restart()
}

func (b *boot) runCommand(ctx context.Context, cancel context.CancelCauseFunc, c Command, again bool) Result {
	if c.Timeout > 0 {
		limit := max(time.Duration(float64(c.Timeout)/b.server.config.Speed), min(c.Timeout, shortestTimeout))
		timer := time.AfterFunc(limit, func() { cancel(errTimedOut) })
		defer timer.Stop()
	}
	var out, errs capture
	var code int
	if b.server.windows() {
		code = b.runPowerShell(ctx, c.Script, again, &out, &errs)
	} else {
		code = b.runShell(ctx, c, &out, &errs)
	}
	r := Result{ExitCode: code, Stdout: out.String(), Stderr: errs.String()}
	if ctx.Err() != nil {
		r.ExitCode = -1
		cause := context.Cause(ctx)
		r.TimedOut, r.Cancelled = errors.Is(cause, errTimedOut), errors.Is(cause, errCancelled)
		r.Interrupted = !r.TimedOut && !r.Cancelled
	}
	return r
}

// runShell runs a script as the agent does: as a file that is executed, so that a first line with #! counts.
func (b *boot) runShell(ctx context.Context, c Command, out, errs *capture) int {
	dir := "/var/lib/amazon/ssm/" + b.server.config.Identity.InstanceID + "/document/orchestration/" + c.ID + "/awsrunShellScript/0.awsrunShellScript"
	name := dir + "/_script.sh"
	workDir := c.WorkDir
	if workDir == "" {
		workDir = "/usr/bin"
	}
	tree := b.system.Files
	if n, err := tree.Stat(workDir); err != nil || !n.Mode.IsDir() {
		errs.WriteString("failed to run commands: chdir " + workDir + ": no such file or directory\n")
		return 1
	}
	if err := errors.Join(tree.MkdirAll(dir, 0o700), tree.Write(name, []byte(c.Script), 0o700)); err != nil {
		errs.WriteString("failed to run commands: " + err.Error() + "\n")
		return 1
	}
	defer func() { b.complain(tree.Remove(name, false)) }()
	p := &shell.Process{
		Args: []string{name}, Dir: workDir, Descriptors: shell.Standard(strings.NewReader(""), out, errs),
		Env: map[string]string{"PATH": shell.DefaultPath, "HOME": "/root", "USER": "root", "LANG": "en_US.UTF-8",
			"AWS_SSM_REGION_NAME": c.Region, "AWS_SSM_INSTANCE_ID": b.server.config.Identity.InstanceID},
	}
	if !strings.HasPrefix(c.Script, "#!") {
		return b.system.Run(ctx, p, c.Script, shell.Options{POSIX: true})
	}
	return b.system.Exec(ctx, p)
}

// capture keeps what a command prints, up to a limit; background processes may write to it at any time.
type capture struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *capture) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Write(b[:min(len(b), maxOutput-c.text.Len())])
	return len(b), nil
}

func (c *capture) WriteString(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.WriteString(text)
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}
