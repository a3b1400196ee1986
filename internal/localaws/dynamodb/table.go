package dynamodb

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/tidwall/btree"
)

// table holds a table's items in the order of their keys' places: first the hash of the hash key, which spreads the
// partitions as a scan meets them, then hash key and range key in their own order.
type table struct {
	tableSchema
	rows    btree.Map[string, *row]
	bytes   int
	indexes []*index
}

// row is an item with its place and size. It is replaced, never changed.
type row struct {
	place string
	item  Item
	size  int
}

// index holds the rows that have the index's key attributes, at the index key's place followed by the row's own.
type index struct {
	*indexSchema
	entries btree.Map[string, *row]
	bytes   int
}

func newTable(schema tableSchema) *table {
	t := &table{tableSchema: schema}
	t.resetIndexes()
	return t
}

// resetIndexes makes the indexes of the schema, keeping those that exist and filling those that do not.
func (t *table) resetIndexes() {
	existing := map[string]*index{}
	for _, x := range t.indexes {
		existing[x.Name] = x
	}
	t.indexes = nil
	for i := range t.Indexes {
		schema := &t.Indexes[i]
		x := existing[schema.Name]
		if x == nil {
			x = &index{indexSchema: schema}
			t.rows.Scan(func(_ string, r *row) bool {
				x.replace(t, nil, r)
				return true
			})
		}
		x.indexSchema = schema
		t.indexes = append(t.indexes, x)
	}
}

func (t *table) active(now time.Time) bool { return !now.Before(t.Active) }

func (t *table) index(name string) *index {
	for _, x := range t.indexes {
		if x.Name == name {
			return x
		}
	}
	return nil
}

// prefix is where all items with the hash key begin.
func prefix(hash Value) []byte {
	ordered := orderedBytes(make([]byte, 8, 64), hash)
	sum := fnv.New64a()
	sum.Write(ordered[8:])
	binary.BigEndian.PutUint64(ordered, mix(sum.Sum64()))
	return ordered
}

// mix spreads FNV's low bits, which differ, into the high ones, which part the segments of a scan.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// place is where an item with the key's attributes stands; ok is false if it lacks one.
func (k keySchema) place(item Item) (place []byte, ok bool) {
	hash := item[k.Hash]
	if hash == nil {
		return nil, false
	}
	place = prefix(hash)
	if k.Range == "" {
		return place, true
	}
	sort := item[k.Range]
	if sort == nil {
		return nil, false
	}
	return orderedBytes(place, sort), true
}

func (t *table) placeOf(key Item) string {
	place, _ := t.Key.place(key)
	return string(place)
}

func (x *index) placeOf(r *row) (string, bool) {
	place, ok := x.Key.place(r.item)
	if !ok {
		return "", false
	}
	return string(append(place, r.place...)), true
}

// at is the item at the place, nil if there is none.
func (t *table) at(place string) *row {
	r, _ := t.rows.Get(place)
	return r
}

// replace puts one row in the place of another, either of which may be nil, and gives the write units of the table and,
// by name, of the indexes.
func (t *table) replace(old, new *row) writeUnits {
	units := writeUnits{table: max(unitsOf(old.bytesOf()), unitsOf(new.bytesOf()))}
	switch {
	case new != nil:
		t.rows.Set(new.place, new)
	case old != nil:
		t.rows.Delete(old.place)
	}
	t.bytes += new.bytesOf() - old.bytesOf()
	for _, x := range t.indexes {
		if n := x.replace(t, old, new); n > 0 {
			if units.indexes == nil {
				units.indexes = map[string]float64{}
			}
			units.indexes[x.Name] = n
		}
	}
	return units
}

func (r *row) bytesOf() int {
	if r == nil {
		return 0
	}
	return r.size
}

// replace brings the index up to date. Nothing is written if what the index holds of the item stays the same; an item
// whose index key changes is deleted and put anew.
func (x *index) replace(t *table, old, new *row) float64 {
	var oldPlace, newPlace string
	var hadEntry, hasEntry bool
	if old != nil {
		oldPlace, hadEntry = x.placeOf(old)
	}
	if new != nil {
		newPlace, hasEntry = x.placeOf(new)
	}
	oldSize, newSize := 0, 0
	if hadEntry {
		oldSize = t.sizeIn(x.indexSchema, old)
	}
	if hasEntry {
		newSize = t.sizeIn(x.indexSchema, new)
	}
	if hadEntry && (!hasEntry || oldPlace != newPlace) {
		x.entries.Delete(oldPlace)
	}
	if hasEntry {
		x.entries.Set(newPlace, new)
	}
	x.bytes += newSize - oldSize
	switch {
	case hadEntry && hasEntry && oldPlace == newPlace:
		if t.sameIn(x.indexSchema, old.item, new.item) {
			return 0
		}
		return max(unitsOf(oldSize), unitsOf(newSize))
	case hadEntry && hasEntry:
		return unitsOf(oldSize) + unitsOf(newSize)
	case hadEntry:
		return unitsOf(oldSize)
	case hasEntry:
		return unitsOf(newSize)
	}
	return 0
}

// sizeIn is the size of what the index holds of the row.
func (t *table) sizeIn(x *indexSchema, r *row) int {
	if x.Projection == "ALL" {
		return r.size
	}
	total := 0
	for name, value := range r.item {
		if t.projects(x, name) {
			total += len(name) + value.size()
		}
	}
	return total
}

// sameIn says whether the index holds the same of both items.
func (t *table) sameIn(x *indexSchema, a, b Item) bool {
	for name, value := range a {
		if t.projects(x, name) && !equal(value, b[name]) {
			return false
		}
	}
	for name := range b {
		if a[name] == nil && t.projects(x, name) {
			return false
		}
	}
	return true
}
