package awk

import (
	"math"
	"strconv"
	"strings"
	"time"
)

var functions map[string]func(*machine, []*node) value

func init() {
	functions = map[string]func(*machine, []*node) value{
		"length": length, "substr": substr, "index": index, "split": split, "sub": sub, "gsub": gsub, "match": match,
		"tolower": func(m *machine, a []*node) value { return text(strings.ToLower(m.argument(a, 0).String())) },
		"toupper": func(m *machine, a []*node) value { return text(strings.ToUpper(m.argument(a, 0).String())) },
		"int":     func(m *machine, a []*node) value { return number(math.Trunc(m.argument(a, 0).float())) },
		"sqrt":    func(m *machine, a []*node) value { return number(math.Sqrt(m.argument(a, 0).float())) },
		"sprintf": func(m *machine, a []*node) value { return text(m.format(a)) },
		"systime": func(*machine, []*node) value { return number(float64(time.Now().Unix())) },
	}
}

func (m *machine) argument(args []*node, i int) value {
	if i >= len(args) {
		return value{}
	}
	return m.eval(args[i])
}

func length(m *machine, args []*node) value {
	switch {
	case len(args) == 0:
		return number(float64(len([]rune(m.fields[0]))))
	case args[0].op == "name" && m.arrays[args[0].text] != nil:
		return number(float64(len(m.arrays[args[0].text])))
	}
	return number(float64(len([]rune(m.eval(args[0]).String()))))
}

func substr(m *machine, args []*node) value {
	r := []rune(m.argument(args, 0).String())
	start := int(m.argument(args, 1).float())
	end := len(r) + 1
	if len(args) > 2 {
		end = start + int(m.argument(args, 2).float())
	}
	start, end = max(start, 1), min(end, len(r)+1)
	if start >= end {
		return text("")
	}
	return text(string(r[start-1 : end-1]))
}

func index(m *machine, args []*node) value {
	return number(float64(strings.Index(m.argument(args, 0).String(), m.argument(args, 1).String()) + 1))
}

func split(m *machine, args []*node) value {
	if len(args) < 2 {
		return number(0)
	}
	separator := m.vars["FS"].String()
	if len(args) > 2 {
		if args[2].op == "regex" {
			separator = args[2].text
		} else {
			separator = m.eval(args[2]).String()
		}
	}
	parts := splitBy(m.eval(args[0]).String(), separator)
	array := m.array(args[1].text)
	m.elements -= len(array)
	clear(array)
	for i, part := range parts {
		m.put(array, strconv.Itoa(i+1), fromInput(part))
	}
	return number(float64(len(parts)))
}

func sub(m *machine, args []*node) value  { return m.replace(args, 1) }
func gsub(m *machine, args []*node) value { return m.replace(args, -1) }

// replace is sub and gsub: "&" in the replacement is what matched.
func (m *machine) replace(args []*node, limit int) value {
	target := &node{op: "field", args: []*node{{op: "number", text: "0"}}}
	if len(args) > 2 {
		target = args[2]
	}
	re, with := m.pattern(args[0]), m.argument(args, 1).String()
	count, size := 0, 0
	replaced := re.ReplaceAllStringFunc(m.eval(target).String(), func(found string) string {
		if limit >= 0 && count >= limit {
			return found
		}
		count++
		m.step()
		fits(strings.Count(with, "&")*len(found) + len(with))
		put := strings.NewReplacer(`\&`, "&", "&", found).Replace(with)
		size += len(put)
		fits(size)
		return put
	})
	if count > 0 {
		m.assign(target, text(replaced))
	}
	return number(float64(count))
}

func match(m *machine, args []*node) value {
	if len(args) < 2 {
		return number(0)
	}
	re := m.pattern(args[1])
	at := re.FindStringIndex(m.eval(args[0]).String())
	if at == nil {
		m.vars["RSTART"], m.vars["RLENGTH"] = number(0), number(-1)
		return number(0)
	}
	m.vars["RSTART"], m.vars["RLENGTH"] = number(float64(at[0]+1)), number(float64(at[1]-at[0]))
	return m.vars["RSTART"]
}
