package dynamodb

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"time"
)

func (q *reading) backfilling(x *index) bool { return time.Now().Before(x.Active) }

// span is a range of places: from low, included, to high, excluded; an empty high is no bound.
type span struct{ low, high string }

func (s span) contains(place string) bool {
	return place >= s.low && (s.high == "" || place < s.high)
}

// cover takes the whole tree, or a segment of it: an equal share of the hashes' range.
func (q *reading) cover() {
	if q.in.Segment == nil {
		return
	}
	total := uint64(*q.in.TotalSegments)
	start := func(segment uint64) string {
		if segment == 0 || segment == total {
			return ""
		}
		quotient, remainder := bits.Div64(segment, 0, total)
		if remainder > 0 {
			quotient++
		}
		return string(binary.BigEndian.AppendUint64(nil, quotient))
	}
	segment := uint64(*q.in.Segment)
	q.span = span{low: start(segment), high: start(segment + 1)}
}

// coverConditions takes the items with the hash key, as far as the condition on the range key lets it.
func (q *reading) coverConditions(key keySchema) error {
	var hash, sort *keyCondition
	for i := range q.keys {
		switch q.keys[i].attribute {
		case key.Hash:
			hash = &q.keys[i]
		case key.Range:
			sort = &q.keys[i]
		}
	}
	if hash == nil || len(q.keys) == 2 && sort == nil {
		missed := key.Hash
		if hash != nil {
			missed = key.Range
		}
		return invalid("Query condition missed key schema element: %s", missed)
	}
	if hash.operator != "=" {
		return invalid("Query key condition not supported")
	}
	for _, c := range q.keys {
		for _, value := range c.values {
			if value.kind() != key.typeOf(c.attribute) {
				return parameter("Condition parameter type does not match schema type")
			}
			if value.size() == 0 {
				return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s",
					longType(value), c.attribute)
			}
		}
	}
	at := prefix(hash.values[0])
	q.span = span{low: string(at), high: after(string(at))}
	if sort != nil {
		q.span = sort.span(at)
	}
	return nil
}

// span is the range that the condition leaves of the places that begin with the hash key's prefix. A place goes on
// behind the range key, in an index; no encoded key begins another one.
func (k *keyCondition) span(at []byte) span {
	whole := span{low: string(at), high: after(string(at))}
	encoded := func(v Value) string { return string(orderedBytes(slices.Clip(at), v)) }
	first := encoded(k.values[0])
	switch k.operator {
	case "=":
		return span{low: first, high: after(first)}
	case "<":
		return span{low: whole.low, high: first}
	case "<=":
		return span{low: whole.low, high: after(first)}
	case ">":
		return span{low: after(first), high: whole.high}
	case ">=":
		return span{low: first, high: whole.high}
	case "BETWEEN":
		return span{low: first, high: after(encoded(k.values[1]))}
	}
	// begins_with: the encoding without the two bytes that end a string.
	begin := strings.TrimSuffix(first, "\x00\x00")
	return span{low: begin, high: after(begin)}
}

// after is the first string that sorts behind all that begin with the prefix; empty if there is none.
func after(prefix string) string {
	bytes := []byte(prefix)
	for len(bytes) > 0 {
		last := len(bytes) - 1
		if bytes[last] < 0xff {
			bytes[last]++
			return string(bytes)
		}
		bytes = bytes[:last]
	}
	return ""
}

var errStartKey = invalid("The provided starting key is invalid")

// resume begins behind the ExclusiveStartKey.
func (q *reading) resume(key keySchema) error {
	given := q.in.ExclusiveStartKey
	if given == nil {
		return nil
	}
	expected := map[string]string{}
	for _, schema := range []keySchema{q.table.Key, key} {
		for _, name := range schema.attributes() {
			expected[name] = schema.typeOf(name)
		}
	}
	if len(given) != len(expected) {
		return errStartKey
	}
	for name, kind := range expected {
		if given[name] == nil || given[name].kind() != kind {
			return errStartKey
		}
	}
	place, _ := key.place(given)
	if q.index != nil {
		place = append(place, q.table.placeOf(given)...)
	}
	q.from = string(place)
	if !q.span.contains(q.from) {
		if q.name == "Scan" {
			return invalid("The provided starting key is outside the segment that is scanned")
		}
		return invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	return nil
}

// each calls visit with the rows of the span in the asked order, until it returns false.
func (q *reading) each(visit func(r *row) bool) {
	step := func(place string, r *row) bool {
		if place == q.from {
			return true
		}
		return q.span.contains(place) && visit(r)
	}
	if !q.in.Backward {
		q.rows.Ascend(max(q.span.low, q.from), step)
		return
	}
	pivot := q.from
	if pivot == "" {
		pivot = q.span.high
	}
	if pivot == "" {
		q.rows.Reverse(step)
		return
	}
	q.rows.Descend(pivot, func(place string, r *row) bool {
		return place == q.span.high || step(place, r)
	})
}

// page reads until the limit or 1 MB and writes the answer.
func (c *call) page(q *reading) error {
	in := q.in
	items := append([]byte(nil), '[')
	count, scanned, bytes := 0, 0, 0
	var last *row
	more := false
	q.each(func(r *row) bool {
		size := r.size
		if q.index != nil {
			size = q.table.sizeIn(q.index.indexSchema, r)
		}
		if scanned > 0 && bytes+size > maxPage {
			more = true
			return false
		}
		bytes += size
		scanned++
		last = r
		item := r.item
		if q.index != nil {
			item = q.table.projected(q.index.indexSchema, item)
		}
		if q.filter == nil || q.filter.holds(item) {
			if count > 0 {
				items = append(items, ',')
			}
			count++
			if q.paths != nil {
				item = project(item, q.paths)
			}
			if in.Select != "COUNT" {
				items = appendItem(items, item)
			}
		}
		more = in.Limit != nil && scanned == *in.Limit
		return !more
	})
	c.reply = append(c.reply, '{')
	if in.Select != "COUNT" {
		c.reply = append(append(append(c.reply, `"Items":`...), items...), `],`...)
	}
	c.reply = append(c.reply, `"Count":`...)
	c.reply = append(NumberOf(int64(count)).append(c.reply), `,"ScannedCount":`...)
	c.reply = NumberOf(int64(scanned)).append(c.reply)
	if more {
		c.reply = appendItem(append(c.reply, `,"LastEvaluatedKey":`...), q.keyOf(last))
	}
	units := readUnits(bytes, in.ConsistentRead)
	c.countRead(units)
	if q.index != nil {
		q.consumed.addIndex(q.index.Name, units)
	} else {
		q.consumed.own = units
	}
	return c.finish(q.consumed.answer(in.ReturnConsumedCapacity))
}

// keyOf is the key by which a later page begins behind the row.
func (q *reading) keyOf(r *row) Item {
	key := Item{}
	for _, name := range q.table.Key.attributes() {
		key[name] = r.item[name]
	}
	if q.index != nil {
		for _, name := range q.index.Key.attributes() {
			key[name] = r.item[name]
		}
	}
	return key
}
