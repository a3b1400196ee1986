package shell

import (
	"strings"

	"mvdan.cc/sh/v3/expand"
)

func let(s *shell, args []string) int {
	s.runText("(( " + strings.Join(args[1:], ", ") + " ))")
	return s.status
}

func set(s *shell, args []string) int {
	args = args[1:]
	if len(args) == 0 {
		s.scope.each(func(name string, v expand.Variable) bool {
			if v.Set {
				s.printf("%s=%s\n", name, quoted([]string{v.String()}))
			}
			return true
		})
		return 0
	}
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" || arg == "-" {
			s.params = args[1:]
			break
		}
		if len(arg) < 2 || arg[0] != '-' && arg[0] != '+' {
			s.params = args
			break
		}
		args = args[1:]
		on := arg[0] == '-'
		for _, letter := range []byte(arg[1:]) {
			if letter != 'o' {
				s.options[letter] = on
				continue
			}
			if len(args) == 0 {
				break
			}
			if !s.setNamed(args[0], on) {
				s.complain("set: %s: invalid option name", args[0])
				return 2
			}
			args = args[1:]
		}
	}
	s.configure()
	return 0
}

var namedOptions = map[string]byte{"allexport": 'a', "errexit": 'e', "noexec": 'n', "noglob": 'f', "nounset": 'u', "xtrace": 'x',
	"pipefail": 'P', "noclobber": 'C', "errtrace": 'E', "functrace": 'T', "verbose": 'v', "monitor": 'm', "posix": 'Z', "nolog": 'Z',
	"vi": 'Z', "emacs": 'Z', "hashall": 'h', "braceexpand": 'B'}

func (s *shell) setNamed(name string, on bool) bool {
	letter, ok := namedOptions[name]
	if ok {
		s.options[letter] = on
	}
	return ok
}

func shopt(s *shell, args []string) int {
	on, quiet, status := false, false, 0
	change := false
	for _, arg := range args[1:] {
		switch arg {
		case "-s":
			on, change = true, true
		case "-u":
			on, change = false, true
		case "-q":
			quiet = true
		case "-o":
		default:
			if change {
				s.shopts[arg] = on
			} else if status = flag(s.shopts[arg]); !quiet {
				s.printf("%s\t%s\n", arg, map[bool]string{true: "on", false: "off"}[s.shopts[arg]])
			}
		}
	}
	s.configure()
	return status
}
