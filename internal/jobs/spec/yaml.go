package spec

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// chunk is one document of a YAML file, and the line before its first.
type chunk struct {
	content string
	before  int
}

// splitYAML cuts a file at its --- lines, so that a syntax error in one document does not hide the problems of the next.
func splitYAML(content string) []chunk {
	var chunks []chunk
	var current strings.Builder
	line, begin := 0, 0
	for text := range strings.Lines(content) {
		if bare := strings.TrimRight(text, " \t\r\n"); bare == "---" || strings.HasPrefix(text, "--- ") || bare == "..." {
			chunks = append(chunks, chunk{current.String(), begin})
			current.Reset()
			begin = line
			if bare == "..." || bare == "---" {
				text, begin = "", line+1
			}
		}
		current.WriteString(text)
		line++
	}
	return append(chunks, chunk{current.String(), begin})
}

// blank reports whether a document holds nothing but comments and directives.
func (c chunk) blank() bool {
	for line := range strings.Lines(c.content) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && !strings.HasPrefix(line, "%YAML") {
			return false
		}
	}
	return true
}

// readYAML reads one document. Double keys are reported; any other problem ends the reading.
func readYAML(c chunk, shown string) (n *node, duplicates []Problem, err error) {
	r := &yamlReader{before: c.before, lines: strings.Split(c.content, "\n"), anchors: map[string]ast.Node{}}
	defer func() {
		// The parser is not ours: what it cannot take must not end the program.
		if cause := recover(); cause != nil {
			n, err = nil, &syntax{c.before + 1, 1, "this YAML cannot be read", "write it more plainly, or as JSON"}
		}
	}()
	if err := r.checkText(c.content); err != nil {
		return nil, nil, err
	}
	tokens := lexer.Tokenize(c.content)
	if err := r.bound(tokens); err != nil {
		return nil, nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, nil, r.syntaxError(err)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return &node{line: c.before + 1, col: 1, shown: shown}, nil, nil
	}
	n, err = r.node(file.Docs[0].Body, shown, 0)
	return n, r.duplicates, err
}

// yamlReader turns YAML's syntax tree into nodes with their places.
type yamlReader struct {
	before     int
	lines      []string
	anchors    map[string]ast.Node
	nodes      int
	texts      int // their bytes, those of aliases counted each time
	duplicates []Problem
}

func (r *yamlReader) checkText(content string) error {
	if utf8.ValidString(content) && !strings.ContainsRune(content, 0) {
		return nil
	}
	for i, line := range r.lines {
		if !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
			return &syntax{r.before + i + 1, 1, "expected UTF-8 text, found binary content", "save the file as UTF-8"}
		}
	}
	return nil
}

func (r *yamlReader) node(n ast.Node, shown string, depth int) (*node, error) {
	made := &node{shown: shown}
	made.line, made.col = r.place(n)
	if r.nodes++; r.nodes > maxNodes {
		return nil, &syntax{made.line, made.col, fmt.Sprintf("a document has at most %d values, aliases counted each time", maxNodes), "split it"}
	}
	if depth > MaxDepth {
		return nil, &syntax{made.line, made.col, fmt.Sprintf("lists and mappings are nested at most %d deep", MaxDepth), "flatten it"}
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		return made, r.mapping(made, v.Values, depth)
	case *ast.MappingValueNode:
		return made, r.mapping(made, []*ast.MappingValueNode{v}, depth)
	case *ast.SequenceNode:
		made.kind = listNode
		for i, value := range v.Values {
			item, err := r.node(value, joinPath(shown, i), depth+1)
			if err != nil {
				return nil, err
			}
			made.items = append(made.items, item)
		}
	case *ast.AnchorNode:
		target, err := r.node(v.Value, shown, depth)
		if err != nil {
			return nil, err
		}
		r.anchors[v.Name.GetToken().Value] = v.Value
		return target, nil
	case *ast.AliasNode:
		target, ok := r.anchors[v.Value.GetToken().Value]
		if !ok {
			return nil, &syntax{made.line, made.col, "there is no anchor &" + v.Value.GetToken().Value + " before this alias", "anchors belong to one document"}
		}
		return r.node(target, shown, depth+1)
	case *ast.TagNode:
		return nil, &syntax{made.line, made.col, "YAML tags such as " + shorten(v.Start.Value, 40) + " are not used here", "remove the tag; quotes make a value a text"}
	default:
		r.leaf(made, n)
		if r.texts += len(made.text); r.texts > maxTexts {
			return nil, &syntax{made.line, made.col, fmt.Sprintf("a document has at most %d MiB of texts, aliases counted each time", maxTexts>>20),
				"put long texts into files beside it"}
		}
	}
	return made, nil
}

