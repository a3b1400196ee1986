// Package disk is a copy-on-write disk in memory: a tree of directories, files and symbolic links with modes, owners and
// times.
//
// A fork shares the whole tree with its origin and costs one pointer. A change copies only the directories on its path,
// and only the first time after a fork: each disk has an epoch, and a node that carries the disk's own epoch belongs to
// that disk alone and may be changed in place. So 200 servers of one AMI hold its content once.
package disk

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Disk is one file system. It is safe for concurrent use. Paths are absolute and slash-separated; the disk follows no
// symbolic links: a view that knows mounts resolves them.
type Disk struct {
	mu    sync.RWMutex
	epoch *epoch
	root  *Node
	base  *Node
	name  string // of the base, for Encode
	label string
}

// epoch is compared by address, so it must have a size.
type epoch struct{ _ byte }

// Node is a file, a directory or a symbolic link as it was when it was looked up; its content is never written to.
type Node struct {
	Mode     fs.FileMode
	UID, GID int
	ModTime  time.Time
	// Data is a file's content or a symbolic link's target.
	Data []byte

	children map[string]*Node
	epoch    *epoch
}

// New is a disk with an empty root directory. The name identifies a base disk; it is empty for any other.
func New(name string) *Disk {
	e := &epoch{}
	return &Disk{epoch: e, root: &Node{Mode: fs.ModeDir | 0o755, epoch: e}, name: name}
}

// Freeze makes what the disk holds now its base: Encode gives only what differs from it later.
func (d *Disk) Freeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base, d.epoch = d.root, &epoch{}
}

// Fork is a disk with the same content; both may change after it without the other seeing it.
func (d *Disk) Fork() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch = &epoch{}
	return &Disk{epoch: &epoch{}, root: d.root, base: d.base, name: d.name, label: d.label}
}

// Label names the file system type that the disk was formatted with, empty for a raw disk.
func (d *Disk) Label() string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.label
}

// Format empties the disk and gives it a file system of this type.
func (d *Disk) Format(label string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch = &epoch{}
	d.root, d.base, d.name, d.label = &Node{Mode: fs.ModeDir | 0o755, epoch: d.epoch}, nil, "", label
}

// Lookup finds the node at the path without following a link in it.
func (d *Disk) Lookup(path string) (*Node, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	n := d.root
	for name := range components(path) {
		if !n.Mode.IsDir() {
			return nil, syscall.ENOTDIR
		}
		child, ok := n.children[name]
		if !ok {
			return nil, syscall.ENOENT
		}
		n = child
	}
	snapshot := *n
	return &snapshot, nil
}

// Outcome is what Direct found on a path.
type Outcome int

// The outcomes.
const (
	Found        Outcome = iota
	Missing              // all but the last name are there
	NoParent             // so is not even its directory
	NotDirectory         // a name on the way is a file
	Link                 // a link has to be followed first
)

// Direct finds the node at a path in one walk, as long as no link has to be followed.
func (d *Disk) Direct(path string, follow bool) (*Node, Outcome) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	n, missing := d.root, false
	for name := range components(path) {
		switch {
		case missing:
			return nil, NoParent
		case n.Mode&fs.ModeSymlink != 0:
			return nil, Link
		case !n.Mode.IsDir():
			return nil, NotDirectory
		}
		child, ok := n.children[name]
		if !ok {
			missing = true
			continue
		}
		n = child
	}
	if missing {
		return nil, Missing
	}
	if follow && n.Mode&fs.ModeSymlink != 0 {
		return nil, Link
	}
	snapshot := *n
	return &snapshot, Found
}

// Names lists a directory in order.
func (d *Disk) Names(path string) ([]string, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	n, err := d.find(path)
	if err != nil {
		return nil, err
	}
	if !n.Mode.IsDir() {
		return nil, syscall.ENOTDIR
	}
	return slices.Sorted(maps.Keys(n.children)), nil
}

