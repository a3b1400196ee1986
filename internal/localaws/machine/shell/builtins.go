package shell

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
)

// builtins are the commands that the shell itself is. They return the status.
var builtins map[string]func(*shell, []string) int

func init() {
	builtins = map[string]func(*shell, []string) int{
		":": succeed, "true": succeed, "false": func(*shell, []string) int { return 1 },
		"alias": succeed, "unalias": succeed, "hash": succeed, "ulimit": succeed, "disown": succeed, "enable": succeed,
		"bg": succeed, "fg": succeed, "times": succeed, "complete": succeed, "history": succeed,
		".": source, "source": source, "break": leaveLoop, "continue": leaveLoop, "builtin": builtin, "cd": cd,
		"command": command, "echo": echo, "eval": eval, "exec": execute, "exit": exit, "getopts": getopts, "jobs": jobs,
		"kill": kill, "let": let, "mapfile": mapfile, "printf": printf, "pwd": pwd, "read": read, "readarray": mapfile,
		"return": leaveFunction, "set": set, "shift": shift, "shopt": shopt, "test": testBuiltin, "[": testBuiltin,
		"trap": trap, "type": typeBuiltin, "umask": umask, "unset": unset, "wait": wait,
	}
}

func succeed(*shell, []string) int { return 0 }

func reason(err error) string { return files.Reason(err) }

func source(s *shell, args []string) int {
	if len(args) < 2 {
		s.complain("%s: filename argument required", args[0])
		return 2
	}
	name := s.path(args[1])
	if !strings.Contains(args[1], "/") {
		if found, ok := s.system.LookPath(args[1], s.dir, s.get("PATH")); ok {
			name = found
		}
	}
	data, err := s.system.Files.ReadFile(name)
	if err != nil {
		s.complain("%s: %s", args[1], reason(err))
		if s.posix {
			s.flow = flowExit
		}
		return 1
	}
	if s.level >= maxLevel {
		s.complain("%s: maximum source nesting level exceeded", args[1])
		return 1
	}
	params := s.params
	if len(args) > 2 {
		s.params = args[2:]
	}
	s.sourced++
	s.level++
	s.runText(string(data))
	s.level--
	s.sourced--
	if len(args) > 2 {
		s.params = params
	}
	if s.flow == flowReturn {
		s.flow = flowNone
	}
	return s.status
}

func eval(s *shell, args []string) int {
	text := strings.Join(args[1:], " ")
	if strings.TrimSpace(text) == "" {
		return 0
	}
	s.status = s.lastStatus
	s.runText(text)
	return s.status
}

func leaveLoop(s *shell, args []string) int {
	if s.loops == 0 {
		s.complain("%s: only meaningful in a loop", args[0])
		return 0
	}
	s.depth = 1
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 1 {
			s.complain("%s: %s: loop count out of range", args[0], args[1])
			return 1
		}
		s.depth = min(n, s.loops)
	}
	s.flow = flowContinue
	if args[0] == "break" {
		s.flow = flowBreak
	}
	return 0
}

func exit(s *shell, args []string) int { return leave(s, args, flowExit) }

func leaveFunction(s *shell, args []string) int {
	if s.functions == 0 && s.sourced == 0 {
		s.complain("return: can only `return' from a function or sourced script")
		return 2
	}
	return leave(s, args, flowReturn)
}

// leave sets the status itself: "exit" without a number keeps the last one.
func leave(s *shell, args []string, why flow) int {
	code := s.lastStatus
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			s.complain("%s: %s: numeric argument required", args[0], args[1])
			n = 2
		}
		code = n & 0xff
	}
	s.flow, s.status = why, code
	return code
}

func builtin(s *shell, args []string) int {
	if len(args) < 2 {
		return 0
	}
	f, ok := builtins[args[1]]
	if !ok {
		s.complain("builtin: %s: not a shell builtin", args[1])
		return 1
	}
	return f(s, args[1:])
}

func cd(s *shell, args []string) int {
	target := ""
	for _, arg := range args[1:] {
		if arg != "-P" && arg != "-L" && arg != "--" {
			target = arg
			break
		}
	}
	show := target == "-"
	switch target {
	case "":
		target = s.get("HOME")
	case "-":
		target = s.get("OLDPWD")
	}
	if err := s.chdir(target); err != nil {
		s.complain("cd: %s: %s", target, reason(err))
		return 1
	}
	if show {
		s.printf("%s\n", s.dir)
	}
	return 0
}

func pwd(s *shell, args []string) int {
	dir := s.dir
	if len(args) > 1 && args[1] == "-P" {
		if real, err := s.system.Files.Real(dir); err == nil {
			dir = real
		}
	}
	s.printf("%s\n", dir)
	return s.status
}

