package spec

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// folder reads what stands beside a spec file: scripts, files to copy, settings.
type folder struct {
	path    string
	uploads []Upload
}

// read replaces the path of a script, a file or rows by what is there. It gives nil where that fails.
func (f *folder) read(s *shaper, t reflect.Type, n *node) *node {
	path := n.get("path")
	if path == nil || path.kind != textNode || path.text == "" || n.get("key") != nil {
		return n
	}
	var add map[string]any
	var err error
	switch t {
	case scriptType:
		if n.get("text") != nil {
			return n
		}
		add, err = f.script(path.text)
	case fileType:
		if n.get("content") != nil {
			return n
		}
		add, err = f.file(path.text, n.get("mode") == nil)
	case rowsType:
		if n.get("rows") != nil {
			return n
		}
		return f.rows(s, n, path)
	default:
		return n
	}
	if err != nil {
		s.report(path, fmt.Sprintf("cannot read %s: %v", f.join(path.text), err), "paths are relative to the spec file")
		return nil
	}
	return n.with(add)
}

// with is the mapping with further fields.
func (n *node) with(fields map[string]any) *node {
	more := fromPlain(fields, n)
	copied := *n
	copied.entries = append(append([]entry(nil), n.entries...), more.entries...)
	return &copied
}

func (f *folder) join(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(f.path, filepath.FromSlash(path))
}

func (f *folder) isFile(path string) bool {
	info, err := os.Stat(f.join(path))
	return err == nil && info.Mode().IsRegular()
}

func (f *folder) script(path string) (map[string]any, error) {
	content, _, err := readRegular(f.join(path))
	if err != nil {
		return nil, err
	}
	switch {
	case len(bytes.TrimSpace(content)) == 0:
		return nil, fmt.Errorf("expected a script, found an empty file")
	case !utf8.Valid(content) || bytes.ContainsRune(content, 0):
		return nil, fmt.Errorf("expected a script, found binary content")
	case len(content) > MaxInline:
		return f.upload(path, content), nil
	}
	return map[string]any{"text": string(content)}, nil
}

func (f *folder) file(path string, withMode bool) (map[string]any, error) {
	where := f.join(path)
	info, err := os.Stat(where)
	if err != nil {
		return nil, plainError(err)
	}
	fields := map[string]any{}
	var content []byte
	if info.IsDir() {
		fields["folder"] = true
		content, err = archive(where)
	} else {
		var mode fs.FileMode
		content, mode, err = readRegular(where)
		if withMode {
			fields["mode"] = fmt.Sprintf("0%03o", mode.Perm())
		}
	}
	if err != nil {
		return nil, err
	}
	if len(content) > MaxInline {
		maps.Copy(fields, f.upload(path, content))
		return fields, nil
	}
	fields["digest"], fields["size"] = Digest(content), len(content)
	if len(content) > 0 {
		fields["content"] = base64.StdEncoding.EncodeToString(content)
	}
	return fields, nil
}

// upload marks content for the bucket, once, and gives the fields that name it.
func (f *folder) upload(path string, content []byte) map[string]any {
	u := Upload{Digest: Digest(content), Path: f.join(path), Content: content}
	u.Key = UploadKey(u.Digest)
	f.add(u)
	return map[string]any{"key": u.Key, "digest": u.Digest, "size": len(content)}
}

// add notes an upload, once.
func (f *folder) add(u Upload) {
	if !slices.ContainsFunc(f.uploads, func(other Upload) bool { return other.Key == u.Key }) {
		f.uploads = append(f.uploads, u)
	}
}

func readRegular(path string) (content []byte, mode fs.FileMode, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, plainError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("expected a file, found %s", fileKind(info.Mode()))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, plainError(err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	content, err = readAtMost(file, MaxUpload)
	if err != nil {
		return nil, 0, plainError(err)
	}
	return content, info.Mode(), nil
}

func plainError(err error) error { return fmt.Errorf("%s", reason(err)) }

func fileKind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeSymlink != 0:
		return "a link"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// leafScript writes a script's short form out: a file where it can only be one, or where the name of one is there; else
// the script itself.
func (s *shaper) leafScript(n *node) *node {
	text := n.text
	if strings.TrimSpace(text) == "" {
		s.report(n, "expected a script, found "+n.describe(), "write a line of shell or a file such as ./install.sh")
		return nil
	}
	if isRelativePath(text) || s.beside != nil && maybePath(text) && s.beside.isFile(text) {
		return fromPlain(map[string]any{"path": text}, n)
	}
	if word, rest, ok := strings.Cut(text, " "); s.beside != nil && ok && isRelativePath(word) &&
		!strings.Contains(text, "\n") && s.beside.isFile(word) {
		s.report(n, "expected either a file or a line of shell, found the file "+word+" with arguments "+shorten(rest, 40),
			"write "+word+" alone, and give it its arguments as environment variables")
		return nil
	}
	return fromPlain(map[string]any{"text": text}, n)
}
