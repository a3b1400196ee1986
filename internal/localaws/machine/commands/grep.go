package commands

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// Regular expressions are compiled once for all servers.
var compiled sync.Map

func compile(expr string) (*regexp.Regexp, error) {
	if re, ok := compiled.Load(expr); ok {
		return re.(*regexp.Regexp), nil
	}
	re, err := regexp.Compile(expr)
	if err == nil {
		compiled.Store(expr, re)
	}
	return re, err
}

// posix turns a basic or extended regular expression into one of package regexp. Back references inside an expression
// are the one thing that it cannot say.
func posix(expr string, extended bool) string {
	var out strings.Builder
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		switch {
		case c == '[':
			end := bracketEnd(expr, i)
			out.WriteString(strings.ReplaceAll(expr[i:end], `\`, `\\`))
			i = end - 1
		case c == '\\' && i+1 < len(expr):
			i++
			next := expr[i]
			switch {
			case next == '<' || next == '>':
				out.WriteString(`\b`)
			case !extended && strings.ContainsRune("(){}|+?", rune(next)):
				out.WriteByte(next)
			case strings.ContainsRune("wWsSbBdD", rune(next)) || strings.ContainsRune(`nt`, rune(next)):
				out.WriteString(`\` + string(next))
			default:
				out.WriteString(regexp.QuoteMeta(string(next)))
			}
		case !extended && strings.ContainsRune("(){}|+?", rune(c)):
			out.WriteString(`\` + string(c))
		case !extended && c == '*' && (i == 0 || strings.HasSuffix(expr[:i], `\(`) || expr[:i] == "^"):
			out.WriteString(`\*`)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// bracketEnd is the index after the bracket expression that begins at i.
func bracketEnd(expr string, i int) int {
	j := i + 1
	if j < len(expr) && expr[j] == '^' {
		j++
	}
	if j < len(expr) && expr[j] == ']' {
		j++
	}
	for j < len(expr) && expr[j] != ']' {
		if strings.HasPrefix(expr[j:], "[:") {
			if end := strings.Index(expr[j:], ":]"); end > 0 {
				j += end + 1
			}
		}
		j++
	}
	return min(j+1, len(expr))
}

// grepping is one run of grep.
type grepping struct {
	o       options
	re      *regexp.Regexp
	p       *shell.Process
	names   bool
	matched bool
}

func grep(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "q,quiet E,extended-regexp F,fixed-strings G P v,invert-match i,ignore-case c,count o,only-matching r,recursive "+
		"R n,line-number s,no-messages e:regexp f:file w,word-regexp x,line-regexp l,files-with-matches L h,no-filename H,with-filename "+
		"m:max-count A:after-context B:before-context C:context a,text color: colour: z include:")
	if !ok {
		return 2
	}
	patterns := o.values["e"]
	if from := o.last("f", ""); from != "" {
		data, err := p.ReadFile(from)
		if err != nil {
			p.Errorf("%s: %s", from, files.Reason(err))
			return 2
		}
		patterns = append(patterns, lines(data)...)
	}
	if len(patterns) == 0 {
		if len(o.args) == 0 {
			p.Errorf("usage: grep [OPTION]... PATTERNS [FILE]...")
			return 2
		}
		patterns, o.args = []string{o.args[0]}, o.args[1:]
	}
	re, err := grepPattern(p, o, patterns)
	if err != nil {
		p.Errorf("%v", err)
		return 2
	}
	g := &grepping{o: o, re: re, p: p}
	code := g.search()
	if g.matched && (code == 0 || o.has("q")) {
		return 0
	}
	return max(code, 1)
}

func grepPattern(p *shell.Process, o options, patterns []string) (*regexp.Regexp, error) {
	var all []string
	for _, pattern := range patterns {
		for one := range strings.SplitSeq(pattern, "\n") {
			switch {
			case o.has("F") || strings.HasSuffix(p.Args[0], "fgrep"):
				one = regexp.QuoteMeta(one)
			case o.has("P"):
			default:
				one = posix(one, o.has("E") || strings.HasSuffix(p.Args[0], "egrep"))
			}
			all = append(all, one)
		}
	}
	expr := "(?:" + strings.Join(all, "|") + ")"
	if o.has("w") {
		expr = `\b` + expr + `\b`
	}
	if o.has("x") {
		expr = "^" + expr + "$"
	}
	if o.has("i") {
		expr = "(?i)" + expr
	}
	return compile(expr)
}

func (g *grepping) search() int {
	names := g.o.args
	recursive := g.o.has("r") || g.o.has("R")
	if recursive {
		if len(names) == 0 {
			names = []string{"."}
		}
		names = g.walk(names)
	}
	if len(names) == 0 && !recursive {
		names = []string{"-"}
	}
	g.names = (len(names) > 1 || recursive || g.o.has("H")) && !g.o.has("h")
	code := 0
	for _, name := range names {
		data, err := g.p.ReadFile(name)
		if err != nil {
			if !g.o.has("s") {
				g.p.Errorf("%s: %s", name, files.Reason(err))
			}
			code = 2
			continue
		}
		g.file(name, lines(data))
		if g.matched && g.o.has("q") {
			break
		}
	}
	return code
}

func (g *grepping) walk(roots []string) []string {
	var found []string
	for _, root := range roots {
		err := g.p.Files().Walk(g.p.Path(root), func(name string, n *files.Node) error {
			if n.Mode.IsRegular() {
				found = append(found, root+strings.TrimPrefix(name, strings.TrimSuffix(g.p.Path(root), "/")))
			}
			return nil
		})
		if err != nil && !g.o.has("s") {
			g.p.Errorf("%s: %s", root, files.Reason(err))
		}
	}
	return found
}

func (g *grepping) file(name string, all []string) {
	limit, err := strconv.Atoi(g.o.last("m", ""))
	if err != nil {
		limit = len(all)
	}
	prefix := ""
	if g.names {
		prefix = name + ":"
	}
	before, _ := strconv.Atoi(g.o.last("B", g.o.last("C", "0")))
	after, _ := strconv.Atoi(g.o.last("A", g.o.last("C", "0")))
	count, shown := 0, -1
	for i, line := range all {
		if count >= limit {
			break
		}
		if g.re.MatchString(line) == g.o.has("v") {
			continue
		}
		count++
		g.matched = true
		if g.o.has("q") {
			return
		}
		if g.o.has("c") || g.o.has("l") || g.o.has("L") {
			continue
		}
		for j := max(i-before, shown+1); j <= min(i+after, len(all)-1); j++ {
			g.print(prefix, j, all[j])
			shown = j
		}
	}
	switch {
	case g.o.has("c"):
		output(g.p, prefix+strconv.Itoa(count)+"\n")
	case g.o.has("l") && count > 0, g.o.has("L") && count == 0:
		output(g.p, name+"\n")
	}
}

func (g *grepping) print(prefix string, index int, line string) {
	if g.o.has("n") {
		prefix += fmt.Sprintf("%d:", index+1)
	}
	if !g.o.has("o") {
		output(g.p, prefix+line+"\n")
		return
	}
	for _, match := range g.re.FindAllString(line, -1) {
		if match != "" {
			output(g.p, prefix+match+"\n")
		}
	}
}
