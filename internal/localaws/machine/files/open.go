package files

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// maxFile bounds a file that is written, in bytes: its content is in memory.
const maxFile = 64 << 20

// File is an open file. It is safe for concurrent use.
type File struct {
	mu     sync.Mutex
	place  place
	flag   int
	offset int64
	// fixed is the content of a computed file.
	fixed  []byte
	device string
	tree   *Tree
}

// Open opens as open(2) does; flag is of package os.
func (t *Tree) Open(name string, flag int, perm fs.FileMode) (*File, error) {
	p, n, err := t.lookup(name, true)
	f := &File{place: p, flag: flag, tree: t}
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.disk != nil && flag&os.O_CREATE != 0:
		return f, pathError("open", name, p.disk.Put(p.inner, Node{Mode: perm & fs.ModePerm, ModTime: time.Now()}))
	case err != nil:
		return nil, pathError("open", name, err)
	case flag&os.O_EXCL != 0:
		return nil, pathError("open", name, syscall.EEXIST)
	case n.Mode.IsDir():
		if writes {
			return nil, pathError("open", name, syscall.EISDIR)
		}
	case n.Mode&fs.ModeDevice != 0:
		f.device = string(n.Data)
		if f.device == "tty" {
			return nil, pathError("open", name, syscall.ENXIO)
		}
	default:
		if compute := t.computation(p.abs); compute != nil {
			f.fixed = []byte(compute())
		} else if writes && flag&os.O_TRUNC != 0 {
			return f, pathError("open", name, p.disk.Change(p.inner, func(n *Node) { n.Data, n.ModTime = nil, time.Now() }))
		}
	}
	return f, nil
}

func (f *File) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.device {
	case "":
	case "zero":
		clear(b)
		return len(b), nil
	case "random":
		return rand.Read(b)
	default:
		return 0, io.EOF
	}
	data := f.fixed
	if data == nil {
		n, err := f.place.disk.Lookup(f.place.inner)
		if err != nil {
			return 0, io.EOF
		}
		if n.Mode.IsDir() {
			return 0, syscall.EISDIR
		}
		data = n.Data
	}
	if f.offset >= int64(len(data)) {
		return 0, io.EOF
	}
	n := copy(b, data[f.offset:])
	f.offset += int64(n)
	return n, nil
}

func (f *File) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.device == "console":
		return f.tree.Console.Write(b)
	case f.device == "full":
		return 0, syscall.ENOSPC
	case f.device != "" || f.fixed != nil:
		return len(b), nil
	case f.flag&(os.O_WRONLY|os.O_RDWR) == 0:
		return 0, syscall.EBADF
	}
	if f.offset+int64(len(b)) > maxFile {
		return 0, syscall.EFBIG
	}
	tooLarge := false
	err := f.place.disk.Change(f.place.inner, func(n *Node) {
		if tooLarge = len(n.Data)+len(b) > maxFile && f.flag&os.O_APPEND != 0; tooLarge {
			return
		}
		n.ModTime = time.Now()
		if f.flag&os.O_APPEND != 0 || f.offset == int64(len(n.Data)) {
			n.Data = append(n.Data, b...)
			f.offset = int64(len(n.Data))
			return
		}
		// Readers hold the content, so what is overwritten is a copy.
		data := slices.Clone(n.Data)
		if missing := f.offset + int64(len(b)) - int64(len(data)); missing > 0 {
			data = append(data, make([]byte, missing)...)
		}
		f.offset += int64(copy(data[f.offset:], b))
		n.Data = data
	})
	if errors.Is(err, fs.ErrNotExist) {
		// The file was removed while it is open: what is written goes with it.
		return len(b), nil
	}
	if err != nil {
		return 0, err
	}
	if tooLarge {
		return 0, syscall.EFBIG
	}
	return len(b), nil
}

// Path is where the file was opened, links resolved.
func (f *File) Path() string { return f.place.abs }

// Close does nothing: an open file holds no resource.
func (f *File) Close() error { return nil }
