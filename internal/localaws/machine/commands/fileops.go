package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

var fileCommands = map[string]shell.Program{
	"cp": cp, "mv": mv, "rm": rm, "rmdir": rmdir, "mkdir": mkdir, "touch": touch, "ln": ln, "chmod": chmod, "chown": chown,
	"chgrp": chown, "mktemp": mktemp, "install": install, "truncate": truncate, "dd": dd, "sync": ok, "fallocate": truncate,
	"restorecon": ok, "chattr": ok, "setfacl": ok,
}

func ok(context.Context, *shell.Process) int { return 0 }

// into is where a source goes when the target is a directory.
func into(p *shell.Process, source, target string) string {
	if n, err := p.Files().Stat(p.Path(target)); err == nil && n.Mode.IsDir() {
		return path.Join(p.Path(target), path.Base(source))
	}
	return p.Path(target)
}

// sourcesAndTarget takes the arguments of cp, mv, ln and install apart.
func sourcesAndTarget(p *shell.Process, o options) (sources []string, target string, ok bool) {
	if target = o.last("t", ""); target != "" {
		return o.args, target, true
	}
	if len(o.args) < 2 {
		p.Errorf("missing file operand")
		return nil, "", false
	}
	last := len(o.args) - 1
	target = o.args[last]
	if last > 1 {
		if n, err := p.Files().Stat(p.Path(target)); err != nil || !n.Mode.IsDir() {
			p.Errorf("target '%s' is not a directory", target)
			return nil, "", false
		}
	}
	return o.args[:last], target, true
}

func cp(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "r,recursive R a,archive p f,force n,no-clobber v,verbose t:target-directory T u,update d L P preserve: x no-preserve: reflink:")
	if !ok {
		return 1
	}
	sources, target, ok := sourcesAndTarget(p, o)
	if !ok {
		return 1
	}
	recursive := o.has("r") || o.has("R") || o.has("a")
	return each(p, sources, "cannot stat '%s'", func(source string) error {
		to := into(p, source, target)
		if o.has("T") {
			to = p.Path(target)
		}
		n, err := p.Files().Stat(p.Path(source))
		if err != nil {
			return err
		}
		if n.Mode.IsDir() && !recursive {
			p.Errorf("-r not specified; omitting directory '%s'", source)
			return errSilent
		}
		if o.has("v") {
			fmt.Fprintf(p.Out, "'%s' -> '%s'\n", source, to)
		}
		return copyTree(p, p.Path(source), to, copyOptions{preserve: o.has("a") || o.has("p") || o.has("preserve"), keep: o.has("n"), links: recursive && !o.has("L")})
	})
}

// errSilent makes each count an error that was printed already.
var errSilent = errors.New("some files were left out")

type copyOptions struct{ preserve, keep, links bool }

func copyTree(p *shell.Process, from, to string, how copyOptions) error {
	tree := p.Files()
	lookup := tree.Stat
	if how.links {
		lookup = tree.Lstat
	}
	n, err := lookup(from)
	if err != nil {
		return err
	}
	if n.Mode.IsDir() {
		if strings.HasPrefix(to+"/", from+"/") {
			return &fs.PathError{Op: "cp", Path: from, Err: syscall.EINVAL}
		}
		return copyDirectory(p, from, to, n, how)
	}
	old, err := tree.Stat(to)
	if err == nil && how.keep {
		return nil
	}
	copied := *n
	if !n.Mode.IsRegular() && n.Mode&fs.ModeSymlink == 0 || strings.HasPrefix(from, "/proc/") {
		data, err := tree.ReadFile(from)
		if err != nil {
			return err
		}
		copied.Data, copied.Mode = data, 0o644
	}
	if !how.preserve {
		copied.ModTime, copied.UID, copied.GID = time.Now(), 0, 0
		copied.Mode &^= p.Umask
		if old != nil && n.Mode.IsRegular() {
			return tree.Write(to, copied.Data, 0o644)
		}
	}
	return tree.Place(to, copied)
}

func copyDirectory(p *shell.Process, from, to string, n *files.Node, how copyOptions) error {
	tree := p.Files()
	err := tree.Mkdir(to, n.Mode&fs.ModePerm)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if how.preserve && err == nil {
		if err := tree.Change(to, true, func(d *files.Node) { d.UID, d.GID, d.ModTime = n.UID, n.GID, n.ModTime }); err != nil {
			return err
		}
	}
	names, err := tree.ReadDir(from)
	if err != nil {
		return err
	}
	how.links = true
	for _, name := range names {
		if err := copyTree(p, path.Join(from, name), path.Join(to, name), how); err != nil {
			return err
		}
	}
	return nil
}

