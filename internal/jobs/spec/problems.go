package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxProblems is how many problems are reported; the rest is counted.
const MaxProblems = 100

const (
	// maxFindings bounds what CheckSpec reports, and the places that keep it from reporting what only follows.
	maxFindings = 10 * MaxProblems
	// longestText bounds a message and a hint, in characters: they quote what others wrote.
	longestText = 1000
	// longestPath bounds a path as it is shown, in bytes: each value of a document has one.
	longestPath = 400
)

// Checker is a spec, or a part of one, that checks what its types alone cannot say. CheckSpec is called on a pointer to
// the decoded value, with p standing at its path.
type Checker interface {
	CheckSpec(p *Problems)
}

// Problem is one thing that is wrong with a spec.
type Problem struct {
	// File, Line and Column are where it is written; empty and zero for a spec that came in a message.
	File         string `json:"file,omitempty"`
	Line, Column int    `json:",omitempty"`
	// Path is the field: spec.steps[2].run.
	Path string `json:"path,omitempty"`
	// Message says what was expected and what was found.
	Message string `json:"message"`
	// Hint says what to do; it may be empty.
	Hint string `json:"hint,omitempty"`
}

func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// Errors are all the problems of a spec, or of several files.
type Errors struct {
	Problems []Problem
	// More is how many further problems there are.
	More int
}

func (e *Errors) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

func (e *Errors) add(p Problem) {
	if e.full() {
		e.More++
		return
	}
	p.Message, p.Hint = shorten(p.Message, longestText), shorten(p.Hint, longestText)
	e.Problems = append(e.Problems, p)
}

// full: what comes now is only counted, so nothing needs to be found out about it.
func (e *Errors) full() bool { return len(e.Problems) >= MaxProblems }

// orNil is the error to return: nil if there are no problems. The problems of each file come in the order of its lines.
func (e *Errors) orNil() error {
	if len(e.Problems) == 0 {
		return nil
	}
	files := map[string]int{}
	for _, p := range e.Problems {
		if _, seen := files[p.File]; !seen {
			files[p.File] = len(files)
		}
	}
	slices.SortStableFunc(e.Problems, func(a, b Problem) int {
		if d := files[a.File] - files[b.File]; d != 0 {
			return d
		}
		if d := a.Line - b.Line; d != 0 {
			return d
		}
		return a.Column - b.Column
	})
	return e
}

// Problems is where a CheckSpec reports, at a path.
type Problems struct {
	path  []any
	found *findings
}

type findings struct {
	list []finding
	more int // beyond maxFindings
}

type finding struct {
	path          []any
	message, hint string
}

// NewProblems stands at the root of a spec and collects for Err.
func NewProblems() *Problems { return &Problems{found: &findings{}} }

// At is the place below this one: field names and list indexes.
func (p *Problems) At(path ...any) *Problems {
	return &Problems{path: append(slices.Clip(slices.Clone(p.path)), path...), found: p.found}
}

// AtName is the name of a field or of a mapping's entry, where the name is what is wrong and not the value.
func (p *Problems) AtName(name string) *Problems { return p.At(entryName(name)) }

type entryName string

// Add reports a problem here: what was expected and what was found, with args as in fmt.Sprintf, and what to do about it.
func (p *Problems) Add(message, hint string, args ...any) {
	if len(p.found.list) == maxFindings {
		p.found.more++
		return
	}
	if len(args) > 0 {
		message = fmt.Sprintf(message, args...)
	}
	p.found.list = append(p.found.list, finding{path: p.path, message: message, hint: hint})
}

// Err is everything that was reported, as *Errors, or nil.
func (p *Problems) Err() error {
	all := Errors{More: p.found.more}
	for _, f := range p.found.list {
		all.add(Problem{Path: joinPath("spec", f.path...), Message: f.message, Hint: f.hint})
	}
	return all.orNil()
}

// joinPath writes a path as people read it: spec.volumes["/dev/sdf"].size, spec.steps[2]. One that is too long ends in ….
func joinPath(base string, path ...any) string {
	if strings.HasSuffix(base, "…") {
		return base
	}
	var b strings.Builder
	b.WriteString(base)
	for _, element := range path {
		if b.Len() > longestPath {
			b.WriteString("…")
			break
		}
		if name, ok := element.(entryName); ok {
			element = string(name)
		}
		switch e := element.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", e)
		case string:
			e = shorten(e, longestPath/4)
			switch {
			case !plainName(e):
				b.WriteString("[" + strconv.Quote(e) + "]")
			case b.Len() > 0:
				b.WriteString("." + e)
			default:
				b.WriteString(e)
			}
		default:
			fmt.Fprintf(&b, "[%v]", e)
		}
	}
	return b.String()
}

func plainName(name string) bool {
	for _, r := range name {
		if r != '-' && r != '_' && !isLetterOrDigit(r) {
			return false
		}
	}
	return name != ""
}

func isLetterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
