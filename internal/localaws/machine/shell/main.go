package shell

import (
	"context"
	"io"
	"strings"
	"time"
)

// Main is the program sh, bash and dash.
func Main(ctx context.Context, p *Process) int {
	options := Options{POSIX: !strings.HasSuffix(p.Args[0], "bash")}
	args := p.Args[1:]
	inline, stdin := false, false
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		word := args[0]
		args = args[1:]
		if word == "--" || word == "-" {
			break
		}
		if strings.HasPrefix(word, "--") {
			if word == "--version" {
				if _, err := io.WriteString(p.Out, "GNU bash, version 5.2.15(1)-release\n"); err != nil {
					return 1
				}
				return 0
			}
			continue
		}
		for _, letter := range []byte(word[1:]) {
			switch letter {
			case 'c':
				inline = true
			case 's':
				stdin = true
			case 'l', 'i':
			case 'o':
				if len(args) == 0 {
					continue
				}
				if named, ok := namedOptions[args[0]]; ok {
					options.Set += string(named)
				} else {
					p.Errorf("%s: invalid option name", args[0])
					return 2
				}
				args = args[1:]
			default:
				options.Set += string(letter)
			}
		}
	}
	name := p.Args[0]
	switch {
	case inline:
		if len(args) == 0 {
			p.Errorf("-c: option requires an argument")
			return 2
		}
		text := args[0]
		if args = args[1:]; len(args) > 0 {
			name, args = args[0], args[1:]
		}
		return runScript(ctx, p, name, text, args, options)
	case stdin || len(args) == 0:
		text, err := io.ReadAll(p.In)
		if err != nil {
			p.Errorf("%v", err)
			return 1
		}
		return runScript(ctx, p, name, string(text), args, options)
	}
	file := args[0]
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
	return runScript(ctx, p, args[0], string(text), args[1:], options)
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
