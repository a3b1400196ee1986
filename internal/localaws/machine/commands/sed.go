package commands

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// sedAddress is a line number, $ (last), or a pattern; none is any line.
type sedAddress struct {
	line int
	last bool
	re   *regexp.Regexp
	any  bool
}

// sedCommand is one command of a script, or a block of them.
type sedCommand struct {
	from, to sedAddress
	ranged   bool
	negated  bool
	name     byte
	text     string
	re       *regexp.Regexp
	global   bool
	print    bool
	nth      int
	block    []*sedCommand
	active   bool
}

func sed(_ context.Context, p *shell.Process) int {
	args := append([]string{}, p.Args[1:]...)
	inPlace, suffix := false, ""
	for i, arg := range args {
		if arg == "--in-place" || strings.HasPrefix(arg, "-i") && !strings.HasPrefix(arg, "--") {
			inPlace, suffix = true, strings.TrimPrefix(arg, "-i")
			if arg == "--in-place" {
				suffix = ""
			}
			if suffix == "E" || suffix == "r" {
				suffix = ""
				args[i] = "-E"
				continue
			}
			args[i] = "-s"
		}
	}
	o, ok := parseArgs(p, "n,quiet E,regexp-extended r e:expression f:file s,separate u z", args, true)
	if !ok {
		return 1
	}
	source := strings.Join(o.values["e"], "\n")
	if !o.has("e") && !o.has("f") {
		if len(o.args) == 0 {
			p.Errorf("no script specified")
			return 1
		}
		source, o.args = o.args[0], o.args[1:]
	}
	if from := o.last("f", ""); from != "" {
		data, err := p.ReadFile(from)
		if err != nil {
			p.Errorf("couldn't open file %s: %s", from, files.Reason(err))
			return 1
		}
		source += string(data)
	}
	parser := &sedParser{text: source, extended: o.has("E") || o.has("r")}
	script, err := parser.commands(false)
	if err != nil {
		p.Errorf("-e expression #1, char %d: %v", parser.at, err)
		return 1
	}
	if !inPlace {
		var all []byte
		code := inputs(p, o.args, func(_ string, data []byte) { all = append(all, data...) })
		out, exit := (&sedRun{quiet: o.has("n")}).run(script, string(all))
		return max(code*2, output(p, out), exit)
	}
	return each(p, o.args, "can't read %s", func(name string) error {
		data, err := p.Files().ReadFile(p.Path(name))
		if err != nil {
			return err
		}
		out, _ := (&sedRun{quiet: o.has("n")}).run(script, string(data))
		if suffix != "" {
			if err := p.Files().Write(p.Path(name+suffix), data, 0o644); err != nil {
				return err
			}
		}
		return p.Files().Write(p.Path(name), []byte(out), 0o644)
	})
}

type sedParser struct {
	text     string
	at       int
	extended bool
}

func (s *sedParser) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *sedParser) skip(set string) {
	for s.at < len(s.text) && strings.IndexByte(set, s.text[s.at]) >= 0 {
		s.at++
	}
}

func (s *sedParser) commands(inBlock bool) ([]*sedCommand, error) {
	var all []*sedCommand
	for {
		s.skip(" \t\n;")
		switch s.peek() {
		case 0:
			if inBlock {
				return nil, errors.New("unmatched `{'")
			}
			return all, nil
		case '#':
			for s.peek() != 0 && s.peek() != '\n' {
				s.at++
			}
			continue
		case '}':
			if !inBlock {
				return nil, errors.New("unexpected `}'")
			}
			s.at++
			return all, nil
		}
		c, err := s.command()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
}

func (s *sedParser) command() (*sedCommand, error) {
	c := &sedCommand{}
	var err error
	if c.from, err = s.address(); err != nil {
		return nil, err
	}
	s.skip(" \t")
	if s.peek() == ',' {
		s.at++
		s.skip(" \t")
		c.ranged = true
		if c.to, err = s.address(); err != nil {
			return nil, err
		}
	}
	s.skip(" \t")
	for s.peek() == '!' {
		c.negated = true
		s.at++
		s.skip(" \t")
	}
	c.name = s.peek()
	s.at++
	switch c.name {
	case '{':
		c.block, err = s.commands(true)
	case 's', 'y':
		err = s.substitution(c)
	case 'a', 'i', 'c':
		c.text = s.textLine()
	case 'd', 'D', 'p', 'P', 'q', 'Q', '=', 'n', 'N', 'g', 'G', 'h', 'H', 'x':
	default:
		return nil, fmt.Errorf("unknown command: `%c'", c.name)
	}
	return c, err
}

func (s *sedParser) address() (sedAddress, error) {
	switch c := s.peek(); {
	case c == '$':
		s.at++
		return sedAddress{last: true}, nil
	case c >= '0' && c <= '9' || c == '+':
		start := s.at
		for s.at++; s.peek() >= '0' && s.peek() <= '9'; s.at++ {
		}
		n, err := strconv.Atoi(strings.TrimPrefix(s.text[start:s.at], "+"))
		if c == '+' {
			n = -n
		}
		return sedAddress{line: n}, err
	case c == '/' || c == '\\':
		if c == '\\' {
			s.at++
		}
		expr, err := s.delimited(s.peek())
		if err != nil {
			return sedAddress{}, errors.New("unterminated address regex")
		}
		flags := ""
		if s.peek() == 'I' {
			s.at++
			flags = "(?i)"
		}
		re, err := compile(flags + posix(expr, s.extended))
		return sedAddress{re: re}, err
	}
	return sedAddress{any: true}, nil
}

// delimited reads up to the next delimiter that is neither escaped nor in brackets; the first one is at the position.
func (s *sedParser) delimited(delimiter byte) (string, error) {
	s.at++
	return s.until(delimiter)
}

func (s *sedParser) until(delimiter byte) (string, error) {
	var out strings.Builder
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch {
		case c == delimiter:
			return out.String(), nil
		case c == '\\' && s.at < len(s.text):
			if s.text[s.at] != delimiter {
				out.WriteByte('\\')
			}
			out.WriteByte(s.text[s.at])
			s.at++
		default:
			out.WriteByte(c)
		}
	}
	return "", errors.New("unterminated command")
}

func (s *sedParser) substitution(c *sedCommand) error {
	delimiter := s.peek()
	expr, err := s.delimited(delimiter)
	if err != nil {
		return fmt.Errorf("unterminated `%c' command", c.name)
	}
	if c.text, err = s.until(delimiter); err != nil {
		return fmt.Errorf("unterminated `%c' command", c.name)
	}
	if c.name == 'y' {
		c.text = expr + "\x00" + c.text
		return nil
	}
	flags := ""
	for {
		switch f := s.peek(); {
		case f == 'g':
			c.global = true
		case f == 'p':
			c.print = true
		case f == 'i' || f == 'I':
			flags = "(?i)"
		case f == 'm' || f == 'M':
			flags = "(?m)"
		case f >= '1' && f <= '9':
			c.nth = int(f - '0')
		default:
			c.re, err = compile(flags + posix(expr, s.extended))
			return err
		}
		s.at++
	}
}

func (s *sedParser) textLine() string {
	s.skip(" \t")
	if s.peek() == '\\' {
		s.at++
		s.skip(" \t")
		if s.peek() == '\n' {
			s.at++
		}
	}
	var out strings.Builder
	for s.peek() != 0 && s.peek() != '\n' {
		if s.peek() == '\\' && s.at+1 < len(s.text) {
			s.at++
		}
		out.WriteByte(s.peek())
		s.at++
	}
	return out.String()
}
