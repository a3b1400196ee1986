package commands

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func kill(ctx context.Context, p *shell.Process) int { return builtin(ctx, p) }

func pgrep(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "f,full x,exact l u: c o n")
	if !ok || len(o.args) == 0 {
		return 2
	}
	found := matching(p, o)
	for _, other := range found {
		output(p, strconv.Itoa(other.PID)+"\n")
	}
	if len(found) == 0 {
		return 1
	}
	return 0
}

func pkill(_ context.Context, p *shell.Process) int {
	args, signal := slices.Clone(p.Args[1:]), 15
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if n, ok := shell.SignalNumber(args[0][1:]); ok {
			signal, args = n, args[1:]
		}
	}
	o, ok := parseArgs(p, "f,full x,exact u: s:signal", args, true)
	if !ok || len(o.args) == 0 {
		return 2
	}
	found := matching(p, o)
	for _, other := range found {
		other.Signal(signal)
	}
	if len(found) == 0 {
		return 1
	}
	return 0
}

func matching(p *shell.Process, o options) []*shell.Process {
	re, err := compile(posix(o.args[0], true))
	if err != nil {
		p.Errorf("%v", err)
		return nil
	}
	var found []*shell.Process
	for _, other := range p.System.Processes() {
		name := path.Base(other.Args[0])
		if o.has("f") {
			name = strings.Join(other.Args, " ")
		}
		if other != p && other.PID != p.Parent && (o.has("x") && name == o.args[0] || !o.has("x") && re.MatchString(name)) {
			found = append(found, other)
		}
	}
	return found
}

func ps(_ context.Context, p *shell.Process) int {
	output(p, "    PID CMD\n")
	for _, other := range p.System.Processes() {
		fmt.Fprintf(p.Out, "%7d %s\n", other.PID, strings.Join(other.Args, " "))
	}
	return 0
}

// flock takes a lock for the time of a command, or, with a descriptor, until the process that opened it ends.
func flock(ctx context.Context, p *shell.Process) int {
	o, ok := parseArgs(p, "n,nonblock x,exclusive s,shared u,unlock w:timeout c:command E: o,close", p.Args[1:], false)
	if !ok || len(o.args) == 0 {
		return 64
	}
	name := o.args[0]
	fd, err := strconv.Atoi(name)
	if len(o.args) == 1 && err == nil && !o.has("c") {
		return flockDescriptor(ctx, p, o, fd)
	}
	if _, err := p.Open(name, os.O_RDONLY|os.O_CREATE, 0o666); err != nil {
		p.Errorf("cannot open lock file %s: %s", name, files.Reason(err))
		return 66
	}
	release, ok := takeLock(ctx, p, o, p.Path(name))
	if !ok {
		return 1
	}
	defer release()
	command := o.args[1:]
	if text := o.last("c", ""); text != "" {
		command = []string{"sh", "-c", text}
	} else if len(command) > 1 && command[0] == "-c" {
		command = []string{"sh", "-c", command[1]}
	}
	return p.Spawn(ctx, command...)
}

// flockDescriptor locks what the descriptor refers to until it is closed everywhere.
func flockDescriptor(ctx context.Context, p *shell.Process, o options, fd int) int {
	h, ok := p.Descriptors[fd]
	if !ok {
		p.Errorf("%d: Bad file descriptor", fd)
		return 65
	}
	if o.has("u") {
		h.Unlock()
		return 0
	}
	release, ok := takeLock(ctx, p, o, h.Name())
	if !ok {
		return 1
	}
	h.HoldLock(release)
	return 0
}

func takeLock(ctx context.Context, p *shell.Process, o options, name string) (release func(), ok bool) {
	if o.has("n") {
		return p.System.TryLock(name)
	}
	if text := o.last("w", ""); text != "" {
		limit, ok := duration(text)
		if !ok {
			return nil, false
		}
		if speed := p.System.Speed; speed > 1 {
			limit = time.Duration(float64(limit) / speed)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return p.System.Lock(ctx, name)
}
