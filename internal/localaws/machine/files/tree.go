// Package files is what the processes of one server see of its disks: a tree of mounts with symbolic links, devices, and
// files that are computed when they are read. Nothing here touches the file system of the process that runs it.
package files

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
)

// Mount is a disk in the tree.
type Mount struct {
	Point, Device, Type string
	Disk                *disk.Disk
}

// Tree is safe for concurrent use. All its paths are absolute.
type Tree struct {
	// Console takes what is written to /dev/console.
	Console io.Writer

	mu       sync.RWMutex
	mounts   []Mount
	computed map[string]func() string
}

// Node is what the tree tells of a path.
type Node = disk.Node

const maxLinks = 40

// New is a tree with one disk at its root.
func New(root Mount) *Tree {
	root.Point = "/"
	return &Tree{Console: io.Discard, mounts: []Mount{root}}
}

// Mount puts a disk over a directory.
func (t *Tree) Mount(m Mount) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mounts = append(slices.Clone(t.mounts), m)
}

// Unmount takes the last disk at that point away.
func (t *Tree) Unmount(point string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.mounts) - 1; i > 0; i-- {
		if t.mounts[i].Point == point {
			t.mounts = slices.Delete(slices.Clone(t.mounts), i, i+1)
			return true
		}
	}
	return false
}

// Mounts lists the disks in the order they were mounted; the root is first.
func (t *Tree) Mounts() []Mount {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.mounts
}

// Compute makes the file at the path be what f gives at each read.
func (t *Tree) Compute(name string, f func() string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.computed == nil {
		t.computed = map[string]func() string{}
	}
	t.computed[name] = f
}

// place is a path on its disk.
type place struct {
	disk  *disk.Disk
	inner string
	abs   string
}

func (t *Tree) at(abs string) place {
	t.mu.RLock()
	defer t.mu.RUnlock()
	best := 0
	for i, m := range t.mounts {
		if i > 0 && (abs == m.Point || strings.HasPrefix(abs, m.Point+"/")) && len(m.Point) >= len(t.mounts[best].Point) {
			best = i
		}
	}
	inner := abs
	if best > 0 {
		inner = "/" + strings.TrimPrefix(strings.TrimPrefix(abs, t.mounts[best].Point), "/")
	}
	return place{t.mounts[best].Disk, inner, abs}
}

// resolve follows the links in a path. The last component is followed if follow is set, and need not exist.
func (t *Tree) resolve(name string, follow bool) (place, error) {
	if !strings.HasPrefix(name, "/") {
		return place{}, syscall.EINVAL
	}
	todo := strings.Split(name, "/")
	done := "/"
	links := 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := strings.TrimSuffix(done, "/") + "/" + part
		last := !slices.ContainsFunc(todo, func(s string) bool { return s != "" })
		p := t.at(next)
		n, err := p.disk.Lookup(p.inner)
		switch {
		case errors.Is(err, fs.ErrNotExist) && last:
			return p, nil
		case err != nil:
			return place{}, err
		case n.Mode&fs.ModeSymlink != 0 && (!last || follow || len(todo) > 0):
			if links++; links > maxLinks {
				return place{}, syscall.ELOOP
			}
			target := string(n.Data)
			if strings.HasPrefix(target, "/") {
				done = "/"
			}
			todo = append(strings.Split(target, "/"), todo...)
			continue
		case !last && !n.Mode.IsDir():
			return place{}, syscall.ENOTDIR
		}
		done = next
	}
	return t.at(done), nil
}

// lookup resolves a path and finds the node there. If only the node is missing, the place is given with the error.
func (t *Tree) lookup(name string, follow bool) (place, *Node, error) {
	if plain(name) {
		p := t.at(name)
		switch n, outcome := p.disk.Direct(p.inner, follow); outcome {
		case disk.Found:
			return p, n, nil
		case disk.Missing:
			return p, nil, syscall.ENOENT
		case disk.NoParent:
			return place{}, nil, syscall.ENOENT
		case disk.NotDirectory:
			return place{}, nil, syscall.ENOTDIR
		}
	}
	p, err := t.resolve(name, follow)
	if err != nil {
		return p, nil, err
	}
	n, err := p.disk.Lookup(p.inner)
	return p, n, err
}

// plain says that a path is absolute and has no ".", ".." or empty names.
func plain(name string) bool {
	return strings.HasPrefix(name, "/") && !strings.Contains(name, "//") && !strings.Contains(name, "/.") && (len(name) == 1 || !strings.HasSuffix(name, "/"))
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Real is the path without links, "." and ".."; the last component need not exist.
func (t *Tree) Real(name string) (string, error) {
	p, err := t.resolve(name, true)
	return p.abs, pathError("realpath", name, err)
}

// Stat follows links.
func (t *Tree) Stat(name string) (*Node, error) {
	_, n, err := t.lookup(name, true)
	return n, pathError("stat", name, err)
}

// Lstat does not follow the last link.
func (t *Tree) Lstat(name string) (*Node, error) {
	_, n, err := t.lookup(name, false)
	return n, pathError("lstat", name, err)
}

// ReadFile gives a file's content, which must not be changed.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	p, n, err := t.lookup(name, true)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	if n.Mode.IsDir() {
		return nil, pathError("read", name, syscall.EISDIR)
	}
	if f := t.computation(p.abs); f != nil {
		return []byte(f()), nil
	}
	if n.Mode&fs.ModeDevice != 0 {
		return nil, nil
	}
	return n.Data, nil
}

// ReadDir lists a directory in order, mounts included.
func (t *Tree) ReadDir(name string) ([]string, error) {
	p, _, err := t.lookup(name, true)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	names, err := p.disk.Names(p.inner)
	return names, pathError("open", name, err)
}

// Write makes or replaces a file's content. A file that is there keeps its mode and owner.
func (t *Tree) Write(name string, data []byte, perm fs.FileMode) error {
	return t.put(name, perm, func(n *Node) { n.Data = slices.Clip(data) })
}

// Append adds to a file, which is made if it is not there.
func (t *Tree) Append(name string, data []byte, perm fs.FileMode) error {
	return t.put(name, perm, func(n *Node) { n.Data = append(n.Data, data...) })
}

// put changes a file that is there or makes it.
func (t *Tree) put(name string, perm fs.FileMode, change func(*Node)) error {
	p, n, err := t.lookup(name, true)
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.disk != nil:
		fresh := Node{Mode: perm & fs.ModePerm, ModTime: time.Now()}
		change(&fresh)
		return pathError("open", name, p.disk.Put(p.inner, fresh))
	case err != nil:
		return pathError("open", name, err)
	case n.Mode.IsDir():
		return pathError("open", name, syscall.EISDIR)
	case n.Mode&fs.ModeDevice != 0:
		return nil
	}
	return pathError("write", name, p.disk.Change(p.inner, func(n *Node) {
		change(n)
		n.ModTime = time.Now()
	}))
}

// Change alters mode, owner or times of what is there.
func (t *Tree) Change(name string, follow bool, change func(*Node)) error {
	p, _, err := t.lookup(name, follow)
	if err != nil {
		return pathError("change", name, err)
	}
	return pathError("change", name, p.disk.Change(p.inner, change))
}

func (t *Tree) computation(abs string) func() string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.computed[abs]
}

// Reason is an error's cause as command line tools word it: No such file or directory.
func Reason(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	text := err.Error()
	var errno syscall.Errno
	if errors.As(err, &errno) && text != "" {
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return text
}
