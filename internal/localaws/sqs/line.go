package sqs

// line is a doubly linked list: a message leaves from its middle when it is deleted or moved.
type line[T any] struct {
	first, last *node[T]
	length      int
}

type node[T any] struct {
	value      T
	prev, next *node[T]
}

func (l *line[T]) push(value T) *node[T] {
	n := &node[T]{value: value}
	l.append(n)
	return n
}

func (l *line[T]) append(n *node[T]) {
	n.prev, n.next = l.last, nil
	if l.last == nil {
		l.first = n
	} else {
		l.last.next = n
	}
	l.last = n
	l.length++
}

func (l *line[T]) remove(n *node[T]) {
	if n.prev == nil {
		l.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next = nil, nil
	l.length--
}

func (l *line[T]) toEnd(n *node[T]) {
	l.remove(n)
	l.append(n)
}
