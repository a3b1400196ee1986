package shell

import (
	"context"
	"io"
	"sync"
	"syscall"
)

const pipeSize = 64 << 10

// pipe is a pipe in memory. Both ends wait on channels, so that time in a testing/synctest bubble goes on while they do;
// a pipe of the operating system would stop it.
type pipe struct {
	mu           sync.Mutex
	buffer       []byte
	changed      chan struct{}
	noReaders    bool
	writerClosed bool
}

// newPipe gives the reading and the writing end.
func newPipe() (*Handle, *Handle) {
	p := &pipe{changed: make(chan struct{})}
	in := &Handle{read: p.readContext, close: func() { p.update(func() { p.noReaders = true }) }}
	out := &Handle{write: p, close: func() { p.update(func() { p.writerClosed = true }) }}
	return in, out
}

func (p *pipe) update(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pipe) readContext(ctx context.Context, b []byte) (int, error) {
	for {
		p.mu.Lock()
		if len(p.buffer) > 0 {
			n := copy(b, p.buffer)
			p.buffer = p.buffer[n:]
			close(p.changed)
			p.changed = make(chan struct{})
			p.mu.Unlock()
			return n, nil
		}
		closed, changed := p.writerClosed, p.changed
		p.mu.Unlock()
		if closed {
			return 0, io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, io.EOF
		}
	}
}

func (p *pipe) Write(b []byte) (int, error) { return p.writeContext(context.Background(), b) }

func (p *pipe) writeContext(ctx context.Context, b []byte) (int, error) {
	written := 0
	for written < len(b) {
		p.mu.Lock()
		if p.noReaders {
			p.mu.Unlock()
			return written, syscall.EPIPE
		}
		if room := pipeSize - len(p.buffer); room > 0 {
			n := min(room, len(b)-written)
			p.buffer = append(p.buffer, b[written:written+n]...)
			written += n
			close(p.changed)
			p.changed = make(chan struct{})
			p.mu.Unlock()
			continue
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return written, syscall.EPIPE
		}
	}
	return written, nil
}
