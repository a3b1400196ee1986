// Package awk is a small awk: patterns, fields, variables, arrays, the usual statements and functions. It reaches no file
// and starts no program; redirections, pipes and getline are errors when a program is parsed.
package awk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
)

// Program is a parsed program; it is not changed by a run.
type Program struct {
	begin, end []*node
	rules      []rule
}

type rule struct {
	from, to *node // nil: any line; to is set for a range
	action   *node // nil: print
	index    int
}

// ReadsInput says whether the program looks at its input at all.
func (p *Program) ReadsInput() bool { return len(p.rules) > 0 || len(p.end) > 0 }

// Run is how a program is run.
type Run struct {
	Separator string
	Assign    []string // name=value
	Out       io.Writer
	Env       map[string]string
	// Context ends the program; nil: it ends by itself.
	Context context.Context
	// MaxSteps is how many statements and operations it has; 0: more than any honest one needs.
	MaxSteps int
}

const (
	mostSteps = 50_000_000
	// mostText is how long a text may be, in bytes, and mostElements how many elements all arrays have together.
	mostText     = 16 << 20
	mostElements = 1_000_000
)

var (
	errSteps    = errors.New("the program takes more steps than this awk allows")
	errText     = errors.New("a text is longer than this awk allows")
	errElements = errors.New("the arrays are larger than this awk allows")
)

// value is a string, a number, or text from the input that counts as a number if it looks like one.
type value struct {
	text    string
	number  float64
	numeric bool
	input   bool
}

func number(n float64) value { return value{number: n, numeric: true} }

func text(s string) value { return value{text: s} }

func (v value) String() string {
	if !v.numeric || v.input {
		return v.text
	}
	if v.number == float64(int64(v.number)) {
		return strconv.FormatInt(int64(v.number), 10)
	}
	return strconv.FormatFloat(v.number, 'g', 6, 64)
}

func (v value) float() float64 {
	if v.numeric {
		return v.number
	}
	s := strings.TrimSpace(v.text)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.' || (s[end] == '-' || s[end] == '+') && end == 0 ||
		(s[end] == 'e' || s[end] == 'E') && end > 0 && end+1 < len(s)) {
		end++
	}
	for end > 0 {
		if n, err := strconv.ParseFloat(s[:end], 64); err == nil {
			return n
		}
		end--
	}
	return 0
}

func (v value) truth() bool {
	if v.numeric {
		return v.number != 0
	}
	return v.text != ""
}

// fromInput is a field: a number too, if all of it looks like one.
func fromInput(s string) value {
	if n, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil && strings.Trim(s, " \t+-.0123456789eE") == "" {
		return value{text: s, number: n, numeric: true, input: true}
	}
	return text(s)
}

func truth(b bool) value {
	if b {
		return number(1)
	}
	return number(0)
}

// machine is a program at work.
type machine struct {
	out    io.Writer
	vars   map[string]value
	arrays map[string]map[string]value
	fields []string // the line is 0
	active map[int]bool
	code   int

	ctx      context.Context
	left     int // steps
	elements int
}

// step counts one statement or operation.
func (m *machine) step() {
	if m.left--; m.left < 0 {
		panic(errSteps)
	}
	if m.left%1024 == 0 && m.ctx != nil && m.ctx.Err() != nil {
		panic(m.ctx.Err())
	}
}

// fits refuses a text that grows without end.
func fits(size int) {
	if size > mostText {
		panic(errText)
	}
}

// control leaves statements: next, exit, break, continue.
type control string

func (c control) Error() string { return string(c) }

// Execute runs the program on the input and returns its exit code.
func (r Run) Execute(p *Program, input string) (code int, err error) {
	m := &machine{out: r.Out, vars: map[string]value{"FS": text(" "), "OFS": text(" "), "ORS": text("\n"), "NR": number(0), "SUBSEP": text("\x1c")},
		arrays: map[string]map[string]value{"ENVIRON": {}}, fields: []string{""}, active: map[int]bool{}, ctx: r.Context, left: r.MaxSteps}
	if m.left == 0 {
		m.left = mostSteps
	}
	m.vars["FS"] = text(unescape(r.Separator))
	for name, v := range r.Env {
		m.arrays["ENVIRON"][name] = fromInput(v)
	}
	for _, pair := range r.Assign {
		name, v, _ := strings.Cut(pair, "=")
		m.vars[name] = fromInput(unescape(v))
	}
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case runtime.Error:
			panic(problem)
		case error:
			err = problem
		default:
			panic(problem)
		}
	}()
	exited := m.list(p.begin) == control("exit")
	if p.ReadsInput() && !exited && input != "" {
		for line := range strings.SplitSeq(strings.TrimSuffix(input, "\n"), "\n") {
			m.vars["NR"] = number(m.vars["NR"].number + 1)
			m.vars["FNR"] = m.vars["NR"]
			m.split(line)
			if m.rules(p.rules) == control("exit") {
				exited = true
				break
			}
		}
	}
	if !exited || m.code == 0 {
		// Whatever leaves END, an exit, a next or a printf that cannot be written, the program is over.
		_ = m.list(p.end)
	}
	return m.code, nil
}

func (m *machine) list(actions []*node) error {
	for _, a := range actions {
		if err := m.statement(a); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) rules(rules []rule) error {
	for _, r := range rules {
		if !m.matches(r) {
			continue
		}
		if r.action == nil {
			m.print(m.fields[0])
			continue
		}
		if err := m.statement(r.action); err == control("next") {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) matches(r rule) bool {
	switch {
	case r.from == nil:
		return true
	case r.to == nil:
		return m.eval(r.from).truth()
	case m.active[r.index] || m.eval(r.from).truth():
		m.active[r.index] = !m.eval(r.to).truth()
		return true
	}
	return false
}

func (m *machine) print(line string) {
	if _, err := io.WriteString(m.out, line+m.vars["ORS"].String()); err != nil {
		panic(fmt.Errorf("write: %w", err))
	}
}

// split makes a line the current one.
func (m *machine) split(line string) {
	m.fields = append([]string{line}, splitBy(line, m.vars["FS"].String())...)
	m.vars["NF"] = number(float64(len(m.fields) - 1))
}

func splitBy(line, separator string) []string {
	switch {
	case line == "":
		return nil
	case separator == " ":
		return strings.Fields(line)
	case len(separator) == 1 && separator != "|" || separator == "":
		return strings.Split(line, separator)
	}
	return compile(separator).Split(line, -1)
}

// join makes the line out of the fields again.
func (m *machine) join() {
	m.fields[0] = strings.Join(m.fields[1:], m.vars["OFS"].String())
	m.vars["NF"] = number(float64(len(m.fields) - 1))
}

func unescape(s string) string {
	return strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\"`, `"`, `\/`, "/", `\\`, `\`, `\r`, "\r").Replace(s)
}