func command(s *shell, args []string) int {
	args = args[1:]
	describe := ""
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] == "-v" || args[0] == "-V" {
			describe = args[0]
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return 0
	}
	if describe == "" {
		s.callBuiltinOrProgram(args)
		return s.status
	}
	for _, name := range args {
		what, where := s.describe(name)
		switch {
		case what == "":
			if describe == "-V" {
				s.complain("command: %s: not found", name)
			}
			return 1
		case describe == "-V" && where != "":
			s.printf("%s is %s\n", name, where)
		case describe == "-V":
			s.printf("%s is a %s\n", name, what)
		case where != "":
			s.printf("%s\n", where)
		default:
			s.printf("%s\n", name)
		}
	}
	return 0
}

// describe tells what a command name is; where is set for files.
func (s *shell) describe(name string) (what, where string) {
	if _, ok := s.funcs[name]; ok {
		return "function", ""
	}
	if _, ok := builtins[name]; ok {
		return "shell builtin", ""
	}
	if slices.Contains([]string{"if", "for", "while", "case", "local", "export", "declare", "readonly", "[["}, name) {
		return "shell keyword", ""
	}
	found, ok := s.system.LookPath(name, s.dir, s.get("PATH"))
	if n, err := s.system.Files.Stat(found); ok && err == nil && n.Mode&0o111 != 0 && !n.Mode.IsDir() {
		return "file", found
	}
	return "", ""
}

func typeBuiltin(s *shell, args []string) int {
	status, short, pathOnly := 0, false, false
	for _, name := range args[1:] {
		switch name {
		case "-t":
			short = true
			continue
		case "-p", "-P":
			pathOnly = true
			continue
		case "-a":
			continue
		}
		what, where := s.describe(name)
		switch {
		case what == "":
			status = 1
			if !short && !pathOnly {
				s.complain("type: %s: not found", name)
			}
		case pathOnly:
			if where != "" {
				s.printf("%s\n", where)
			}
		case short:
			s.printf("%s\n", what[strings.LastIndexByte(what, ' ')+1:])
		case where != "":
			s.printf("%s is %s\n", name, where)
		default:
			s.printf("%s is a %s\n", name, what)
		}
	}
	return status
}

// execute is exec: with a command it takes the shell's place, without one its redirections stay.
func execute(s *shell, args []string) int {
	if len(args) == 1 {
		s.keepFiles = true
		return 0
	}
	code := s.execute(args[1:])
	s.traps = map[string]string{}
	s.flow, s.status = flowExit, code
	return code
}

func shift(s *shell, args []string) int {
	n := 1
	if len(args) > 1 {
		var err error
		if n, err = strconv.Atoi(args[1]); err != nil || n < 0 {
			s.complain("shift: %s: numeric argument required", args[1])
			return 1
		}
	}
	if n > len(s.params) {
		return 1
	}
	s.params = s.params[n:]
	return 0
}

func umask(s *shell, args []string) int {
	if len(args) < 2 || args[1] == "-S" {
		s.printf("%04o\n", uint32(s.umask))
		return 0
	}
	mask, err := strconv.ParseUint(args[1], 8, 12)
	if err != nil {
		s.complain("umask: %s: octal number out of range", args[1])
		return 1
	}
	s.umask = fs.FileMode(mask)
	return 0
}

func unset(s *shell, args []string) int {
	status, functions := 0, false
	for _, name := range args[1:] {
		switch name {
		case "-v", "-n":
			continue
		case "-f":
			functions = true
			continue
		}
		base, index, isElement := strings.Cut(strings.TrimSuffix(name, "]"), "[")
		v := s.scope.get(base)
		switch {
		case functions:
			delete(s.funcs, name)
		case v.ReadOnly:
			s.complain("unset: %s: cannot unset: readonly variable", name)
			status = 1
		case isElement:
			s.unsetElement(base, index, v)
		default:
			if !v.Declared() {
				delete(s.funcs, name)
			}
			s.scope.set(name, expand.Variable{Local: v.Local})
		}
	}
	return status
}

func (s *shell) unsetElement(name, index string, v expand.Variable) {
	if v.Kind == expand.Associative {
		entries := map[string]string{}
		for key, value := range v.Map {
			if key != index {
				entries[key] = value
			}
		}
		v.Map = entries
	} else if i, err := strconv.Atoi(index); err == nil {
		list := elements(v)
		delete(list, i)
		v = list.variable(v)
	}
	s.scope.set(name, v)
}
