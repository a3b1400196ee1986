package commands

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// finder is one run of find: tests that must all hold, and what is done with a match.
type finder struct {
	p        *shell.Process
	ctx      context.Context
	tests    []func(name string, n *files.Node) bool
	printed  bool
	maxDepth int
	minDepth int
	code     int
}

func find(ctx context.Context, p *shell.Process) int {
	args := p.Args[1:]
	var roots []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "!" && args[0] != "(" {
		roots, args = append(roots, args[0]), args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	f := &finder{p: p, ctx: ctx, maxDepth: 1 << 30}
	if !f.expression(args) {
		return 1
	}
	for _, root := range roots {
		f.walk(root, 0)
	}
	return f.code
}

func (f *finder) walk(name string, depth int) {
	n, err := f.p.Files().Lstat(f.p.Path(name))
	if err != nil {
		f.p.Errorf("'%s': %s", name, files.Reason(err))
		f.code = 1
		return
	}
	if depth < f.maxDepth && n.Mode.IsDir() {
		// Children first where the match may delete: the names are read before.
		names, err := f.p.Files().ReadDir(f.p.Path(name))
		if err != nil {
			f.code = 1
		}
		defer func() {
			for _, child := range names {
				if _, err := f.p.Files().Lstat(f.p.Path(name + "/" + child)); err == nil {
					f.walk(strings.TrimSuffix(name, "/")+"/"+child, depth+1)
				}
			}
		}()
	}
	if depth < f.minDepth {
		return
	}
	for _, test := range f.tests {
		if !test(name, n) {
			return
		}
	}
	if !f.printed {
		output(f.p, name+"\n")
	}
}

// expression reads tests joined by "and", with "!" before one; -o is not supported.
func (f *finder) expression(args []string) bool {
	for i := 0; i < len(args); i++ {
		negate := false
		for i < len(args) && (args[i] == "!" || args[i] == "-not") {
			negate = !negate
			i++
		}
		if i == len(args) {
			f.p.Errorf("expected an expression after '!'")
			return false
		}
		test, used, ok := f.test(args[i], args[i+1:])
		if !ok {
			return false
		}
		i += used
		if test != nil {
			f.tests = append(f.tests, func(name string, n *files.Node) bool { return test(name, n) != negate })
		}
	}
	return true
}

func (f *finder) test(name string, rest []string) (test func(string, *files.Node) bool, used int, ok bool) {
	switch name {
	case "-print", "-print0":
		end := map[bool]string{true: "\x00", false: "\n"}[name == "-print0"]
		f.printed = true
		return func(name string, _ *files.Node) bool { return output(f.p, name+end) == 0 }, 0, true
	case "-delete":
		f.printed = true
		return func(name string, _ *files.Node) bool {
			err := f.p.Files().Remove(path.Clean(f.p.Path(name)), true)
			if err != nil {
				f.p.Errorf("cannot delete '%s': %s", name, files.Reason(err))
				f.code = 1
			}
			return err == nil
		}, 0, true
	case "-empty":
		return func(name string, n *files.Node) bool {
			names, err := f.p.Files().ReadDir(f.p.Path(name))
			return n.Mode.IsRegular() && len(n.Data) == 0 || n.Mode.IsDir() && err == nil && len(names) == 0
		}, 0, true
	case "-and", "-a", "-xdev", "-depth":
		return nil, 0, true
	case "-exec":
		return f.exec(rest)
	}
	if len(rest) == 0 {
		f.p.Errorf("missing argument to `%s'", name)
		return nil, 0, false
	}
	return f.valueTest(name, rest[0])
}

func (f *finder) valueTest(name, value string) (test func(string, *files.Node) bool, used int, ok bool) {
	number, err := strconv.Atoi(strings.TrimLeft(strings.TrimRight(value, "ckMG"), "+-"))
	compare := func(have int) bool {
		switch value[:1] {
		case "+":
			return have > number
		case "-":
			return have < number
		}
		return have == number
	}
	switch name {
	case "-name", "-iname":
		return func(name string, _ *files.Node) bool { return glob(value, path.Base(name)) }, 1, true
	case "-path", "-wholename":
		return func(name string, _ *files.Node) bool {
			return glob(strings.ReplaceAll(value, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
		}, 1, true
	case "-type":
		return func(_ string, n *files.Node) bool {
			return value == "f" && n.Mode.IsRegular() || value == "d" && n.Mode.IsDir() || value == "l" && n.Mode&fs.ModeSymlink != 0
		}, 1, true
	case "-perm":
		bits, err := strconv.ParseUint(strings.TrimLeft(value, "-/"), 8, 13)
		return func(_ string, n *files.Node) bool {
			want := fileMode(bits)
			return value[0] == '-' && n.Mode&want == want || value[0] == '/' && n.Mode&want != 0 || n.Mode&^fs.ModeType == want
		}, 1, err == nil
	case "-user":
		id, ok := identity(f.p, "/etc/passwd", value)
		return func(_ string, n *files.Node) bool { return n.UID == id }, 1, ok
	case "-maxdepth":
		f.maxDepth = number
		return nil, 1, err == nil
	case "-mindepth":
		f.minDepth = number
		return nil, 1, err == nil
	case "-mtime":
		return func(_ string, n *files.Node) bool { return compare(int(time.Since(n.ModTime).Hours() / 24)) }, 1, err == nil
	case "-mmin":
		return func(_ string, n *files.Node) bool { return compare(int(time.Since(n.ModTime).Minutes())) }, 1, err == nil
	case "-size":
		return func(_ string, n *files.Node) bool {
			size := len(n.Data)
			if strings.HasSuffix(value, "k") {
				size = (size + 1023) / 1024
			}
			return compare(size)
		}, 1, err == nil
	}
	f.p.Errorf("unknown predicate `%s'", name)
	return nil, 0, false
}

func (f *finder) exec(rest []string) (test func(string, *files.Node) bool, used int, ok bool) {
	end := slices.IndexFunc(rest, func(s string) bool { return s == ";" || s == "+" })
	if end < 1 {
		f.p.Errorf("missing argument to `-exec'")
		return nil, 0, false
	}
	f.printed = true
	return func(name string, _ *files.Node) bool {
		var args []string
		for _, arg := range rest[:end] {
			args = append(args, strings.ReplaceAll(arg, "{}", name))
		}
		return f.p.Spawn(f.ctx, args...) == 0
	}, end + 1, true
}

func glob(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}
