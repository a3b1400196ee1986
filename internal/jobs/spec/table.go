package spec

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// rows reads a file of settings: CSV with a header, or a JSON or YAML list of mappings. What is wrong with the file is
// reported where it stands in that file.
func (f *folder) rows(s *shaper, n, path *node) *node {
	fail := func(message, hint string) *node {
		s.report(path, message, hint)
		return nil
	}
	where := f.join(path.text)
	extension := strings.ToLower(filepath.Ext(where))
	if !slices.Contains([]string{".csv", ".json", ".yaml", ".yml"}, extension) {
		return fail("expected a .csv, .json or .yaml file, found "+path.describe(), "")
	}
	content, _, err := readRegular(where)
	if err != nil {
		return fail(fmt.Sprintf("cannot read %s: %v", where, err), "paths are relative to the spec file")
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	within := &shaper{file: where, problems: s.problems}
	before := s.problems.count()
	var list *node
	if extension == ".csv" {
		list = within.csvRows(content)
	} else {
		list = within.listRows(content)
	}
	if s.problems.count() > before {
		return nil
	}
	raw := list.json()
	rows, err := ParseRows(raw)
	if err == nil {
		_, err = ByOrdinal(rows, 0)
	}
	if err != nil {
		return fail(fmt.Sprintf("%s: %v", where, err), "")
	}
	if len(raw) > MaxInline {
		return n.with(f.upload(path.text, raw))
	}
	return n.with(map[string]any{"rows": list.plain()})
}

func (e *Errors) count() int { return len(e.Problems) + e.More }

func (s *shaper) csvRows(content []byte) *node {
	reader := csv.NewReader(bytes.NewReader(content))
	reader.TrimLeadingSpace = true
	list := &node{kind: listNode}
	header, err := reader.Read()
	if err != nil {
		s.csvError(err)
		return list
	}
	seen := map[string]bool{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		header[i] = name
		line, col := reader.FieldPos(i)
		if name == "" || seen[name] {
			s.reportAt(line, col, "", fmt.Sprintf("expected a name of its own for column %d, found %q", i+1, name),
				"the first row names the columns")
		}
		seen[name] = true
	}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			s.csvError(err)
			if !errors.Is(err, csv.ErrFieldCount) {
				return list
			}
			continue
		}
		row := &node{kind: mapNode}
		for i, value := range record {
			row.entries = append(row.entries, entry{key: header[i], value: &node{kind: textNode, text: value}})
		}
		list.items = append(list.items, row)
	}
}

func (s *shaper) csvError(err error) {
	e, ok := errors.AsType[*csv.ParseError](err)
	switch {
	case errors.Is(err, io.EOF):
		s.reportAt(1, 1, "", "expected a row with the columns' names, found an empty file", "")
	case ok && errors.Is(err, csv.ErrFieldCount):
		s.reportAt(e.Line, 1, "", "expected as many fields as the first row has", "add or remove commas")
	case ok:
		s.reportAt(e.Line, e.Column, "", "expected CSV: "+e.Err.Error(), "")
	default:
		s.reportAt(1, 1, "", err.Error(), "")
	}
}

func (s *shaper) listRows(content []byte) *node {
	l := &loader{file: s.file, problems: s.problems}
	var list *node
	trimmed := bytes.TrimLeft(content, " \t\r\n")
	var nodes []*node
	if strings.EqualFold(filepath.Ext(s.file), ".json") || len(trimmed) > 0 && trimmed[0] == '{' {
		nodes = l.jsonNodes(content, "")
	} else {
		nodes = l.nodes(content, "")
	}
	if len(nodes) != 1 {
		if len(nodes) > 1 {
			s.report(nodes[1], "expected one list of rows, found a second document", "")
		}
		return &node{kind: listNode}
	}
	list = nodes[0]
	if list.kind != listNode {
		s.report(list, "expected a list of rows, found "+list.describe(), "")
		return list
	}
	for _, row := range list.items {
		if row.kind != mapNode {
			s.report(row, "expected a row with named settings, found "+row.describe(), "")
		}
	}
	return list
}
