package shell

import (
	"context"
	"io"
	"strings"
	"time"
)

// commandLine is a shell's command line taken apart.
type commandLine struct {
	options              Options
	args                 []string
	inline, stdin, shown bool
}

// Main is the program sh, bash and dash.
func Main(ctx context.Context, p *Process) int {
	c, ok := readCommandLine(p)
	switch {
	case !ok:
		return 2
	case c.shown:
		return 0
	case c.inline:
		return runInline(ctx, p, c)
	case c.stdin || len(c.args) == 0:
		text, err := io.ReadAll(p.In)
		if err != nil {
			p.Errorf("%v", err)
			return 1
		}
		return runScript(ctx, p, p.Args[0], string(text), c.args, c.options)
	}
	return runFile(ctx, p, c)
}

func readCommandLine(p *Process) (commandLine, bool) {
	c := commandLine{options: Options{POSIX: !strings.HasSuffix(p.Args[0], "bash")}, args: p.Args[1:]}
	for len(c.args) > 0 && len(c.args[0]) > 1 && (c.args[0][0] == '-' || c.args[0][0] == '+') {
		word := c.args[0]
		c.args = c.args[1:]
		switch {
		case word == "--":
			return c, true
		case word == "--version":
			c.shown = true
			_, err := io.WriteString(p.Out, "GNU bash, version 5.2.15(1)-release\n")
			return c, err == nil
		case strings.HasPrefix(word, "--"):
			continue
		}
		for _, letter := range []byte(word[1:]) {
			if !c.option(p, letter) {
				return c, false
			}
		}
	}
	return c, true
}

func (c *commandLine) option(p *Process, letter byte) bool {
	switch letter {
	case 'c':
		c.inline = true
	case 's':
		c.stdin = true
	case 'l', 'i':
	case 'o':
		if len(c.args) == 0 {
			return true
		}
		named, ok := namedOptions[c.args[0]]
		if !ok {
			p.Errorf("%s: invalid option name", c.args[0])
			return false
		}
		c.options.Set += string(named)
		c.args = c.args[1:]
	default:
		c.options.Set += string(letter)
	}
	return true
}

// runInline is sh -c TEXT [NAME [ARGUMENT…]].
func runInline(ctx context.Context, p *Process, c commandLine) int {
	if len(c.args) == 0 {
		p.Errorf("-c: option requires an argument")
		return 2
	}
	name, text, args := p.Args[0], c.args[0], c.args[1:]
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	return runScript(ctx, p, name, text, args, c.options)
}

func runFile(ctx context.Context, p *Process, c commandLine) int {
	file := c.args[0]
	if _, isDescriptor := descriptorNumber(file); !isDescriptor && !strings.Contains(file, "/") {
		if _, err := p.Files().Stat(p.Path(file)); err != nil {
			if found, ok := p.System.LookPath(file, p.Dir, p.Env["PATH"]); ok {
				file = found
			}
		}
	}
	text, err := p.ReadFile(file)
	if err != nil {
		p.Errorf("%s: %s", file, reason(err))
		if strings.HasPrefix(reason(err), "No such") {
			return 127
		}
		return 126
	}
	if strings.HasPrefix(string(text), "\x7fELF") {
		p.Errorf("%s: cannot execute binary file", file)
		return 126
	}
	return runScript(ctx, p, c.args[0], string(text), c.args[1:], c.options)
}

// Run runs a script's text as a process of its own, as sh FILE would, and returns its exit code.
func (s *System) Run(ctx context.Context, spec *Process, text string, options Options) int {
	p, ctx := s.begin(ctx, spec)
	defer s.end(p)
	return p.result(ctx, guard(ctx, p, func(ctx context.Context, p *Process) int {
		return runScript(ctx, p, p.Args[0], text, p.Args[1:], options)
	}))
}

func contextWithTimeout(ctx context.Context, d time.Duration, speed float64) (context.Context, context.CancelFunc) {
	if speed > 1 {
		d = time.Duration(float64(d) / speed)
	}
	return context.WithTimeout(ctx, d)
}
