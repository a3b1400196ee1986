package awk

import (
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

func compile(expr string) *regexp.Regexp {
	re, err := regexp.Compile(expr)
	if err != nil {
		panic(fmt.Errorf("regular expression %q: %w", expr, err))
	}
	return re
}

func (m *machine) statement(n *node) error {
	m.step()
	switch n.op {
	case "block":
		return m.list(n.args)
	case "expression":
		m.eval(n.args[0])
	case "print":
		if len(n.args) == 0 {
			m.print(m.fields[0])
			return nil
		}
		m.print(strings.Join(m.strings(n.args), m.vars["OFS"].String()))
	case "printf":
		if _, err := io.WriteString(m.out, m.format(n.args)); err != nil {
			return err
		}
	case "if":
		if m.eval(n.args[0]).truth() {
			return m.statement(n.args[1])
		}
		if len(n.args) > 2 {
			return m.statement(n.args[2])
		}
	case "while":
		return m.loop(nil, n.args[0], nil, n.args[1])
	case "for":
		return m.loop(n.args[0], n.args[1], n.args[2], n.args[3])
	case "for in":
		for _, key := range slices.Sorted(maps.Keys(m.array(n.args[0].text))) {
			m.vars[n.text] = fromInput(key)
			if err := m.statement(n.args[1]); err == control("break") {
				break
			} else if err != nil && err != control("continue") {
				return err
			}
		}
	case "delete":
		array := m.array(n.text)
		before := len(array)
		if len(n.args) == 0 {
			clear(array)
		} else {
			delete(array, m.eval(n.args[0]).String())
		}
		m.elements -= before - len(array)
	case "exit":
		if len(n.args) > 0 {
			m.code = int(m.eval(n.args[0]).float())
		}
		return control("exit")
	default:
		return control(n.op)
	}
	return nil
}

func (m *machine) loop(first, condition, next, body *node) error {
	if first != nil {
		m.eval(first)
	}
	for condition == nil || m.eval(condition).truth() {
		if err := m.statement(body); err == control("break") {
			return nil
		} else if err != nil && err != control("continue") {
			return err
		}
		if next != nil {
			m.eval(next)
		}
	}
	return nil
}

func (m *machine) array(name string) map[string]value {
	a, ok := m.arrays[name]
	if !ok {
		a = map[string]value{}
		m.arrays[name] = a
	}
	return a
}

func (m *machine) put(array map[string]value, key string, v value) {
	if _, ok := array[key]; !ok {
		if m.elements++; m.elements > mostElements {
			panic(errElements)
		}
	}
	array[key] = v
}

func (m *machine) strings(list []*node) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = m.eval(n).String()
	}
	return out
}

func (m *machine) eval(n *node) value {
	m.step()
	switch n.op {
	case "number":
		return number(text(n.text).float())
	case "string":
		return text(n.text)
	case "regex":
		return truth(compile(n.text).MatchString(m.fields[0]))
	case "name":
		return m.vars[n.text]
	case "group":
		return m.eval(n.args[0])
	case "field":
		if i := int(m.eval(n.args[0]).float()); i >= 0 && i < len(m.fields) {
			return fromInput(m.fields[i])
		}
		return text("")
	case "element":
		return m.array(n.text)[m.eval(n.args[0]).String()]
	case "=":
		return m.assign(n.args[0], m.eval(n.args[1]))
	case "pre++", "pre--", "post++", "post--":
		before := m.eval(n.args[0]).float()
		step := 1.0
		if strings.HasSuffix(n.op, "--") {
			step = -1
		}
		m.assign(n.args[0], number(before+step))
		if strings.HasPrefix(n.op, "pre") {
			return number(before + step)
		}
		return number(before)
	case "?":
		if m.eval(n.args[0]).truth() {
			return m.eval(n.args[1])
		}
		return m.eval(n.args[2])
	case "&&":
		return truth(m.eval(n.args[0]).truth() && m.eval(n.args[1]).truth())
	case "||":
		return truth(m.eval(n.args[0]).truth() || m.eval(n.args[1]).truth())
	case "!":
		return truth(!m.eval(n.args[0]).truth())
	case "negative":
		return number(-m.eval(n.args[0]).float())
	case "in":
		_, ok := m.array(n.text)[m.eval(n.args[0]).String()]
		return truth(ok)
	case "~", "!~":
		return truth(m.pattern(n.args[1]).MatchString(m.eval(n.args[0]).String()) == (n.op == "~"))
	case "call":
		return functions[n.text](m, n.args)
	}
	return m.operate(n.op, m.eval(n.args[0]), m.eval(n.args[1]))
}

