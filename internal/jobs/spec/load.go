package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

const (
	// maxFile bounds a spec file, all its documents together.
	maxFile = 16 << 20
	// MaxSpec is how large a spec may be in its full form, scripts inlined: it stands in the job's item.
	MaxSpec = 256 << 10
)

// Load reads spec files: YAML, or JSON if they begin with {; several documents a file; - is the standard input. Vars go over the
// documents' own. If anything is wrong with any document, there are no documents and the error is *Errors with everything
// that is wrong.
func Load(files []string, vars map[string]string, kinds Registry) ([]Document, error) {
	var all []Document
	problems := &Errors{}
	for _, file := range files {
		content, folder, err := readSpecFile(file)
		if err != nil {
			problems.add(Problem{File: file, Message: err.Error(), Hint: "name a YAML or JSON file, or - for the standard input"})
			continue
		}
		l := &loader{file: file, folder: folder, vars: vars, kinds: kinds, problems: problems}
		all = append(all, l.load(content)...)
	}
	reportTwins(all, problems)
	if err := problems.orNil(); err != nil {
		return nil, err
	}
	return all, nil
}

// Parse reads the documents in content as Load does a file's. Paths in it are relative to folder.
func Parse(file string, content []byte, folder string, vars map[string]string, kinds Registry) ([]Document, error) {
	problems := &Errors{}
	l := &loader{file: file, folder: folder, vars: vars, kinds: kinds, problems: problems}
	all := l.load(content)
	reportTwins(all, problems)
	if err := problems.orNil(); err != nil {
		return nil, err
	}
	return all, nil
}

func readSpecFile(file string) (content []byte, folder string, err error) {
	if file == "-" {
		content, err = readAtMost(os.Stdin, maxFile)
		return content, ".", err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, "", errors.New(reason(err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, "", errors.New("expected a file, found a folder")
	}
	content, err = readAtMost(f, maxFile)
	return content, filepath.Dir(file), err
}

func readAtMost(r io.Reader, limit int) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(content) > limit {
		return nil, fmt.Errorf("expected at most %d MiB", limit>>20)
	}
	return content, err
}

// reason is what the system says about a file, without repeating its name.
func reason(err error) string {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		if errors.Is(err, os.ErrNotExist) {
			return "there is no such file"
		}
		return e.Err.Error()
	}
	return err.Error()
}

// loader reads the documents of one file.
type loader struct {
	file, folder string
	vars         map[string]string
	kinds        Registry
	problems     *Errors
}

func (l *loader) load(content []byte) []Document {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	var documents []Document
	for _, n := range l.nodes(content, "") {
		if d, ok := l.document(n); ok {
			documents = append(documents, d)
		}
	}
	return documents
}

// nodes reads every document that can be read and reports the rest.
func (l *loader) nodes(content []byte, shown string) []*node {
	if looksLikeJSON(content) {
		return l.jsonNodes(content, shown)
	}
	var nodes []*node
	found := false
	for _, c := range splitYAML(string(content)) {
		if c.blank() {
			continue
		}
		found = true
		if len(c.content) > MaxDocument {
			l.syntax(&syntax{c.before + 1, 1, "a document is at most 1 MiB", "put scripts and settings into files beside it"})
			continue
		}
		n, duplicates, err := readYAML(c, shown)
		l.duplicates(duplicates)
		if err != nil {
			l.syntax(err)
			continue
		}
		nodes = append(nodes, n)
	}
	if !found {
		l.syntax(&syntax{1, 1, "expected a document, found an empty file", "begin with kind: and name:"})
	}
	return nodes
}