func mv(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "f,force n,no-clobber v,verbose t:target-directory T u Z i")
	if !ok {
		return 1
	}
	sources, target, ok := sourcesAndTarget(p, o)
	if !ok {
		return 1
	}
	return each(p, sources, "cannot move '%s'", func(source string) error {
		to := into(p, source, target)
		if o.has("T") {
			to = p.Path(target)
		}
		if _, err := p.Files().Lstat(to); err == nil && o.has("n") {
			return nil
		}
		err := p.Files().Rename(path.Clean(p.Path(source)), to)
		if errors.Is(err, syscall.EXDEV) {
			if err := copyTree(p, p.Path(source), to, copyOptions{preserve: true, links: true}); err != nil {
				return err
			}
			return p.Files().Remove(p.Path(source), true)
		}
		return err
	})
}

func rm(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "r,recursive R f,force v d i one-file-system")
	if !ok {
		return 1
	}
	if len(o.args) == 0 && o.has("f") {
		return 0
	}
	all := o.has("r") || o.has("R")
	return each(p, o.args, "cannot remove '%s'", func(name string) error {
		target := path.Clean(p.Path(name))
		if target == "/" {
			p.Errorf("it is dangerous to operate recursively on '/'")
			return errSilent
		}
		n, err := p.Files().Lstat(target)
		switch {
		case err != nil && o.has("f") && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
			return nil
		case err != nil:
			return err
		case n.Mode.IsDir() && !all && !o.has("d"):
			return &fs.PathError{Op: "rm", Path: name, Err: syscall.EISDIR}
		}
		return p.Files().Remove(target, all)
	})
}

func rmdir(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "p i,ignore-fail-on-non-empty")
	if !ok {
		return 1
	}
	return each(p, o.args, "failed to remove '%s'", func(name string) error {
		n, err := p.Files().Lstat(p.Path(name))
		if err == nil && !n.Mode.IsDir() {
			return &fs.PathError{Op: "rmdir", Path: name, Err: syscall.ENOTDIR}
		}
		if err != nil {
			return err
		}
		return p.Files().Remove(path.Clean(p.Path(name)), false)
	})
}

func mkdir(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "p,parents m:mode v")
	if !ok {
		return 1
	}
	return each(p, o.args, "cannot create directory '%s'", func(name string) error {
		target, perm := path.Clean(p.Path(name)), 0o777&^p.Umask
		var err error
		if o.has("p") {
			err = p.Files().MkdirAll(target, perm)
		} else {
			err = p.Files().Mkdir(target, perm)
		}
		if err != nil || !o.has("m") {
			return err
		}
		return changeMode(p, target, o.last("m", ""))
	})
}

func touch(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "c,no-create a m d:date t: r:reference")
	if !ok {
		return 1
	}
	when := time.Now()
	if text := o.last("d", ""); text != "" {
		if t, ok := parseDate(text, when); ok {
			when = t
		}
	}
	return each(p, o.args, "cannot touch '%s'", func(name string) error {
		target := p.Path(name)
		if _, err := p.Files().Stat(target); errors.Is(err, fs.ErrNotExist) {
			if o.has("c") {
				return nil
			}
			if err := p.Files().Append(target, nil, 0o666&^p.Umask); err != nil {
				return err
			}
		}
		return p.Files().Change(target, true, func(n *files.Node) { n.ModTime = when })
	})
}

func ln(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "s,symbolic f,force n,no-dereference v r,relative T t:target-directory")
	if !ok {
		return 1
	}
	if len(o.args) == 1 {
		o.args = append(o.args, ".")
	}
	sources, target, ok := sourcesAndTarget(p, o)
	if !ok {
		return 1
	}
	return each(p, sources, "failed to create link to '%s'", func(source string) error {
		to := into(p, source, target)
		if n, err := p.Files().Lstat(p.Path(target)); o.has("T") || o.has("n") && err == nil && n.Mode&fs.ModeSymlink != 0 {
			to = p.Path(target)
		}
		if o.has("f") {
			if err := p.Files().Remove(to, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if o.has("s") {
			return p.Files().Symlink(source, to)
		}
		if _, err := p.Files().Lstat(to); err == nil {
			return &fs.PathError{Op: "link", Path: to, Err: syscall.EEXIST}
		}
		return copyTree(p, p.Path(source), to, copyOptions{preserve: true, links: true})
	})
}
