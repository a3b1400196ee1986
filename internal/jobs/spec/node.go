package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// node is a value as it was written, with its place. It is what both readers, YAML and JSON, give.
type node struct {
	kind nodeKind
	line int
	col  int
	// shown is the path of what was written: a value that a short form stands for shows the short form's path.
	shown  string
	text   string // of a text; of a number as it was written
	number float64
	truth  bool
	// substituted marks a text in which a variable was replaced: it may stand for a number.
	substituted bool
	// shaped marks another kind's spec in its full form.
	shaped  bool
	entries []entry
	items   []*node
}

type entry struct {
	key       string
	line, col int
	value     *node
}

type nodeKind int

const (
	nullNode nodeKind = iota
	textNode
	numberNode
	boolNode
	listNode
	mapNode
)

// get is the value under the key, or nil.
func (n *node) get(key string) *node {
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value
		}
	}
	return nil
}

// plain is the value as encoding/json would give it.
func (n *node) plain() any {
	switch n.kind {
	case textNode:
		return n.text
	case numberNode:
		return n.number
	case boolNode:
		return n.truth
	case listNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.plain()
		}
		return list
	case mapNode:
		fields := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			fields[e.key] = e.value.plain()
		}
		return fields
	}
	return nil
}

// describe says what was found, for a person.
func (n *node) describe() string {
	switch n.kind {
	case textNode:
		if n.text == "" {
			return "an empty text"
		}
		return "the text " + strconv.Quote(shorten(n.text, 40))
	case numberNode:
		return "the number " + shorten(n.text, 40)
	case boolNode:
		return strconv.FormatBool(n.truth)
	case listNode:
		return "a list"
	case mapNode:
		return "a mapping"
	}
	return "nothing"
}

// fromPlain makes a node of what a short form stands for. Whatever of it was written by the person keeps its own place.
func fromPlain(value any, origin *node) *node {
	if !reflect.ValueOf(value).IsValid() {
		return &node{line: origin.line, col: origin.col, shown: origin.shown}
	}
	if origin.kind != mapNode && reflect.DeepEqual(value, origin.plain()) {
		return origin
	}
	made := &node{line: origin.line, col: origin.col, shown: origin.shown}
	switch v := value.(type) {
	case string:
		made.kind, made.text = textNode, v
	case bool:
		made.kind, made.truth = boolNode, v
	case float64:
		made.kind, made.number, made.text = numberNode, v, formatNumber(v)
	case int:
		made.kind, made.number, made.text = numberNode, float64(v), strconv.Itoa(v)
	case []any:
		made.kind = listNode
		for i, item := range v {
			from := origin
			if origin.kind == listNode && i < len(origin.items) {
				from = origin.items[i]
			}
			made.items = append(made.items, fromPlain(item, from))
		}
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return fromPlain(list, origin)
	case map[string]any:
		made.kind = mapNode
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			made.entries = append(made.entries, entry{key, origin.line, origin.col, fromPlain(v[key], origin)})
		}
	default:
		return fromOther(v, origin)
	}
	return made
}

// fromOther takes what else a short form may give, such as a struct, by way of JSON.
func fromOther(value any, origin *node) *node {
	raw, err := json.Marshal(value)
	if err != nil {
		return &node{line: origin.line, col: origin.col, shown: origin.shown}
	}
	var again any
	if err := json.Unmarshal(raw, &again); err != nil {
		return &node{line: origin.line, col: origin.col, shown: origin.shown}
	}
	return fromPlain(again, origin)
}

// appendJSON writes the value as JSON, keys in order.
func (n *node) appendJSON(b *bytes.Buffer) {
	switch n.kind {
	case textNode:
		b.Write(quoteJSON(n.text))
	case numberNode:
		if json.Valid([]byte(n.text)) {
			b.WriteString(n.text)
		} else {
			b.WriteString(formatNumber(n.number))
		}
	case boolNode:
		b.WriteString(strconv.FormatBool(n.truth))
	case listNode:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.appendJSON(b)
		}
		b.WriteByte(']')
	case mapNode:
		b.WriteByte('{')
		for i, e := range slices.SortedFunc(slices.Values(n.entries), func(a, b entry) int { return compare(a.key, b.key) }) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(quoteJSON(e.key))
			b.WriteByte(':')
			e.value.appendJSON(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString("null")
	}
}

func (n *node) json() json.RawMessage {
	var b bytes.Buffer
	n.appendJSON(&b)
	return b.Bytes()
}

func quoteJSON(text string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(fmt.Sprintf("a string does not encode to JSON: %v", err)) // encoding/json encodes every string
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
