package commands

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

var processCommands = map[string]shell.Program{
	"env": env, "printenv": printenv, "sleep": sleep, "date": date, "timeout": timeout, "nohup": wrap, "setsid": wrap, "nice": wrap,
	"ionice": wrap, "stdbuf": wrap, "sudo": sudo, "su": su, "runuser": su, "xargs": xargs, "flock": flock, "kill": kill, "pkill": pkill,
	"pgrep": pgrep, "ps": ps, "nproc": nproc, "true": ok, "false": fail, "echo": builtin, "printf": builtin, "pwd": builtin,
	"id": id, "whoami": whoami, "tty": fail, "free": free, "uptime": uptime, "watch": fail, "logger": logger, "groups": whoami,
}

func fail(context.Context, *shell.Process) int { return 1 }

// builtin runs a command that the shell has built in.
func builtin(ctx context.Context, p *shell.Process) int { return test(ctx, p) }

func env(ctx context.Context, p *shell.Process) int {
	args := p.Args[1:]
	if len(args) > 0 && (args[0] == "-S" || strings.HasPrefix(args[0], "-S")) {
		args = append(strings.Fields(strings.TrimPrefix(args[0], "-S")), args[1:]...)
	}
	child := p.Child()
	child.Env = maps.Clone(p.Env)
	for len(args) > 0 {
		name, value, isAssignment := strings.Cut(args[0], "=")
		switch {
		case args[0] == "-i" || args[0] == "-":
			child.Env = map[string]string{}
		case args[0] == "-u" && len(args) > 1:
			delete(child.Env, args[1])
			args = args[1:]
		case args[0] == "-0" || args[0] == "--":
		case isAssignment && !strings.HasPrefix(name, "-"):
			child.Env[name] = value
		default:
			child.Args = args
			return p.System.Exec(ctx, child)
		}
		args = args[1:]
	}
	for _, name := range sortedNames(child.Env) {
		output(p, name+"="+child.Env[name]+"\n")
	}
	return 0
}

func printenv(ctx context.Context, p *shell.Process) int {
	if len(p.Args) == 1 {
		return env(ctx, p)
	}
	code := 0
	for _, name := range p.Args[1:] {
		value, ok := p.Env[name]
		if !ok {
			code = 1
			continue
		}
		output(p, value+"\n")
	}
	return code
}

func sleep(ctx context.Context, p *shell.Process) int {
	var total time.Duration
	for _, arg := range p.Args[1:] {
		d, ok := duration(arg)
		if !ok {
			p.Errorf("invalid time interval '%s'", arg)
			return 1
		}
		total += d
	}
	if !p.System.Sleep(ctx, total) {
		return 1
	}
	return 0
}

// duration reads a number with an optional unit of s, m, h or d; "infinity" is a very long time.
func duration(text string) (time.Duration, bool) {
	if text == "infinity" || text == "inf" {
		return 1 << 62, true
	}
	unit := time.Second
	for suffix, u := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
		if before, ok0 := strings.CutSuffix(text, suffix); ok0 {
			text, unit = before, u
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	return time.Duration(n * float64(unit)), err == nil && n >= 0
}

func timeout(ctx context.Context, p *shell.Process) int {
	o, ok := parseArgs(p, "k:kill-after s:signal f,foreground p,preserve-status v", p.Args[1:], false)
	if !ok || len(o.args) < 2 {
		return 125
	}
	limit, ok := duration(o.args[0])
	if !ok {
		p.Errorf("invalid time interval '%s'", o.args[0])
		return 125
	}
	if speed := p.System.Speed; speed > 1 {
		limit = time.Duration(float64(limit) / speed)
	}
	inner, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	code := p.Spawn(inner, o.args[1:]...)
	if inner.Err() != nil && ctx.Err() == nil {
		return 124
	}
	return code
}

// wrap runs the rest of its arguments as they are: nohup, setsid and the like change nothing that matters here.
func wrap(ctx context.Context, p *shell.Process) int {
	args := p.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] == "-n" || args[0] == "-c" {
			args = args[1:]
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return usage(ctx, p, "missing operand")
	}
	return p.Spawn(ctx, args...)
}

func sudo(ctx context.Context, p *shell.Process) int {
	args, shellWanted := p.Args[1:], false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-u", "-g":
			args = args[1:]
		case "-i", "-s":
			shellWanted = true
		}
		if len(args) > 0 {
			args = args[1:]
		}
	}
	child := p.Child()
	child.Env = maps.Clone(p.Env)
	for len(args) > 0 && strings.Contains(args[0], "=") && !strings.HasPrefix(args[0], "/") {
		name, value, _ := strings.Cut(args[0], "=")
		child.Env[name], args = value, args[1:]
	}
	if len(args) == 0 {
		if !shellWanted {
			return usage(ctx, p, "usage: sudo [-u user] command")
		}
		args = []string{"bash"}
	}
	child.Args = args
	return p.System.Exec(ctx, child)
}

