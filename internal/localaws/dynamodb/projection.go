package dynamodb

import (
	"maps"
	"slices"
)

// projection is a parsed ProjectionExpression.
type projection struct {
	mentions
	paths []path
	fault error
}

func parseProjection(text string) (*projection, error) {
	l, err := begin(text)
	if err != nil {
		return nil, err
	}
	p := &projection{}
	for {
		next, err := l.path()
		if err != nil {
			return nil, err
		}
		p.paths = append(p.paths, next)
		if l.symbol(",") {
			continue
		}
		if l.peek().kind != tokenEnd {
			return nil, l.syntax()
		}
		break
	}
	p.mentions = l.mentions()
	p.fault = firstReserved(p.paths)
	return p, nil
}

func firstReserved(paths []path) error {
	for _, p := range paths {
		if err := p.reservedIn(); err != nil {
			return err
		}
	}
	return nil
}

// bind resolves the placeholders.
func (p *projection) bind(h *placeholders) ([]path, error) {
	paths := make([]path, len(p.paths))
	for i, unresolved := range p.paths {
		var err error
		if paths[i], err = h.path(unresolved); err != nil {
			return nil, err
		}
	}
	return paths, clashes(paths)
}

// project is the part of the item that the paths name; elements of lists stay in their order and close up.
func project(item Item, paths []path) Item {
	part, _ := pick(item, paths).(Item)
	if part == nil {
		return Item{}
	}
	return part
}

// pick is the part of a value at the paths, nil if there is none. An empty path is the whole value.
func pick(value Value, paths []path) Value {
	if len(paths[0]) == 0 {
		return value
	}
	groups := map[step][]path{}
	for _, p := range paths {
		groups[p[0]] = append(groups[p[0]], p[1:])
	}
	switch value := value.(type) {
	case Item:
		part := Item{}
		for s, below := range groups {
			if inner := s.in(value); inner != nil {
				if picked := pick(inner, below); picked != nil {
					part[s.name] = picked
				}
			}
		}
		return orNil(part, len(part))
	case List:
		var part List
		for _, s := range slices.SortedFunc(maps.Keys(groups), func(a, b step) int { return a.index - b.index }) {
			if inner := s.in(value); inner != nil {
				if picked := pick(inner, groups[s]); picked != nil {
					part = append(part, picked)
				}
			}
		}
		return orNil(part, len(part))
	}
	return nil
}