func (r *yamlReader) leaf(made *node, n ast.Node) {
	switch v := n.(type) {
	case *ast.StringNode:
		made.kind, made.text = textNode, v.Value
	case *ast.LiteralNode:
		made.kind, made.text = textNode, v.Value.Value
	case *ast.BoolNode:
		made.kind, made.truth, made.text = boolNode, v.Value, v.Token.Value
	case *ast.IntegerNode:
		made.kind, made.text = numberNode, v.Token.Value
		switch number := v.Value.(type) {
		case int64:
			made.number = float64(number)
		case uint64:
			made.number = float64(number)
		}
	case *ast.FloatNode:
		made.kind, made.text, made.number = numberNode, v.Token.Value, v.Value
		if math.IsInf(v.Value, 0) || math.IsNaN(v.Value) {
			made.kind = textNode
		}
	case *ast.NullNode:
	default: // .inf and .nan are no numbers to us
		made.kind, made.text = textNode, n.GetToken().Value
	}
}

func (r *yamlReader) mapping(made *node, values []*ast.MappingValueNode, depth int) error {
	made.kind = mapNode
	seen := map[string]int{}
	var merged []*node
	for _, v := range values {
		key, err := r.key(v.Key)
		if err != nil {
			return err
		}
		if len(key.key) > maxKey {
			return longKey(key.line, key.col)
		}
		value, err := r.node(v.Value, joinPath(made.shown, key.key), depth+1)
		if err != nil {
			return err
		}
		if _, isMerge := v.Key.(*ast.MergeKeyNode); isMerge {
			if value.kind != mapNode {
				return &syntax{value.line, value.col, "expected a mapping to merge, found " + value.describe(), "write <<: *name of a mapping's anchor"}
			}
			merged = append(merged, value)
			continue
		}
		if first, double := seen[key.key]; double {
			r.duplicates = append(r.duplicates, duplicate(value.shown, key.line, key.col, first))
			continue
		}
		seen[key.key] = key.line
		key.value = value
		made.entries = append(made.entries, key)
	}
	for _, from := range merged {
		for _, e := range from.entries {
			if _, own := seen[e.key]; !own {
				seen[e.key] = e.line
				made.entries = append(made.entries, e)
			}
		}
	}
	return nil
}

func (r *yamlReader) key(k ast.MapKeyNode) (entry, error) {
	var n ast.Node = k
	if explicit, ok := k.(*ast.MappingKeyNode); ok {
		n = explicit.Value
	}
	line, col := r.place(n)
	switch v := n.(type) {
	case *ast.StringNode:
		return entry{key: v.Value, line: line, col: col}, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.MergeKeyNode:
		return entry{key: n.GetToken().Value, line: line, col: col}, nil
	}
	return entry{}, &syntax{line, col, "expected a field name", "names are plain texts"}
}

// place is where a value begins.
func (r *yamlReader) place(n ast.Node) (line, col int) {
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return r.place(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return r.place(v.Key)
	case *ast.StringNode:
		if v.Token.Type == token.StringType && strings.Contains(strings.TrimSpace(v.Token.Origin), "\n") && v.Token.Prev != nil {
			return r.after(v.Token.Prev.Position)
		}
	}
	p := n.GetToken().Position
	return r.before + p.Line, max(1, p.Column)
}

// after is where the first text behind the mark at p begins: of a plain text of several lines the parser keeps the end.
func (r *yamlReader) after(p *token.Position) (line, col int) {
	skip := p.Column // the columns up to and with the mark, counted in characters
	for at := p.Line; at <= len(r.lines); at++ {
		for i, c := range []rune(r.lines[at-1]) {
			if i < skip || unicode.IsSpace(c) {
				continue
			}
			if c == '#' {
				break
			}
			return r.before + at, i + 1
		}
		skip = 0
	}
	return r.before + p.Line, max(1, p.Column)
}

func (r *yamlReader) fail(t *token.Token, message, hint string) error {
	return &syntax{r.before + t.Position.Line, max(1, t.Position.Column), message, hint}
}

func (r *yamlReader) syntaxError(err error) error {
	if e, ok := errors.AsType[*yaml.SyntaxError](err); ok && e.Token != nil {
		hint := "correct the syntax here or just before"
		if line := e.Token.Position.Line; line > 0 && line <= len(r.lines) && strings.Contains(r.lines[line-1], "${var.") {
			hint = "inside { } and [ ], a text with ${…} needs quotes"
		}
		if strings.Contains(e.Message, "tab ") || strings.Contains(e.Message, "\t") {
			hint = "indent with spaces"
		}
		return r.fail(e.Token, "expected YAML: "+strings.ReplaceAll(e.Message, "\t", `\t`), hint)
	}
	message, _, _ := strings.Cut(err.Error(), "\n")
	return &syntax{r.before + 1, 1, "expected YAML: " + message, "correct the syntax"}
}

// looksLikeJSON reports whether content begins as JSON documents do. JSON read as JSON takes tabs and every escape.
func looksLikeJSON(content []byte) bool {
	content = bytes.TrimLeft(content, " \t\r\n")
	return len(content) > 0 && content[0] == '{' && !bytes.Contains(content, []byte("\n---"))
}
