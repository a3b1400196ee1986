package commands

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

var listCommands = map[string]shell.Program{
	"ls": ls, "stat": stat, "find": find, "basename": basename, "dirname": dirname, "readlink": readlink, "realpath": readlink,
	"which": which, "du": du, "file": fileType, "df": df, "test": test, "[": test,
}

func ls(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "l a,all A d,directory 1 h t r,reverse n R S F color: i Z")
	if !ok {
		return 2
	}
	if len(o.args) == 0 {
		o.args = []string{"."}
	}
	code := 0
	var plain []string
	for _, name := range o.args {
		n, err := p.Files().Stat(p.Path(name))
		if err != nil {
			if n, err = p.Files().Lstat(p.Path(name)); err != nil {
				p.Errorf("cannot access '%s': %s", name, files.Reason(err))
				code = 2
				continue
			}
		}
		if !n.Mode.IsDir() || o.has("d") {
			plain = append(plain, name)
			continue
		}
		if len(o.args) > 1 {
			fmt.Fprintf(p.Out, "%s:\n", name)
		}
		names, err := p.Files().ReadDir(p.Path(name))
		if err != nil {
			p.Errorf("cannot open directory '%s': %s", name, files.Reason(err))
			code = 2
			continue
		}
		var shown []string
		for _, entry := range names {
			if !strings.HasPrefix(entry, ".") || o.has("a") || o.has("A") {
				shown = append(shown, entry)
			}
		}
		listEntries(p, o, p.Path(name), shown)
	}
	listEntries(p, o, p.Path("."), plain)
	return code
}

func listEntries(p *shell.Process, o options, dir string, names []string) {
	at := func(name string) string {
		if strings.HasPrefix(name, "/") {
			return name
		}
		return path.Join(dir, name)
	}
	if o.has("t") {
		slices.SortStableFunc(names, func(a, b string) int {
			x, errX := p.Files().Lstat(at(a))
			y, errY := p.Files().Lstat(at(b))
			if errX != nil || errY != nil {
				return 0
			}
			return y.ModTime.Compare(x.ModTime)
		})
	}
	if o.has("r") {
		slices.Reverse(names)
	}
	for _, name := range names {
		if !o.has("l") && !o.has("n") {
			output(p, name+"\n")
			continue
		}
		n, err := p.Files().Lstat(at(name))
		if err != nil {
			continue
		}
		suffix := ""
		if n.Mode&fs.ModeSymlink != 0 {
			suffix = " -> " + string(n.Data)
		}
		fmt.Fprintf(p.Out, "%s 1 %s %s %d %s %s%s\n", modeString(n.Mode), identityName(p, "/etc/passwd", n.UID), identityName(p, "/etc/group", n.GID),
			len(n.Data), n.ModTime.UTC().Format("Jan _2 15:04"), name, suffix)
	}
}

func modeString(m fs.FileMode) string {
	text := (m & fs.ModePerm).String()[1:]
	kind := "-"
	switch {
	case m.IsDir():
		kind = "d"
	case m&fs.ModeSymlink != 0:
		kind = "l"
	case m&fs.ModeCharDevice != 0:
		kind = "c"
	case m&fs.ModeDevice != 0:
		kind = "b"
	}
	return kind + text
}

func octal(m fs.FileMode) string {
	bits := uint32(m.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return strconv.FormatUint(uint64(bits), 8)
}

func stat(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "c:format L,dereference t printf: f,file-system")
	if !ok {
		return 1
	}
	return each(p, o.args, "cannot stat '%s'", func(name string) error {
		n, err := p.Files().Lstat(p.Path(name))
		if o.has("L") {
			n, err = p.Files().Stat(p.Path(name))
		}
		if err != nil {
			return err
		}
		kind := "regular file"
		switch {
		case n.Mode.IsDir():
			kind = "directory"
		case n.Mode&fs.ModeSymlink != 0:
			kind = "symbolic link"
		case n.Mode.IsRegular() && len(n.Data) == 0:
			kind = "regular empty file"
		case n.Mode&fs.ModeCharDevice != 0:
			kind = "character special file"
		case n.Mode&fs.ModeDevice != 0:
			kind = "block special file"
		}
		user, group := identityName(p, "/etc/passwd", n.UID), identityName(p, "/etc/group", n.GID)
		replacer := strings.NewReplacer("%a", octal(n.Mode), "%A", modeString(n.Mode), "%s", strconv.Itoa(len(n.Data)), "%n", name, "%F", kind,
			"%U", user, "%G", group, "%u", strconv.Itoa(n.UID), "%g", strconv.Itoa(n.GID), "%Y", strconv.FormatInt(n.ModTime.Unix(), 10),
			"%y", n.ModTime.UTC().Format("2006-01-02 15:04:05.000000000 -0700"), "%h", "1", "%T", "ext4", `\n`, "\n")
		format := o.last("c", "")
		switch {
		case o.has("printf"):
			output(p, replacer.Replace(o.last("printf", "")))
		case format != "":
			output(p, replacer.Replace(format)+"\n")
		default:
			output(p, replacer.Replace("  File: %n\n  Size: %s\t%F\nAccess: (0%a/%A)  Uid: (%u/%U)  Gid: (%g/%G)\nModify: %y\n"))
		}
		return nil
	})
}

