package spec

import (
	"reflect"
	"slices"
)

// folder reads what stands beside a spec file: scripts, files to copy, settings.
type folder struct {
	path    string
	uploads []Upload
}

// read replaces the path of a script, a file or rows by what is there.
func (f *folder) read(s *shaper, t reflect.Type, n *node, at string) *node { return n }

// leafScript takes a script's short form. Nothing is replaced in its text.
func (s *shaper) leafScript(n *node, at string) *node {
	fields, err := (*Script)(nil).Shorthand(n.plain())
	if err != nil {
		s.reportWrong(n, err)
		return nil
	}
	return fromPlain(fields, n)
}

func sortedKeys(v reflect.Value) []reflect.Value {
	return slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return compare(a.String(), b.String()) })
}
