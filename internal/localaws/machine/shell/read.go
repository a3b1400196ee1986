package shell

import (
	"io"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// read reads one line into variables, byte by byte: what follows belongs to the next reader.
func read(s *shell, args []string) int {
	raw, array, fd, limit, delimiter := false, "", 0, -1, byte('\n')
	var timeout time.Duration
	names := args[1:]
	for len(names) > 0 && len(names[0]) > 1 && names[0][0] == '-' {
		word := names[0]
		names = names[1:]
		if word == "--" {
			break
		}
		for i := 1; i < len(word); i++ {
			letter := word[i]
			if letter == 'r' || letter == 's' || letter == 'e' {
				raw = raw || letter == 'r'
				continue
			}
			value := word[i+1:]
			if value == "" && len(names) > 0 {
				value, names = names[0], names[1:]
			}
			switch letter {
			case 'a':
				array = value
			case 'd':
				delimiter = append([]byte(value), 0)[0]
			case 'n', 'N':
				limit = number(value)
			case 'u':
				fd = number(value)
			case 't':
				seconds, err := strconv.ParseFloat(value, 64)
				if err == nil {
					timeout = time.Duration(seconds * float64(time.Second))
				}
			}
			break
		}
	}
	line, complete := s.readLine(fd, delimiter, limit, raw, timeout)
	s.assignRead(line, names, array, raw)
	return flag(complete)
}

func (s *shell) assignRead(line string, names []string, array string, raw bool) {
	switch {
	case array != "":
		fields := expand.ReadFields(s.config, line, -1, raw)
		if err := s.setVariable(array, expand.Variable{Set: true, Kind: expand.Indexed, List: append([]string{}, fields...)}); err != nil {
			s.complain("%v", err)
		}
	case len(names) == 0:
		s.setString("REPLY", line)
	default:
		fields := expand.ReadFields(s.config, line, len(names), raw)
		for i, name := range names {
			value := ""
			if i < len(fields) {
				value = fields[i]
			}
			s.setString(name, value)
		}
	}
}

func (s *shell) readLine(fd int, delimiter byte, limit int, raw bool, timeout time.Duration) (string, bool) {
	ctx := s.ctx
	in := reader{ctx, s.fds[fd]}
	if timeout > 0 {
		limited, cancel := contextWithTimeout(ctx, timeout, s.system.Speed)
		defer cancel()
		in.ctx = limited
	}
	var line []byte
	b := make([]byte, 1)
	for limit < 0 || len(line) < limit {
		if _, err := io.ReadFull(in, b); err != nil {
			return string(line), false
		}
		if b[0] == delimiter {
			if !raw && len(line) > 0 && line[len(line)-1] == '\\' && delimiter == '\n' {
				line = line[:len(line)-1]
				continue
			}
			return string(line), true
		}
		line = append(line, b[0])
	}
	return string(line), true
}

func mapfile(s *shell, args []string) int {
	name, trim := "MAPFILE", false
	for _, arg := range args[1:] {
		if arg == "-t" {
			trim = true
		} else if syntax.ValidName(arg) {
			name = arg
		}
	}
	data, err := io.ReadAll(&bounded{Reader: reader{s.ctx, s.fds[0]}})
	if err != nil {
		s.complain("%s: %s", args[0], reason(err))
		return 1
	}
	lines := []string{}
	for line := range strings.Lines(string(data)) {
		if trim {
			line = strings.TrimSuffix(line, "\n")
		}
		lines = append(lines, line)
	}
	if err := s.setVariable(name, expand.Variable{Set: true, Kind: expand.Indexed, List: lines}); err != nil {
		s.complain("%v", err)
		return 1
	}
	return 0
}

func getopts(s *shell, args []string) int {
	if len(args) < 3 {
		s.complain("getopts: usage: getopts optstring name [arg]")
		return 2
	}
	spec, name, params := args[1], args[2], s.params
	if len(args) > 3 {
		params = args[3:]
	}
	if index := number(s.get("OPTIND")); index > 0 && index != s.optind || index == 1 && s.optChar == 0 {
		s.optind, s.optChar = index, 0
	}
	done := func() int {
		s.setString("OPTIND", strconv.Itoa(s.optind))
		s.setString(name, "?")
		return 1
	}
	if s.optind > len(params) {
		return done()
	}
	word := params[s.optind-1]
	if s.optChar == 0 {
		if len(word) < 2 || word[0] != '-' {
			return done()
		}
		if word == "--" {
			s.optind++
			return done()
		}
		s.optChar = 1
	}
	letter := string(word[s.optChar])
	s.optChar++
	rest := word[s.optChar:]
	at := strings.Index(spec, letter)
	value := ""
	if at >= 0 && letter != ":" && strings.HasPrefix(spec[at+1:], ":") {
		s.optind, s.optChar = s.optind+1, 0
		if value = rest; value == "" && s.optind <= len(params) {
			value = params[s.optind-1]
			s.optind++
		}
	} else if rest == "" {
		s.optind, s.optChar = s.optind+1, 0
	}
	if at < 0 {
		value = letter
		if !strings.HasPrefix(spec, ":") {
			s.complain("illegal option -- %s", letter)
		}
		letter = "?"
	}
	s.setString("OPTARG", value)
	s.setString("OPTIND", strconv.Itoa(s.optind))
	s.setString(name, letter)
	return 0
}