// Put makes or replaces the node at the path; its directory must be there. A directory that is there keeps its entries.
func (d *Disk) Put(path string, n Node) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, name, err := d.parent(path)
	if err != nil {
		return err
	}
	n.epoch, n.children = d.epoch, nil
	n.Data = slices.Clip(n.Data)
	if old, ok := dir.children[name]; ok {
		if old.Mode.IsDir() != n.Mode.IsDir() {
			return syscall.EEXIST
		}
		n.children = maps.Clone(old.children)
	}
	dir.set(name, &n)
	return nil
}

// Change lets f alter a copy of the node at the path and stores it.
func (d *Disk) Change(path string, f func(*Node)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if path == "/" {
		f(d.ownRoot())
		return nil
	}
	dir, name, err := d.parent(path)
	if err != nil {
		return err
	}
	if _, ok := dir.children[name]; !ok {
		return syscall.ENOENT
	}
	f(dir.own(name, d.epoch))
	return nil
}

// Remove takes the node at the path away, with everything below it if all is set.
func (d *Disk) Remove(path string, all bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, name, err := d.parent(path)
	if err != nil {
		return err
	}
	n, ok := dir.children[name]
	if !ok {
		return syscall.ENOENT
	}
	if len(n.children) > 0 && !all {
		return syscall.ENOTEMPTY
	}
	delete(dir.children, name)
	return nil
}

// Rename moves a node; a file or an empty directory at the new path is replaced.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if from == to {
		return nil
	}
	if strings.HasPrefix(to, from+"/") {
		return syscall.EINVAL
	}
	source, name, err := d.parent(from)
	if err != nil {
		return err
	}
	n, ok := source.children[name]
	if !ok {
		return syscall.ENOENT
	}
	target, newName, err := d.parent(to)
	if err != nil {
		return err
	}
	if old, ok := target.children[newName]; ok && old.Mode.IsDir() {
		if !n.Mode.IsDir() {
			return syscall.EISDIR
		}
		if len(old.children) > 0 {
			return syscall.ENOTEMPTY
		}
	}
	delete(source.children, name)
	target.set(newName, n)
	return nil
}

func (d *Disk) find(path string) (*Node, error) {
	n := d.root
	for name := range components(path) {
		child, ok := n.children[name]
		if !ok {
			return nil, syscall.ENOENT
		}
		n = child
	}
	return n, nil
}

// parent gives the directory that holds the path's last component, owned by this disk.
func (d *Disk) parent(path string) (*Node, string, error) {
	dir, name := path[:strings.LastIndexByte(path, '/')+1], path[strings.LastIndexByte(path, '/')+1:]
	if name == "" {
		return nil, "", syscall.EBUSY
	}
	if parent, err := d.find(dir); err != nil {
		return nil, "", err
	} else if !parent.Mode.IsDir() {
		return nil, "", syscall.ENOTDIR
	}
	n := d.ownRoot()
	for part := range components(dir) {
		n = n.own(part, d.epoch)
	}
	if n.children == nil {
		n.children = map[string]*Node{}
	}
	return n, name, nil
}

func (d *Disk) ownRoot() *Node {
	if d.root.epoch != d.epoch {
		d.root = d.root.copy(d.epoch)
	}
	return d.root
}

// own gives the child as a node of this epoch, copying it if it is shared.
func (n *Node) own(name string, e *epoch) *Node {
	child := n.children[name]
	if child.epoch != e {
		child = child.copy(e)
		n.children[name] = child
	}
	return child
}

func (n *Node) set(name string, child *Node) {
	if n.children == nil {
		n.children = map[string]*Node{}
	}
	n.children[name] = child
}

// copy makes a node of another epoch. The content stays shared, but an append to it must not reach the other's.
func (n *Node) copy(e *epoch) *Node {
	c := *n
	c.children, c.epoch, c.Data = maps.Clone(n.children), e, slices.Clip(n.Data)
	return &c
}

// components yields the names of a path.
func components(path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(path) > 0 {
			var name string
			if i := strings.IndexByte(path, '/'); i >= 0 {
				name, path = path[:i], path[i+1:]
			} else {
				name, path = path, ""
			}
			if name != "" && !yield(name) {
				return
			}
		}
	}
}
