package shell

import (
	"errors"
	"strings"
	"sync"
	"syscall"

	"mvdan.cc/sh/v3/syntax"
)

var (
	errNotDirectory = syscall.ENOTDIR
	errNoClobber    = errors.New("cannot overwrite existing file")
)

// script is parsed text. Its statements are never changed, so that all servers can share them.
type script struct {
	statements []*syntax.Stmt
	err        error
}

// Many servers run the same text: a stamp's user data, a health check.
var parsed = struct {
	sync.Mutex
	scripts map[string]script
}{scripts: map[string]script{}}

const (
	maxParsed     = 256
	maxParsedSize = 64 << 10
)

func parse(text string) script {
	parsed.Lock()
	known, ok := parsed.scripts[text]
	parsed.Unlock()
	if ok {
		return known
	}
	var s script
	if s.err = parsable(text); s.err != nil {
		return s
	}
	for statement, err := range syntax.NewParser().StmtsSeq(strings.NewReader(text)) {
		// The parser may go on after an error, even for a caller who has left.
		if s.err == nil {
			s.err = err
		}
		if s.err != nil {
			continue
		}
		s.statements = append(s.statements, statement)
	}
	if len(text) > maxParsedSize {
		return s
	}
	parsed.Lock()
	defer parsed.Unlock()
	if len(parsed.scripts) >= maxParsed {
		clear(parsed.scripts)
	}
	parsed.scripts[strings.Clone(text)] = s
	return s
}
