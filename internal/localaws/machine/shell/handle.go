package shell

import (
	"context"
	"io"
	"maps"
	"sync/atomic"
	"syscall"
)

// Handle is an open file description: several descriptors of several processes may refer to it, and it closes with the
// last of them.
type Handle struct {
	read  func(context.Context, []byte) (int, error)
	write io.Writer
	close func()
	refs  atomic.Int32
	name  string
	lock  atomic.Pointer[func()]
}

// Reading is a handle that reads from r.
func Reading(r io.Reader) *Handle {
	return &Handle{read: func(_ context.Context, b []byte) (int, error) { return r.Read(b) }}
}

// Writing is a handle that writes to w.
func Writing(w io.Writer) *Handle { return &Handle{write: w} }

// ReadWrite is a handle on an open file.
func ReadWrite(f io.ReadWriter) *Handle {
	h := Reading(f)
	h.write = f
	return h
}

func (h *Handle) release() {
	if h.refs.Add(-1) > 0 {
		return
	}
	h.Unlock()
	if h.close != nil {
		h.close()
	}
}

// Descriptors are a process's open files by number. Each entry holds a reference to its handle.
type Descriptors map[int]*Handle

// Standard makes the three usual descriptors.
func Standard(in io.Reader, out, err io.Writer) Descriptors {
	d := Descriptors{}
	d.set(0, Reading(in))
	d.set(1, Writing(out))
	d.set(2, Writing(err))
	return d
}

func (d Descriptors) set(fd int, h *Handle) {
	h.refs.Add(1)
	d.drop(fd)
	d[fd] = h
}

func (d Descriptors) drop(fd int) {
	if old, ok := d[fd]; ok {
		delete(d, fd)
		old.release()
	}
}

// Clone gives another process the same open files.
func (d Descriptors) Clone() Descriptors {
	for _, h := range d {
		h.refs.Add(1)
	}
	return maps.Clone(d)
}

// Close closes all of them.
func (d Descriptors) Close() {
	for fd := range d {
		d.drop(fd)
	}
}

// reader reads a descriptor until its process ends.
type reader struct {
	ctx context.Context
	h   *Handle
}

func (r reader) Read(b []byte) (int, error) {
	if r.h == nil || r.h.read == nil {
		return 0, syscall.EBADF
	}
	if err := r.ctx.Err(); err != nil {
		return 0, io.EOF
	}
	return r.h.read(r.ctx, b)
}

// writer writes to a descriptor; a write to a pipe that nobody reads ends the process, as SIGPIPE does.
type writer struct {
	ctx    context.Context
	h      *Handle
	broken func()
}

func (w writer) Write(b []byte) (int, error) {
	if w.h == nil || w.h.write == nil {
		return 0, syscall.EBADF
	}
	if p, ok := w.h.write.(*pipe); ok {
		n, err := p.writeContext(w.ctx, b)
		if err == syscall.EPIPE && w.broken != nil {
			w.broken()
		}
		return n, err
	}
	return w.h.write.Write(b)
}
