package shell

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
)

// testBuiltin is test and [.
func testBuiltin(s *shell, args []string) int {
	if args[0] == "[" {
		if args[len(args)-1] != "]" {
			s.complain("[: missing `]'")
			return 2
		}
		args = args[:len(args)-1]
	}
	t := &classicTest{s: s, words: args[1:]}
	result := t.or()
	if t.failed == "" && len(t.words) > 0 {
		t.failed = "too many arguments"
	}
	if t.failed != "" {
		s.complain("%s: %s", args[0], t.failed)
		return 2
	}
	return flag(result)
}

// classicTest reads the words of a test from the left.
type classicTest struct {
	s      *shell
	words  []string
	failed string
}

func (t *classicTest) or() bool {
	result := t.and()
	for len(t.words) > 0 && t.words[0] == "-o" {
		t.words = t.words[1:]
		right := t.and()
		result = result || right
	}
	return result
}

func (t *classicTest) and() bool {
	result := t.primary()
	for len(t.words) > 0 && t.words[0] == "-a" {
		t.words = t.words[1:]
		right := t.primary()
		result = result && right
	}
	return result
}

func (t *classicTest) primary() bool {
	if len(t.words) == 0 {
		return false
	}
	w := t.words
	if len(w) >= 3 && isBinary(w[1]) {
		t.words = w[3:]
		return t.binary(w[0], w[1], w[2])
	}
	switch {
	case w[0] == "!" && len(w) > 1:
		t.words = w[1:]
		return !t.primary()
	case w[0] == "(" && len(w) > 1:
		t.words = w[1:]
		result := t.or()
		if len(t.words) == 0 || t.words[0] != ")" {
			t.failed = "`)' expected"
			return false
		}
		t.words = t.words[1:]
		return result
	case len(w) >= 2 && len(w[0]) == 2 && w[0][0] == '-' && strings.Contains(unaryLetters, w[0][1:]):
		t.words = w[2:]
		return t.s.testUnary(w[0], w[1])
	}
	t.words = w[1:]
	return w[0] != ""
}

const unaryLetters = "abcdefghknoprstuvwxzGLNORS"

var binaryOperators = []string{"=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"}

func isBinary(word string) bool { return slices.Contains(binaryOperators, word) }

func (t *classicTest) binary(x, op, y string) bool {
	switch op {
	case "=", "==":
		return x == y
	case "!=":
		return x != y
	}
	if len(op) == 3 && !strings.Contains("-nt-ot-ef", op) {
		for _, value := range []string{x, y} {
			if _, err := strconv.Atoi(strings.TrimSpace(value)); err != nil {
				t.failed = value + ": integer expression expected"
				return false
			}
		}
	}
	return t.s.testBinary(x, op, y)
}

func (s *shell) testBinary(x, op, y string) bool {
	a, b := number(x), number(y)
	switch op {
	case "-eq":
		return a == b
	case "-ne":
		return a != b
	case "-lt":
		return a < b
	case "-le":
		return a <= b
	case "-gt":
		return a > b
	case "-ge":
		return a >= b
	case "<":
		return x < y
	case ">":
		return x > y
	}
	left, errLeft := s.system.Files.Stat(s.path(x))
	right, errRight := s.system.Files.Stat(s.path(y))
	switch op {
	case "-nt":
		return errLeft == nil && (errRight != nil || left.ModTime.After(right.ModTime))
	case "-ot":
		return errRight == nil && (errLeft != nil || left.ModTime.Before(right.ModTime))
	}
	realLeft, errLeft := s.system.Files.Real(s.path(x))
	realRight, errRight := s.system.Files.Real(s.path(y))
	return errLeft == nil && errRight == nil && realLeft == realRight
}

func (s *shell) testUnary(op, x string) bool {
	switch op {
	case "-n":
		return x != ""
	case "-z":
		return x == ""
	case "-v":
		name, index, isElement := strings.Cut(strings.TrimSuffix(x, "]"), "[")
		v := environ{s}.Get(name)
		if isElement && v.Kind == expand.Associative {
			_, ok := v.Map[index]
			return ok
		}
		return v.IsSet()
	case "-o":
		return s.options[namedOptions[x]]
	case "-t":
		return false
	}
	if op == "-L" || op == "-h" {
		n, err := s.system.Files.Lstat(s.path(x))
		return err == nil && n.Mode&fs.ModeSymlink != 0
	}
	if fd, ok := descriptorNumber(x); ok {
		return s.fds[fd] != nil && op != "-f" && op != "-d"
	}
	n, err := s.system.Files.Stat(s.path(x))
	if err != nil {
		return false
	}
	switch op {
	case "-e", "-a", "-r", "-w", "-O", "-G":
		return true
	case "-f":
		return n.Mode.IsRegular()
	case "-d":
		return n.Mode.IsDir()
	case "-x":
		return n.Mode.IsDir() || n.Mode&0o111 != 0
	case "-s":
		if n.Mode.IsRegular() && len(n.Data) == 0 {
			// A computed file has its content only when it is read.
			data, err := s.system.Files.ReadFile(s.path(x))
			return err == nil && len(data) > 0
		}
		return true
	case "-b":
		return n.Mode&fs.ModeDevice != 0 && n.Mode&fs.ModeCharDevice == 0
	case "-c":
		return n.Mode&fs.ModeCharDevice != 0
	case "-p":
		return n.Mode&fs.ModeNamedPipe != 0
	case "-S":
		return n.Mode&fs.ModeSocket != 0
	case "-u":
		return n.Mode&fs.ModeSetuid != 0
	case "-g":
		return n.Mode&fs.ModeSetgid != 0
	case "-k":
		return n.Mode&fs.ModeSticky != 0
	}
	return false
}

func number(value string) int {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil {
		return 0
	}
	return n
}
