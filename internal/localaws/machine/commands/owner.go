package commands

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func chmod(_ context.Context, p *shell.Process) int {
	args := p.Args[1:]
	recursive := false
	for len(args) > 0 && (args[0] == "-R" || args[0] == "-f" || args[0] == "-v" || args[0] == "--recursive" || args[0] == "--") {
		recursive = recursive || args[0] == "-R" || args[0] == "--recursive"
		args = args[1:]
	}
	if len(args) < 2 {
		p.Errorf("missing operand")
		return 1
	}
	return each(p, args[1:], "cannot access '%s'", func(name string) error {
		return under(p, name, recursive, func(name string) error { return changeMode(p, name, args[0]) })
	})
}

// under calls f for a path and, if recursive, all below it.
func under(p *shell.Process, name string, recursive bool, f func(string) error) error {
	if !recursive {
		return f(p.Path(name))
	}
	return p.Files().Walk(path.Clean(p.Path(name)), func(name string, n *files.Node) error {
		if n.Mode&fs.ModeSymlink != 0 {
			return nil
		}
		return f(name)
	})
}

func changeMode(p *shell.Process, name, mode string) error {
	n, err := p.Files().Stat(name)
	if err != nil {
		return err
	}
	changed, ok := applyMode(n.Mode, mode)
	if !ok {
		return fmt.Errorf("invalid mode: '%s'", mode)
	}
	return p.Files().Change(name, true, func(n *files.Node) { n.Mode = changed })
}

func applyMode(old fs.FileMode, mode string) (fs.FileMode, bool) {
	if bits, err := strconv.ParseUint(mode, 8, 13); err == nil {
		return old.Type() | fileMode(bits), true
	}
	perm := old & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	for clause := range strings.SplitSeq(mode, ",") {
		at := strings.IndexAny(clause, "+-=")
		if at < 0 {
			return old, false
		}
		who := clause[:at]
		if who == "" || strings.Contains(who, "a") {
			who = "ugo"
		}
		var bits fs.FileMode
		for _, c := range clause[at+1:] {
			switch {
			case c == 'r':
				bits |= 4
			case c == 'w':
				bits |= 2
			case c == 'x' || c == 'X' && (old.IsDir() || old&0o111 != 0):
				bits |= 1
			case c == 'X':
			case c == 's' && strings.Contains(who, "u"):
				perm |= fs.ModeSetuid
			case c == 't':
				perm |= fs.ModeSticky
			default:
				return old, false
			}
		}
		var all, mask fs.FileMode
		for class, shift := range map[string]uint{"u": 6, "g": 3, "o": 0} {
			if strings.Contains(who, class) {
				all |= bits << shift
				mask |= 7 << shift
			}
		}
		switch clause[at] {
		case '+':
			perm |= all
		case '-':
			perm &^= all
		case '=':
			perm = perm&^mask | all
		}
	}
	return old.Type() | perm, true
}

func fileMode(bits uint64) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

func chown(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "R,recursive h f v reference:")
	if !ok || len(o.args) < 2 {
		p.Errorf("missing operand")
		return 1
	}
	user, group, both := strings.Cut(strings.Replace(o.args[0], ".", ":", 1), ":")
	if strings.HasSuffix(p.Args[0], "chgrp") {
		user, group, both = "", o.args[0], true
	}
	uid, okUser := -1, true
	if user != "" {
		uid, okUser = identity(p, "/etc/passwd", user)
	}
	gid, okGroup := -1, true
	if both && group != "" {
		gid, okGroup = identity(p, "/etc/group", group)
	}
	if !okUser || !okGroup {
		p.Errorf("invalid user: '%s'", o.args[0])
		return 1
	}
	return each(p, o.args[1:], "cannot access '%s'", func(name string) error {
		return under(p, name, o.has("R"), func(name string) error {
			return p.Files().Change(name, !o.has("h"), func(n *files.Node) {
				if uid >= 0 {
					n.UID = uid
				}
				if gid >= 0 {
					n.GID = gid
				}
			})
		})
	})
}

// identity is a user's or group's number, from its name or the number itself.
func identity(p *shell.Process, file, name string) (int, bool) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, true
	}
	data, err := p.Files().ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); fields[0] == name && len(fields) > 2 {
			n, err := strconv.Atoi(fields[2])
			return n, err == nil
		}
	}
	return 0, false
}

// identityName is the name of a user or group with this number.
func identityName(p *shell.Process, file string, id int) string {
	data, err := p.Files().ReadFile(file)
	if err == nil {
		for line := range strings.Lines(string(data)) {
			if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) > 2 && fields[2] == strconv.Itoa(id) {
				return fields[0]
			}
		}
	}
	return strconv.Itoa(id)
}
