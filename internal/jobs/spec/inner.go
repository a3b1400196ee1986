package spec

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// Keeper is a spec that stampmill apply keeps: it is no job, and no message submits it.
type Keeper interface{ Kept() }

var keeperType = reflect.TypeFor[Keeper]()

// IsKept reports whether documents of the kind are kept by stampmill apply instead of submitted.
func (r Registry) IsKept(kind string) bool { return r[kind] != nil && has(r[kind], keeperType) }

// jobs are the kinds that a message may submit.
func (r Registry) jobs() Registry {
	submitted := Registry{}
	for kind, t := range r {
		if !r.IsKept(kind) {
			submitted[kind] = t
		}
	}
	return submitted
}

// innerKind is the kind whose spec stands in a field: one of type json.RawMessage with a tag kind. Such a field is written
// as that spec, or as the name of a file whose only document is of that kind. The document's name, region, role, priority and
// labels then go into the fields of these names beside it, as far as nothing is written there.
func innerKind(t reflect.Type, tag reflect.StructTag) string {
	if t != rawType {
		return ""
	}
	return tag.Get("kind")
}

// inner shapes the spec of another kind. Where kinds are not known, on a worker, it was shaped before.
func (s *shaper) inner(kind string, n *node) *node {
	if n.shaped || s.loader == nil || s.loader.kinds[kind] == nil {
		return s.free(n)
	}
	if n.kind != mapNode {
		s.report(n, "expected a spec of kind "+kind+", or the name of a file with one, found "+n.describe(), "")
		return nil
	}
	t := s.loader.kinds[kind]
	part := *s // what does not fit in here has paths of its own
	part.broken = nil
	full := part.fill(reflect.New(t).Elem(), s.loader.inject(t, n, s.vars))
	s.replaced = part.replaced
	return full
}

// openFiles replaces names of files, where another kind's spec stands, by what is in them.
func (s *shaper) openFiles(fields []field, n *node) *node {
	if s.loader == nil || s.beside == nil {
		return n
	}
	opened := n
	for _, f := range fields {
		kind := innerKind(f.typ, f.tag)
		written := n.get(f.name)
		if kind == "" || written == nil || written.kind != textNode {
			continue
		}
		d, ok := s.openFile(kind, written)
		if !ok {
			return nil
		}
		copied := *opened
		copied.entries = nil
		for _, e := range opened.entries {
			if e.key == f.name {
				full := *d.full
				full.shaped = true
				e.value = &full
			}
			copied.entries = append(copied.entries, e)
		}
		opened = copied.beside(fields, d, written)
	}
	return opened
}

// beside puts what stands around the document's spec into the fields of the same names that are not written.
func (n *node) beside(fields []field, d Document, at *node) *node {
	labels := make(map[string]any, len(d.Labels))
	for name, value := range d.Labels {
		labels[name] = value
	}
	add := map[string]any{}
	for _, f := range fields {
		switch {
		case n.get(f.name) != nil:
		case f.name == "name":
			add[f.name] = d.Name
		case f.name == "region" && d.Region != "":
			add[f.name] = d.Region
		case f.name == "role" && d.Role != "":
			add[f.name] = d.Role
		case f.name == "priority" && d.Priority != "":
			add[f.name] = d.Priority
		case f.name == "labels" && len(labels) > 0:
			add[f.name] = labels
		}
	}
	more := fromPlain(add, at)
	for i := range more.entries { // they are read once more on their way
		more.entries[i].value = escapeVars(more.entries[i].value)
	}
	n.entries = append(n.entries, more.entries...)
	return n
}

// openFile reads the one document of the kind that the file has.
func (s *shaper) openFile(kind string, n *node) (Document, bool) {
	written := s.substitute(n)
	if written == nil {
		return Document{}, false
	}
	path := s.beside.join(written.text)
	content, folderPath, err := readSpecFile(path)
	if err == nil && filepath.Clean(path) == filepath.Clean(s.file) {
		err = fmt.Errorf("a document cannot contain its own file")
	}
	if err != nil || strings.TrimSpace(written.text) == "-" {
		s.report(n, fmt.Sprintf("expected a spec of kind %s, or the name of a file with one, found %s: %v", kind, strconv.Quote(shorten(written.text, 80)), err),
			"paths are relative to the spec file")
		return Document{}, false
	}
	before := s.problems.count()
	l := &loader{file: path, folder: folderPath, vars: s.loader.vars, kinds: Registry{kind: s.loader.kinds[kind]}, problems: s.problems}
	documents := l.load(content)
	switch {
	case s.problems.count() > before: // they are told with the file's own lines
		return Document{}, false
	case len(documents) != 1:
		s.report(n, fmt.Sprintf("expected a file with one document, of kind %s, found %d", kind, len(documents)), "write each into a file of its own")
		return Document{}, false
	}
	for _, u := range documents[0].Uploads {
		s.beside.add(u)
	}
	return documents[0], true
}
