package commands

import (
	"strconv"
	"strings"
)

// sedRun is a script at work on an input.
type sedRun struct {
	quiet   bool
	out     strings.Builder
	all     []string
	line    int
	pattern string
	hold    string
	after   []string
	deleted bool
	quit    bool
}

func (r *sedRun) run(script []*sedCommand, text string) (string, int) {
	r.all = lines([]byte(text))
	for _, c := range script {
		c.reset()
	}
	for r.line = 1; r.line <= len(r.all) && !r.quit; r.line++ {
		r.pattern, r.deleted, r.after = r.all[r.line-1], false, nil
		r.execute(script)
		r.flush()
	}
	out := r.out.String()
	if text != "" && !strings.HasSuffix(text, "\n") {
		out = strings.TrimSuffix(out, "\n")
	}
	return out, 0
}

func (r *sedRun) flush() {
	if !r.deleted && !r.quiet {
		r.out.WriteString(r.pattern + "\n")
	}
	for _, text := range r.after {
		r.out.WriteString(text + "\n")
	}
	r.after = nil
}

func (c *sedCommand) reset() {
	c.active = false
	for _, inner := range c.block {
		inner.reset()
	}
}

func (a sedAddress) matches(r *sedRun) bool {
	switch {
	case a.any:
		return true
	case a.last:
		return r.line == len(r.all)
	case a.re != nil:
		return a.re.MatchString(r.pattern)
	}
	return a.line == r.line
}

func (c *sedCommand) selects(r *sedRun) bool {
	if !c.ranged {
		return c.from.matches(r)
	}
	if c.active {
		if c.to.matches(r) || c.to.re == nil && !c.to.last && r.line >= c.to.line {
			c.active = false
		}
		return true
	}
	if !c.from.matches(r) {
		return false
	}
	if c.to.line < 0 {
		c.to.line = r.line - c.to.line
	}
	c.active = c.to.re != nil || c.to.last && r.line < len(r.all) || c.to.line > r.line
	return true
}

func (r *sedRun) execute(script []*sedCommand) {
	for _, c := range script {
		if r.deleted || r.quit {
			return
		}
		if c.selects(r) != c.negated {
			r.apply(c)
		}
	}
}

func (r *sedRun) apply(c *sedCommand) {
	switch c.name {
	case '{':
		r.execute(c.block)
	case 's':
		r.substitute(c)
	case 'y':
		from, to, _ := strings.Cut(c.text, "\x00")
		for i := range min(len(from), len(to)) {
			r.pattern = strings.ReplaceAll(r.pattern, from[i:i+1], to[i:i+1])
		}
	case 'd', 'D':
		r.deleted = true
	case 'p', 'P':
		r.out.WriteString(r.pattern + "\n")
	case '=':
		r.out.WriteString(strconv.Itoa(r.line) + "\n")
	case 'q':
		r.quit = true
	case 'Q':
		r.quit, r.deleted = true, true
	case 'a':
		r.after = append(r.after, c.text)
	case 'i':
		r.out.WriteString(c.text + "\n")
	case 'c':
		if !c.ranged || !c.active {
			r.out.WriteString(c.text + "\n")
		}
		r.deleted = true
	case 'n', 'N':
		if r.line >= len(r.all) {
			r.quit = true
			return
		}
		r.line++
		if c.name == 'N' {
			r.pattern += "\n" + r.all[r.line-1]
			return
		}
		r.flush()
		r.pattern = r.all[r.line-1]
	case 'h':
		r.hold = r.pattern
	case 'H':
		r.hold += "\n" + r.pattern
	case 'g':
		r.pattern = r.hold
	case 'G':
		r.pattern += "\n" + r.hold
	case 'x':
		r.hold, r.pattern = r.pattern, r.hold
	}
}

func (r *sedRun) substitute(c *sedCommand) {
	matches := c.re.FindAllStringSubmatchIndex(r.pattern, -1)
	if len(matches) == 0 || len(matches) < c.nth {
		return
	}
	var out strings.Builder
	end := 0
	for i, m := range matches {
		if c.nth > 0 && (i+1 < c.nth || !c.global && i+1 > c.nth) || c.nth == 0 && !c.global && i > 0 {
			continue
		}
		out.WriteString(r.pattern[end:m[0]])
		out.WriteString(sedReplacement(c.text, r.pattern, m))
		end = m[1]
	}
	out.WriteString(r.pattern[end:])
	r.pattern = out.String()
	if c.print {
		r.out.WriteString(r.pattern + "\n")
	}
}

func sedReplacement(text, line string, m []int) string {
	var out strings.Builder
	group := func(n int) {
		if 2*n+1 < len(m) && m[2*n] >= 0 {
			out.WriteString(line[m[2*n]:m[2*n+1]])
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '&':
			group(0)
		case c == '\\' && i+1 < len(text):
			i++
			switch next := text[i]; {
			case next >= '0' && next <= '9':
				group(int(next - '0'))
			case next == 'n':
				out.WriteByte('\n')
			case next == 't':
				out.WriteByte('\t')
			default:
				out.WriteByte(next)
			}
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