func basename(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "a s:suffix")
	if !ok || len(o.args) == 0 {
		p.Errorf("missing operand")
		return 1
	}
	suffix := o.last("s", "")
	if len(o.args) == 2 && !o.has("a") && suffix == "" {
		suffix, o.args = o.args[1], o.args[:1]
	}
	for _, name := range o.args {
		base := path.Base(name)
		if base != suffix {
			base = strings.TrimSuffix(base, suffix)
		}
		output(p, base+"\n")
	}
	return 0
}

func dirname(_ context.Context, p *shell.Process) int {
	if len(p.Args) < 2 {
		p.Errorf("missing operand")
		return 1
	}
	for _, name := range p.Args[1:] {
		output(p, path.Dir(strings.TrimRight(name, "/"))+"\n")
	}
	return 0
}

func readlink(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "f,canonicalize e m n q s z")
	if !ok || len(o.args) == 0 {
		return 1
	}
	code := 0
	for _, name := range o.args {
		if strings.HasSuffix(p.Args[0], "realpath") || o.has("f") || o.has("e") || o.has("m") {
			real, err := p.Files().Real(p.Path(name))
			if _, missing := p.Files().Stat(real); err == nil && o.has("e") {
				err = missing
			}
			if err != nil {
				if strings.HasSuffix(p.Args[0], "realpath") {
					p.Errorf("%s: %s", name, files.Reason(err))
				}
				code = 1
				continue
			}
			output(p, real+"\n")
			continue
		}
		n, err := p.Files().Lstat(p.Path(name))
		if err != nil || n.Mode&fs.ModeSymlink == 0 {
			code = 1
			continue
		}
		output(p, string(n.Data)+"\n")
	}
	return code
}

func which(_ context.Context, p *shell.Process) int {
	code := 0
	for _, name := range p.Args[1:] {
		found, ok := p.System.LookPath(name, p.Dir, p.Env["PATH"])
		if !ok {
			fmt.Fprintf(p.Err, "which: no %s in (%s)\n", name, p.Env["PATH"])
			code = 1
			continue
		}
		output(p, found+"\n")
	}
	return code
}

func du(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "s,summarize h k b m c d:max-depth x")
	if !ok {
		return 1
	}
	return each(p, o.args, "cannot access '%s'", func(name string) error {
		total := 0
		err := p.Files().Walk(path.Clean(p.Path(name)), func(_ string, n *files.Node) error {
			total += len(n.Data)
			return nil
		})
		if !o.has("b") {
			total = (total + 1023) / 1024
		}
		if err == nil {
			fmt.Fprintf(p.Out, "%d\t%s\n", total, name)
		}
		return err
	})
}

func df(_ context.Context, p *shell.Process) int {
	fmt.Fprintf(p.Out, "Filesystem     1K-blocks    Used Available Use%% Mounted on\n")
	for _, m := range p.Files().Mounts() {
		fmt.Fprintf(p.Out, "%-14s %9d %7d %9d %3d%% %s\n", m.Device, 8<<20, 2<<20, 6<<20, 25, m.Point)
	}
	return 0
}

func fileType(_ context.Context, p *shell.Process) int {
	return each(p, p.Args[1:], "cannot open '%s'", func(name string) error {
		n, err := p.Files().Lstat(p.Path(name))
		if err != nil {
			return err
		}
		kind := "ASCII text"
		switch {
		case n.Mode.IsDir():
			kind = "directory"
		case n.Mode&fs.ModeSymlink != 0:
			kind = "symbolic link to " + string(n.Data)
		case strings.HasPrefix(string(n.Data), "\x7fELF"):
			kind = "ELF 64-bit LSB executable"
		case len(n.Data) == 0:
			kind = "empty"
		}
		return printed(fmt.Fprintf(p.Out, "%s: %s\n", name, kind))
	})
}

func printed(_ int, err error) error { return err }

// test runs the shell's own.
func test(ctx context.Context, p *shell.Process) int {
	quoted := make([]string, len(p.Args))
	for i, arg := range p.Args {
		quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	quoted[0] = path.Base(p.Args[0])
	return p.System.Run(ctx, p.Child(p.Args[0]), strings.Join(quoted, " "), shell.Options{})
}