func (m *machine) operate(op string, a, b value) value {
	switch op {
	case "concat":
		left, right := a.String(), b.String()
		fits(len(left) + len(right))
		return text(left + right)
	case "+":
		return number(a.float() + b.float())
	case "-":
		return number(a.float() - b.float())
	case "*":
		return number(a.float() * b.float())
	case "^":
		return number(math.Pow(a.float(), b.float()))
	case "/", "%":
		if b.float() == 0 {
			panic(fmt.Errorf("division by zero"))
		}
		if op == "/" {
			return number(a.float() / b.float())
		}
		return number(math.Mod(a.float(), b.float()))
	}
	order := strings.Compare(a.String(), b.String())
	empty := value{}
	if (a.numeric || a == empty) && (b.numeric || b == empty) {
		order = int(max(-1, min(1, math.Ceil(math.Abs(a.float()-b.float())))))
		if a.float() < b.float() {
			order = -order
		}
	}
	return truth(map[string]bool{"<": order < 0, "<=": order <= 0, "==": order == 0, "!=": order != 0, ">": order > 0, ">=": order >= 0}[op])
}

func (m *machine) assign(to *node, v value) value {
	switch to.op {
	case "name":
		m.vars[to.text] = v
		if n := int(v.float()); to.text == "NF" && n >= 0 && n < 1000 {
			for len(m.fields)-1 < n {
				m.fields = append(m.fields, "")
			}
			m.fields = m.fields[:n+1]
			m.join()
		}
	case "element":
		m.put(m.array(to.text), m.eval(to.args[0]).String(), v)
	case "field":
		i := int(m.eval(to.args[0]).float())
		if i == 0 {
			m.split(v.String())
			return v
		}
		if i < 0 || i > 1000 {
			panic(fmt.Errorf("there is no field %d", i))
		}
		for len(m.fields) <= i {
			m.fields = append(m.fields, "")
		}
		m.fields[i] = v.String()
		m.join()
	}
	return v
}

// pattern is an operand as a regular expression.
func (m *machine) pattern(n *node) *regexp.Regexp {
	if n.op == "regex" {
		return compile(n.text)
	}
	return compile(m.eval(n).String())
}

// format is sprintf.
func (m *machine) format(args []*node) string {
	if len(args) == 1 && args[0].op == "group" {
		args = args[0].args
	}
	if len(args) == 0 {
		return ""
	}
	layout, rest := m.eval(args[0]).String(), args[1:]
	next := func() value {
		if len(rest) == 0 {
			return text("")
		}
		v := m.eval(rest[0])
		rest = rest[1:]
		return v
	}
	var out strings.Builder
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' || i+1 == len(layout) {
			out.WriteByte(layout[i])
			continue
		}
		end := i + 1
		for end < len(layout)-1 && strings.IndexByte("-+ #0123456789.", layout[end]) >= 0 {
			end++
		}
		spec := layout[i:end]
		fits(out.Len())
		switch verb := layout[end]; verb {
		case '%':
			out.WriteByte('%')
		case 'd', 'i':
			fmt.Fprintf(&out, spec+"d", int64(next().float()))
		case 'o', 'x', 'X', 'c':
			fmt.Fprintf(&out, spec+string(verb), int64(next().float()))
		case 'f', 'e', 'g', 'E', 'G':
			fmt.Fprintf(&out, spec+string(verb), next().float())
		default:
			fmt.Fprintf(&out, spec+"s", next().String())
		}
		i = end
	}
	return out.String()
}
