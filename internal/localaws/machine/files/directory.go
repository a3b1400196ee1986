package files

import (
	"errors"
	"io/fs"
	"path"
	"syscall"
	"time"
)

// Mkdir makes one directory.
func (t *Tree) Mkdir(name string, perm fs.FileMode) error {
	p, n, err := t.lookup(name, false)
	if n != nil {
		return pathError("mkdir", name, syscall.EEXIST)
	}
	if p.disk == nil {
		return pathError("mkdir", name, err)
	}
	return pathError("mkdir", name, p.disk.Put(p.inner, Node{Mode: fs.ModeDir | perm, ModTime: time.Now()}))
}

// MkdirAll makes a directory and those above it that are missing.
func (t *Tree) MkdirAll(name string, perm fs.FileMode) error {
	if n, err := t.Stat(name); err == nil {
		if !n.Mode.IsDir() {
			return pathError("mkdir", name, syscall.EEXIST)
		}
		return nil
	}
	if parent := path.Dir(name); parent != name {
		if err := t.MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	err := t.Mkdir(name, perm)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Symlink makes a symbolic link.
func (t *Tree) Symlink(target, name string) error {
	p, n, err := t.lookup(name, false)
	if n != nil {
		return pathError("symlink", name, syscall.EEXIST)
	}
	if p.disk == nil {
		return pathError("symlink", name, err)
	}
	return pathError("symlink", name, p.disk.Put(p.inner, Node{Mode: fs.ModeSymlink | 0o777, ModTime: time.Now(), Data: []byte(target)}))
}

// Place stores a node as it is: mode, owner, time and content.
func (t *Tree) Place(name string, n Node) error {
	p, _, err := t.lookup(name, false)
	if p.disk == nil {
		return pathError("open", name, err)
	}
	return pathError("open", name, p.disk.Put(p.inner, n))
}

// Remove takes a file, a link or an empty directory away; with all, everything below it too.
func (t *Tree) Remove(name string, all bool) error {
	p, _, err := t.lookup(name, false)
	if err != nil {
		return pathError("remove", name, err)
	}
	for _, m := range t.Mounts() {
		if m.Point == p.abs {
			return pathError("remove", name, syscall.EBUSY)
		}
	}
	return pathError("remove", name, p.disk.Remove(p.inner, all))
}

// Rename moves a node within a disk; between disks it is EXDEV, as rename(2) has it.
func (t *Tree) Rename(from, to string) error {
	source, err := t.resolve(from, false)
	if err != nil {
		return pathError("rename", from, err)
	}
	target, err := t.resolve(to, false)
	if err != nil {
		return pathError("rename", to, err)
	}
	if source.disk != target.disk {
		return pathError("rename", from, syscall.EXDEV)
	}
	return pathError("rename", from, source.disk.Rename(source.inner, target.inner))
}

// Walk calls f for a path and all below it, parents first; links are not followed. An error of f ends the walk, but
// fs.SkipDir only leaves a directory out.
func (t *Tree) Walk(name string, f func(name string, n *Node) error) error {
	n, err := t.Lstat(name)
	if err != nil {
		return err
	}
	if err := f(name, n); err != nil || !n.Mode.IsDir() {
		if errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	names, err := t.ReadDir(name)
	if err != nil {
		return err
	}
	for _, child := range names {
		err := t.Walk(path.Join(name, child), f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
