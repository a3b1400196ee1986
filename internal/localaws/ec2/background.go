package ec2

import "sync"

// background counts the goroutines that the service started, so that Close can wait for them.
type background struct {
	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
}

// run starts f in a goroutine, unless the service is closing.
func (b *background) run(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.group.Go(f)
}

// hold makes close wait until release is called; false once the service is closing.
func (b *background) hold() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.group.Add(1)
	return true
}

func (b *background) release() { b.group.Done() }

func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.group.Wait()
}