func (l *loader) jsonNodes(content []byte, shown string) []*node {
	var nodes []*node
	reader := newJSONReader(content)
	defer func() { l.duplicates(reader.duplicates) }()
	for {
		before := reader.decoder.InputOffset()
		n, err := reader.next(shown)
		if errors.Is(err, io.EOF) {
			return nodes
		}
		if err == nil && reader.decoder.InputOffset()-before > MaxDocument {
			err = &syntax{n.line, n.col, "a document is at most 1 MiB", "put scripts and settings into files beside it"}
		}
		if err != nil {
			l.syntax(err)
			return nodes
		}
		nodes = append(nodes, n)
	}
}

func (l *loader) duplicates(found []Problem) {
	for _, p := range found {
		p.File = l.file
		l.problems.add(p)
	}
}

func (l *loader) syntax(err error) {
	if e, ok := errors.AsType[*syntax](err); ok {
		l.problems.add(Problem{File: l.file, Line: e.line, Column: e.col, Message: e.message, Hint: e.hint})
		return
	}
	l.problems.add(Problem{File: l.file, Message: err.Error()})
}

// document checks one document: the envelope first, then the spec as its kind wants it.
func (l *loader) document(n *node) (Document, bool) {
	before := l.problems.count()
	s := &shaper{file: l.file, problems: l.problems}
	head, own := l.envelope(s, n)
	if head == nil {
		return Document{}, false
	}
	d := Document{Kind: head.Kind, Name: head.Name, Region: head.Region, Role: head.Role, Key: head.Key, Priority: head.Priority,
		Labels: head.Labels, Vars: own, File: l.file, Line: n.line}
	t, known := l.kinds[head.Kind]
	if known {
		d.Spec, d.Uploads, d.full = l.spec(t, n, own)
	}
	return d, l.problems.count() == before
}

func (l *loader) spec(t reflect.Type, n *node, vars map[string]string) (json.RawMessage, []Upload, *node) {
	written := n.get("spec")
	if written == nil {
		written = &node{kind: mapNode, line: n.line, col: n.col, shown: "spec"}
	}
	s := &shaper{file: l.file, problems: l.problems, vars: vars, beside: &folder{path: l.folder}, loader: l}
	into := reflect.New(t).Elem()
	if written.kind == mapNode || written.kind == nullNode {
		written = l.inject(t, written, vars)
	}
	full := s.fill(into, written)
	raw := full.json()
	if len(raw) > MaxSpec {
		s.report(written, fmt.Sprintf("in its full form a spec has at most %d KiB, found %d KiB", MaxSpec>>10, len(raw)>>10),
			"put long scripts and settings into files beside it")
	}
	return raw, s.beside.uploads, full
}

// inject gives a spec that has a field vars the document's variables, so that its scripts get them.
func (l *loader) inject(t reflect.Type, n *node, vars map[string]string) *node {
	if len(vars) == 0 || t.Kind() != reflect.Struct || n.get("vars") != nil {
		return n
	}
	for _, f := range fieldsOf(t) {
		if f.name != "vars" {
			continue
		}
		fields := make(map[string]any, len(vars))
		for name, value := range vars {
			// The spec's own texts are replaced once more on their way: what looks like a variable here is none.
			fields[name] = strings.ReplaceAll(value, "${var.", "$${var.")
		}
		with := *n
		with.kind = mapNode
		with.entries = append([]entry{{"vars", n.line, n.col, fromPlain(fields, n)}}, n.entries...)
		return &with
	}
	return n
}

// reportTwins refuses two documents that would be the same work at the same time.
func reportTwins(all []Document, problems *Errors) {
	seen := map[string]Document{}
	for _, d := range all {
		identity := strings.Join([]string{d.Kind, d.Name, d.Region, d.Role, d.Key}, "\x00")
		if first, twice := seen[identity]; twice {
			problems.add(Problem{File: d.File, Line: d.Line, Column: 1, Path: "name",
				Message: fmt.Sprintf("%s %s is written twice, first at %s:%d", d.Kind, d.Name, first.File, first.Line),
				Hint:    "give it another name, region or key"})
			continue
		}
		seen[identity] = d
	}
}
