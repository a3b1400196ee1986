package shell

import (
	"maps"
	"slices"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// arrayValue evaluates name=(…) and name+=(…).
func (s *shell) arrayValue(as *syntax.Assign, v expand.Variable) (expand.Variable, bool) {
	if v.Kind == expand.Associative {
		return s.mapValue(as, v)
	}
	list := sparse{}
	if as.Append {
		list = elements(v)
	}
	next := list.next()
	for _, elem := range as.Array.Elems {
		if elem.Index != nil {
			value, ok := s.literalOrEmpty(elem.Value)
			if !ok {
				return v, false
			}
			next = s.arithmetic(elem.Index)
			list[next] = value
			next++
			continue
		}
		values, ok := s.fields(elem.Value)
		if !ok {
			return v, false
		}
		for _, value := range values {
			list[next] = value
			next++
		}
	}
	return list.variable(v), true
}

func (s *shell) mapValue(as *syntax.Assign, v expand.Variable) (expand.Variable, bool) {
	entries := map[string]string{}
	if as.Append {
		maps.Copy(entries, v.Map)
	}
	for _, elem := range as.Array.Elems {
		key, ok := s.key(elem.Index)
		if !ok {
			s.complain("%s: %s", as.Name.Value, "must use subscript when assigning associative array")
			return v, false
		}
		if entries[key], ok = s.literalOrEmpty(elem.Value); !ok {
			return v, false
		}
	}
	v.Map = entries
	return v, true
}

// elementValue evaluates name[i]=value; a plain name means its element 0.
func (s *shell) elementValue(as *syntax.Assign, v expand.Variable, value string) (expand.Variable, bool) {
	if v.Kind == expand.Associative {
		key, ok := s.key(as.Index)
		if !ok {
			key = "0"
		}
		entries := maps.Clone(v.Map)
		if entries == nil {
			entries = map[string]string{}
		}
		if as.Append {
			value = entries[key] + value
		}
		entries[key] = value
		v.Map = entries
		return v, true
	}
	list, i := elements(v), 0
	if as.Index != nil {
		i = s.arithmetic(as.Index)
	}
	if i < 0 {
		i += list.next()
	}
	if i < 0 {
		s.complain("%s: bad array subscript", as.Name.Value)
		s.status = 1
		return v, false
	}
	if as.Append {
		value = list[i] + value
	}
	list[i] = value
	return list.variable(v), true
}

func (s *shell) key(index syntax.ArithmExpr) (string, bool) {
	w, ok := index.(*syntax.Word)
	if !ok {
		return "", false
	}
	return s.literal(w)
}

func (s *shell) literalOrEmpty(w *syntax.Word) (string, bool) {
	if w == nil {
		return "", true
	}
	return s.literal(w)
}

// sparse is an indexed array being built.
type sparse map[int]string

func elements(v expand.Variable) sparse {
	list := sparse{}
	switch v.Kind {
	case expand.String:
		if v.Str != "" {
			list[0] = v.Str
		}
	case expand.Indexed:
		for i, value := range v.List {
			if v.Indexes != nil {
				i = v.Indexes[i]
			}
			list[i] = value
		}
	}
	return list
}

func (l sparse) next() int {
	next := 0
	for i := range l {
		next = max(next, i+1)
	}
	return next
}

func (l sparse) variable(v expand.Variable) expand.Variable {
	v.Set, v.Kind, v.Str = true, expand.Indexed, ""
	v.List, v.Indexes = []string{}, slices.Sorted(maps.Keys(l))
	for _, i := range v.Indexes {
		v.List = append(v.List, l[i])
	}
	if l.next() == len(l) {
		v.Indexes = nil
	}
	return v
}
