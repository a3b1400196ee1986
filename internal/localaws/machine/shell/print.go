package shell

import (
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/expand"
)

func printf(s *shell, args []string) int {
	args = args[1:]
	variable := ""
	if len(args) > 1 && args[0] == "-v" {
		variable, args = args[1], args[2:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		s.complain("printf: usage: printf [-v var] format [arguments]")
		return 2
	}
	var out strings.Builder
	format, rest := args[0], args[1:]
	for {
		part, used, err := expand.Format(s.config, format, rest)
		if err != nil {
			s.complain("printf: %v", err)
			return 1
		}
		out.WriteString(part)
		rest = rest[used:]
		if used == 0 || len(rest) == 0 {
			break
		}
	}
	if variable != "" {
		s.setString(variable, out.String())
		return s.status
	}
	if _, err := fmt.Fprint(s.stdout(), out.String()); err != nil {
		return max(1, s.status)
	}
	return 0
}

func echo(s *shell, args []string) int {
	args = args[1:]
	newline, escapes := true, false
options:
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		for _, letter := range args[0][1:] {
			if !strings.ContainsRune("neE", letter) {
				break options
			}
		}
		for _, letter := range args[0][1:] {
			newline = newline && letter != 'n'
			escapes = letter == 'e' || escapes && letter != 'E'
		}
		args = args[1:]
	}
	line := strings.Join(args, " ")
	if escapes {
		line, newline = unescape(line, newline)
	}
	if newline {
		line += "\n"
	}
	if _, err := fmt.Fprint(s.stdout(), line); err != nil {
		return max(1, s.status)
	}
	return 0
}

func unescape(line string, newline bool) (string, bool) {
	if before, _, found := strings.Cut(line, `\c`); found {
		line, newline = before, false
	}
	replaced := strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\r`, "\r", `\a`, "\a", `\b`, "\b", `\e`, "\x1b", `\033`, "\x1b",
		`\f`, "\f", `\v`, "\v", `\0`, "\x00").Replace(line)
	return replaced, newline
}