// su runs its command as it is: every process here may do everything.
func su(ctx context.Context, p *shell.Process) int {
	args := p.Args[1:]
	for i, arg := range args {
		switch {
		case arg == "-c" && i+1 < len(args):
			return p.Spawn(ctx, "bash", "-c", args[i+1])
		case arg == "--" && i+1 < len(args):
			return p.Spawn(ctx, args[i+1:]...)
		}
	}
	return p.Spawn(ctx, "bash")
}

func xargs(ctx context.Context, p *shell.Process) int {
	o, ok := parseArgs(p, "n:max-args I: 0,null r,no-run-if-empty t P:max-procs d:delimiter L:", p.Args[1:], false)
	if !ok {
		return 1
	}
	data, err := io.ReadAll(p.In)
	if err != nil {
		return 1
	}
	command := o.args
	if len(command) == 0 {
		command = []string{"echo"}
	}
	text := string(data)
	var words []string
	switch {
	case o.has("0"):
		words = strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
	case o.has("d"):
		words = strings.Split(strings.TrimSuffix(text, "\n"), strings.ReplaceAll(o.last("d", ""), `\n`, "\n"))
	case o.has("I") || o.has("L"):
		words = lines(data)
	default:
		words = quotedFields(text)
	}
	words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
	code := 0
	spawn := func(args []string) {
		if p.Spawn(ctx, args...) != 0 {
			code = 123
		}
	}
	if placeholder := o.last("I", ""); placeholder != "" {
		for _, word := range words {
			args := make([]string, len(command))
			for i, arg := range command {
				args[i] = strings.ReplaceAll(arg, placeholder, word)
			}
			spawn(args)
		}
		return code
	}
	size := len(words)
	if o.has("n") || o.has("L") {
		if size, ok = integer(p, o.last("n", o.last("L", ""))); !ok || size < 1 {
			return 1
		}
	}
	if len(words) == 0 && !o.has("r") {
		spawn(command)
	}
	if len(words) > 0 {
		for chunk := range slices.Chunk(words, size) {
			spawn(append(slices.Clone(command), chunk...))
		}
	}
	return code
}

// quotedFields splits as xargs does: at blanks, but not within quotes.
func quotedFields(text string) []string {
	var out []string
	var word strings.Builder
	quote, started := rune(0), false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, started = r, true
		case strings.ContainsRune(" \t\n", r):
			if started {
				out = append(out, word.String())
				word.Reset()
				started = false
			}
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		out = append(out, word.String())
	}
	return out
}

func id(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "u,user g,group n,name G r")
	if !ok {
		return 1
	}
	user := "root"
	if len(o.args) > 0 {
		user = o.args[0]
	}
	uid, known := identity(p, "/etc/passwd", user)
	if !known {
		p.Errorf("'%s': no such user", user)
		return 1
	}
	switch {
	case o.has("n"):
		return output(p, user+"\n")
	case o.has("u") || o.has("g") || o.has("G"):
		return output(p, strconv.Itoa(uid)+"\n")
	}
	return output(p, fmt.Sprintf("uid=%d(%s) gid=%d(%s) groups=%d(%s)\n", uid, user, uid, user, uid, user))
}

func whoami(_ context.Context, p *shell.Process) int { return output(p, "root\n") }
func nproc(_ context.Context, p *shell.Process) int  { return output(p, "2\n") }

func free(_ context.Context, p *shell.Process) int {
	return output(p, "               total        used        free      shared  buff/cache   available\nMem:         3943628      412344     2811036         436      720248     3334120\nSwap:              0           0           0\n")
}

func uptime(_ context.Context, p *shell.Process) int {
	data, err := p.Files().ReadFile("/proc/uptime")
	if err != nil {
		return 1
	}
	seconds, _, _ := strings.Cut(string(data), ".")
	n, _ := integer(p, seconds)
	return output(p, fmt.Sprintf(" %s up %d min,  0 users,  load average: 0.00, 0.00, 0.00\n", time.Now().UTC().Format("15:04:05"), n/60))
}

func logger(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "t:tag s,stderr p:priority i f:")
	if !ok {
		return 1
	}
	text := strings.Join(o.args, " ")
	if len(o.args) == 0 {
		data, err := io.ReadAll(p.In)
		if err != nil {
			return 1
		}
		text = strings.TrimSuffix(string(data), "\n")
	}
	for line := range strings.SplitSeq(text, "\n") {
		entry := fmt.Sprintf("%s %s: %s\n", time.Now().UTC().Format("Jan _2 15:04:05"), o.last("t", "root"), line)
		if err := p.Files().Append("/var/log/messages", []byte(entry), 0o600); err != nil {
			p.Errorf("%s", files.Reason(err))
			return 1
		}
		if o.has("s") {
			fmt.Fprint(p.Err, entry)
		}
	}
	return 0
}
