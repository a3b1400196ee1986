package ec2

import (
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/state"
)

// Tag is a key with its value.
type Tag struct {
	Key   string `query:"Key" xml:"key" json:"k"`
	Value string `query:"Value" xml:"value" json:"v,omitempty"`
}

// base is what every record has.
type base struct {
	ID       string
	Account  string
	Region   string
	Sequence uint64
	Tags     []Tag `json:",omitempty"`
}

func (b *base) common() *base { return b }

// record is one thing that describes list.
type record interface {
	comparable
	common() *base
	// keys are what the record is indexed by besides its tags, as filter-name=value.
	keys() []string
}

// collection holds the records of one sort in one account and region (or one region, for what accounts share), in the
// order of their making, with indexes by tag and by keys so that a filter finds few among many.
type collection[T record] struct {
	table   *state.Table[T]
	byID    map[string]T
	order   []T
	index   map[string][]T
	indexed map[string][]string
}

func newCollection[T record](table *state.Table[T]) *collection[T] {
	return &collection[T]{table: table, byID: map[string]T{}, index: map[string][]T{}, indexed: map[string][]string{}}
}

func (c *collection[T]) get(id string) (T, bool) {
	r, ok := c.byID[id]
	return r, ok
}

// put stores a record that is new or was changed.
func (c *collection[T]) put(r T) {
	c.table.Put(r.common().ID, r)
	c.hold(r)
}

// hold takes a record that the table has already.
func (c *collection[T]) hold(r T) {
	id := r.common().ID
	if _, ok := c.byID[id]; !ok {
		c.order = insert(c.order, r)
	}
	c.byID[id] = r
	keys := indexKeys(r)
	old := c.indexed[id]
	if slices.Equal(old, keys) {
		return
	}
	for _, key := range old {
		if !slices.Contains(keys, key) {
			c.unindex(key, r)
		}
	}
	for _, key := range keys {
		if !slices.Contains(old, key) {
			c.index[key] = insert(c.index[key], r)
		}
	}
	c.indexed[id] = keys
}

func (c *collection[T]) remove(r T) {
	id := r.common().ID
	c.table.Delete(id)
	c.order = without(c.order, r)
	for _, key := range c.indexed[id] {
		c.unindex(key, r)
	}
	delete(c.indexed, id)
	delete(c.byID, id)
}

func (c *collection[T]) unindex(key string, r T) {
	if left := without(c.index[key], r); len(left) > 0 {
		c.index[key] = left
	} else {
		delete(c.index, key)
	}
}

// candidates are records among which are all that fit the filters: few, where an index helps.
func (c *collection[T]) candidates(filters []filter) []T {
	best, found := c.order, false
	for _, f := range filters {
		if !strings.HasPrefix(f.Name, "tag:") && !indexNames[f.Name] || slices.ContainsFunc(f.Values, hasWildcard) {
			continue
		}
		var some []T
		if len(f.Values) == 1 {
			some = c.index[f.Name+"="+f.Values[0]]
		} else {
			for _, value := range f.Values {
				some = append(some, c.index[f.Name+"="+value]...)
			}
			slices.SortFunc(some, bySequence)
			some = slices.Compact(some)
		}
		if !found || len(some) < len(best) {
			best, found = some, true
		}
	}
	return best
}

// indexNames are the filters that records' keys answer.
var indexNames = map[string]bool{
	"client-token": true, "reservation-id": true, "owner-id": true, "name": true, "instance-id": true,
	"attachment.instance-id": true, "spot-instance-request-id": true,
}

func indexKeys[T record](r T) []string {
	keys := r.keys()
	for _, tag := range r.common().Tags {
		keys = append(keys, "tag:"+tag.Key+"="+tag.Value)
	}
	return keys
}

func bySequence[T record](a, b T) int {
	switch x, y := a.common().Sequence, b.common().Sequence; {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func insert[T record](list []T, r T) []T {
	if len(list) == 0 || bySequence(list[len(list)-1], r) < 0 {
		return append(list, r)
	}
	at, found := slices.BinarySearchFunc(list, r, bySequence)
	if found {
		return list
	}
	return slices.Insert(list, at, r)
}

func without[T record](list []T, r T) []T {
	at, found := slices.BinarySearchFunc(list, r, bySequence)
	if !found {
		return list
	}
	return slices.Delete(list, at, at+1)
}
