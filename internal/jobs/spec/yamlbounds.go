package spec

import (
	"fmt"

	"github.com/goccy/go-yaml/token"
)

// The parser's time grows with the square of a mapping's or a list's length.
const (
	maxFields = 5000
	maxItems  = 20_000
	// maxPaths bounds, in bytes, the paths that it keeps of all values.
	maxPaths = 512 << 20
)

// bounds measures a document by its tokens, before the parser, which is recursive, sees it.
type bounds struct {
	line int
	// columns are where the blocks that are open begin.
	columns []int
	// fields and items count the lines of the mapping and of the list that are open at a column.
	fields, items map[int]int
	// flow counts the fields of each [ or { that is open.
	flow []int
}

// bound refuses documents that would take the parser too deep or too long.
func (r *yamlReader) bound(tokens token.Tokens) error {
	b := bounds{fields: map[int]int{}, items: map[int]int{}}
	var names, longest int
	for i, t := range tokens {
		if t.Type == token.MappingValueType && i > 0 {
			name := len(tokens[i-1].Value)
			if name > maxKey {
				return longKey(r.before+tokens[i-1].Position.Line, max(1, tokens[i-1].Position.Column))
			}
			names, longest = names+name, max(longest, name)
		}
		fields, items := b.see(t)
		switch {
		// A level of blocks may take two columns: the dash and the key.
		case len(b.flow) > MaxDepth || len(b.columns) > 2*MaxDepth:
			return r.fail(t, fmt.Sprintf("lists and mappings are nested at most %d deep", MaxDepth), "flatten it")
		case fields > maxFields:
			return r.fail(t, fmt.Sprintf("a mapping has at most %d fields", maxFields), "write it as JSON, or as a list")
		case items > maxItems:
			return r.fail(t, fmt.Sprintf("a list has at most %d items", maxItems), "write it as JSON")
		case i > 4*maxNodes:
			return r.fail(t, fmt.Sprintf("a document has at most %d values", maxNodes), "split it")
		}
		b.line = t.Position.Line
	}
	if min(names, MaxDepth*longest)*len(tokens) > maxPaths {
		return &syntax{r.before + 1, 1, "the names of fields are too long for a document with so many values", "use shorter names, or split it"}
	}
	return nil
}

// see takes the next token, and gives the number of fields of its mapping, or of items of its list, so far.
func (b *bounds) see(t *token.Token) (fields, items int) {
	switch t.Type {
	case token.CommentType:
		return 0, 0
	case token.MappingStartType, token.SequenceStartType:
		b.flow = append(b.flow, 0)
		return 0, 0
	case token.MappingEndType, token.SequenceEndType:
		b.flow = b.flow[:max(0, len(b.flow)-1)]
		return 0, 0
	}
	if last := len(b.flow) - 1; last >= 0 {
		if t.Type == token.MappingValueType {
			b.flow[last]++
		}
		return b.flow[last], 0
	}
	return b.seeBlock(t)
}

func (b *bounds) seeBlock(t *token.Token) (fields, items int) {
	first := t.Position.Line != b.line
	nests := t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType || t.Type == token.TagType ||
		t.Type == token.AnchorType || t.Type == token.MappingValueType
	if !first && !nests {
		return 0, 0
	}
	column := t.Position.Column
	for len(b.columns) > 0 && b.columns[len(b.columns)-1] >= column {
		if closed := b.columns[len(b.columns)-1]; closed > column {
			delete(b.fields, closed)
			delete(b.items, closed)
		}
		b.columns = b.columns[:len(b.columns)-1]
	}
	b.columns = append(b.columns, column)
	switch {
	case !first:
	case t.Type == token.SequenceEntryType:
		b.items[column]++
	default:
		b.fields[column]++
	}
	return b.fields[column], b.items[column]
}
