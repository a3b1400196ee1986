package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep lists and mappings may be nested.
	MaxDepth = 64
	// MaxDocument is how large one document may be.
	MaxDocument = 1 << 20
	// maxNodes bounds the values of a document, aliases counted as often as they are used.
	maxNodes = 200_000
	// maxTexts bounds their texts, in bytes, once aliases and variables are written out.
	maxTexts = 4 << 20
	// maxKey is how long a field's name may be, in bytes: the paths of all values below it contain it.
	maxKey = 256
)

func longKey(line, col int) error {
	return &syntax{line, col, fmt.Sprintf("a field's name has at most %d bytes", maxKey), "use a shorter name"}
}

// syntax is a problem that ends the reading of a document.
type syntax struct {
	line, col     int
	message, hint string
}

func (s *syntax) Error() string { return s.message }

// jsonReader turns JSON into nodes with their places. It refuses double keys, which encoding/json does not.
type jsonReader struct {
	decoder *json.Decoder
	content []byte
	// The last place that was asked for: places only go forward.
	offset, line, col int
	nodes             int
	duplicates        []Problem
}

func newJSONReader(content []byte) *jsonReader {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	return &jsonReader{decoder: decoder, content: content, line: 1, col: 1}
}

// next reads one value, shown under the path base; io.EOF at the end.
func (r *jsonReader) next(base string) (*node, error) {
	n, err := r.value(base, 0)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if _, ok := errors.AsType[*syntax](err); ok {
		return nil, err
	}
	offset := int(r.decoder.InputOffset())
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = max(offset, int(e.Offset)-1)
	}
	line, col := r.place(min(offset, len(r.content)))
	return nil, &syntax{line, col, "expected JSON: " + err.Error(), "correct the syntax here or just before"}
}

func (r *jsonReader) value(shown string, depth int) (*node, error) {
	line, col := r.place(r.ahead())
	token, err := r.decoder.Token()
	if err != nil {
		return nil, err
	}
	if r.nodes++; r.nodes > maxNodes {
		return nil, &syntax{line, col, fmt.Sprintf("a document has at most %d values", maxNodes), "split it"}
	}
	n := &node{line: line, col: col, shown: shown}
	switch t := token.(type) {
	case json.Delim:
		if depth >= MaxDepth {
			return nil, &syntax{line, col, fmt.Sprintf("lists and mappings are nested at most %d deep", MaxDepth), "flatten it"}
		}
		if t == '[' {
			return n, r.list(n, depth)
		}
		return n, r.mapping(n, depth)
	case string:
		n.kind, n.text = textNode, t
	case json.Number:
		number, err := strconv.ParseFloat(string(t), 64)
		if err != nil {
			return nil, &syntax{line, col, "expected a number that fits 64 bits, found " + shorten(string(t), 40), ""}
		}
		n.kind, n.text, n.number = numberNode, string(t), number
	case bool:
		n.kind, n.truth = boolNode, t
	}
	return n, nil
}

func (r *jsonReader) list(n *node, depth int) error {
	n.kind = listNode
	for r.decoder.More() {
		item, err := r.value(joinPath(n.shown, len(n.items)), depth+1)
		if err != nil {
			return unexpectedEnd(err)
		}
		n.items = append(n.items, item)
	}
	_, err := r.decoder.Token()
	return unexpectedEnd(err)
}

func (r *jsonReader) mapping(n *node, depth int) error {
	n.kind = mapNode
	seen := map[string]int{}
	for r.decoder.More() {
		line, col := r.place(r.ahead())
		token, err := r.decoder.Token()
		if err != nil {
			return unexpectedEnd(err)
		}
		key, ok := token.(string)
		if !ok {
			return &syntax{line, col, "expected a field name in quotes", ""}
		}
		if len(key) > maxKey {
			return longKey(line, col)
		}
		value, err := r.value(joinPath(n.shown, key), depth+1)
		if err != nil {
			return unexpectedEnd(err)
		}
		if first, double := seen[key]; double {
			r.duplicates = append(r.duplicates, duplicate(value.shown, line, col, first))
			continue
		}
		seen[key] = line
		n.entries = append(n.entries, entry{key, line, col, value})
	}
	_, err := r.decoder.Token()
	return unexpectedEnd(err)
}

func duplicate(shown string, line, col, first int) Problem {
	return Problem{Line: line, Column: col, Path: shown, Message: fmt.Sprintf("the field is written twice, first in line %d", first),
		Hint: "remove one of them"}
}

// ahead is where the next token begins: the decoder's own offset stands behind the last one.
func (r *jsonReader) ahead() int {
	offset := int(r.decoder.InputOffset())
	for i, c := range r.content[offset:] {
		switch c {
		case ' ', '\t', '\r', '\n', ',', ':':
		default:
			return offset + i
		}
	}
	return len(r.content)
}

func (r *jsonReader) place(offset int) (line, col int) {
	for ; r.offset < offset; r.offset++ {
		switch c := r.content[r.offset]; {
		case c == '\n':
			r.line++
			r.col = 1
		case utf8.RuneStart(c):
			r.col++
		}
	}
	return r.line, r.col
}

func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
