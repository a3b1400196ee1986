package shell

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"syscall"

	"mvdan.cc/sh/v3/expand"
)

// What a server's scripts may use of the process that simulates it. A real server ends such a script too, by running out
// of memory or processes; here it would take its neighbours along.
const (
	// mostSteps is how many commands and rounds of loops a boot has, unless System.MaxSteps says otherwise.
	mostSteps = 200_000_000
	// mostProcesses run at once.
	mostProcesses = 2000
	// mostInput is what one process reads of its standard input, in bytes.
	mostInput = 64 << 20
	// mostText is how long a command's substituted output, and all variables that one command expands, may be.
	mostText = 16 << 20
	// wordSize is what a word of a list costs beside its text.
	wordSize = 64
	// longestScript and deepestScript keep the parser, which is recursive, from running out of stack.
	longestScript = 512 << 10
	deepestScript = 1000
)

var (
	errLongScript = errors.New("the script is longer than this server takes")
	errDeepScript = errors.New("the script's brackets are nested deeper than this server takes")
	errLongValue  = errors.New("the text is longer than this server takes")
)

// step counts one command; false: the boot has used up what it has.
func (s *System) step() bool { return s.steps.Add(1)+s.bytes.Load()/stepBytes <= s.mostSteps() }

func (s *System) mostSteps() int64 {
	if s.MaxSteps > 0 {
		return s.MaxSteps
	}
	return mostSteps
}

// crowded: no further process can be begun.
func (s *System) crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.processes) >= mostProcesses
}

// parsable refuses a text that could exhaust the parser's stack.
func parsable(text string) error {
	if len(text) > longestScript {
		return errLongScript
	}
	depth := 0
	for _, c := range []byte(text) {
		switch c {
		case '(', '{', '[':
			if depth++; depth > deepestScript {
				return errDeepScript
			}
		case ')', '}', ']':
			depth = max(depth-1, 0)
		}
	}
	for _, word := range []string{"if", "while", "until", "for", "case", "`", "!", "time", "coproc", "-", "~", "+"} {
		if strings.Count(text, word) > 20*deepestScript {
			return errDeepScript
		}
	}
	return nil
}

// stepBytes is how much is read or written for the price of one command.
const stepBytes = 4096

// callBytes is what each read or write costs beside its bytes.
const callBytes = 128

// carried counts bytes that went through a process.
func (s *System) carried(n int) bool {
	if s == nil || n == 0 {
		return true
	}
	return s.steps.Load()+s.bytes.Add(int64(n+callBytes))/stepBytes <= s.mostSteps()
}

// bounded reads until there was too much of it.
type bounded struct {
	io.Reader
	system *System
	read   atomic.Int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if (b.read.Add(int64(n)) > mostInput || !b.system.carried(n)) && err == nil {
		err = syscall.EFBIG
	}
	return n, err
}

// charged writes as long as the boot has steps for it.
type charged struct {
	writer
	system *System
}

func (c charged) Write(p []byte) (int, error) {
	if !c.system.carried(len(p)) {
		return 0, syscall.EDQUOT
	}
	return c.writer.Write(p)
}

// limited writes until there was too much of it.
type limited struct {
	io.Writer
	room int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.room -= len(p); l.room < 0 {
		return 0, syscall.EFBIG
	}
	return l.Writer.Write(p)
}

// expanding counts what a command's expansions take of variables.
func (s *shell) expanding(v expand.Variable) expand.Variable {
	size := len(v.Str)
	for _, item := range v.List {
		size += len(item) + wordSize
	}
	if s.expandedText += size; s.expandedText <= mostText {
		return v
	}
	if s.flow != flowExit {
		s.complain("%v", errLongValue)
		s.flow, s.status = flowExit, 1
	}
	return expand.Variable{}
}
