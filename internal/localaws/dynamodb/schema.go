package dynamodb

import (
	"slices"
	"time"
)

// keySchema names the attributes of a table's or an index's key and their types (S, N, B).
type keySchema struct {
	Hash      string `json:"hash"`
	HashType  string `json:"hashType"`
	Range     string `json:"range,omitempty"`
	RangeType string `json:"rangeType,omitempty"`
}

// attributes are the key's attributes, the hash key first.
func (k keySchema) attributes() []string {
	if k.Range == "" {
		return []string{k.Hash}
	}
	return []string{k.Hash, k.Range}
}

func (k keySchema) typeOf(attribute string) string {
	switch attribute {
	case k.Hash:
		return k.HashType
	case k.Range:
		return k.RangeType
	}
	return ""
}

// indexSchema describes a global secondary index.
type indexSchema struct {
	Name       string    `json:"name"`
	Key        keySchema `json:"key"`
	Projection string    `json:"projection"` // ALL, KEYS_ONLY, INCLUDE
	Include    []string  `json:"include,omitempty"`
	Active     time.Time `json:"active"`
}

// tableSchema is the record that is kept of a table.
type tableSchema struct {
	Account            string            `json:"account"`
	Region             string            `json:"region"`
	Name               string            `json:"name"`
	ID                 string            `json:"id"`
	Key                keySchema         `json:"key"`
	Indexes            []indexSchema     `json:"indexes,omitempty"`
	Created            time.Time         `json:"created"`
	Active             time.Time         `json:"active"`
	OnDemand           bool              `json:"onDemand"`
	Throughput         *throughput       `json:"throughput,omitempty"`
	DeletionProtection bool              `json:"deletionProtection,omitempty"`
	Backups            bool              `json:"backups,omitempty"`
	ExpiryAttribute    string            `json:"expiryAttribute,omitempty"`
	Tags               map[string]string `json:"tags,omitempty"`
}

type throughput struct {
	ReadCapacityUnits  int64
	WriteCapacityUnits int64
}

func (t *tableSchema) id() string { return tableID(t.Account, t.Region, t.Name) }

func tableID(account, region, name string) string { return account + "/" + region + "/" + name }

func (t *tableSchema) arn() string {
	return "arn:aws:dynamodb:" + t.Region + ":" + t.Account + ":table/" + t.Name
}

func (t *tableSchema) isKey(attribute string) bool {
	return slices.Contains(t.Key.attributes(), attribute)
}

// projects says whether the index holds the attribute.
func (t *tableSchema) projects(x *indexSchema, attribute string) bool {
	return x.Projection == "ALL" || slices.Contains(x.Include, attribute) || x.Key.typeOf(attribute) != "" || t.isKey(attribute)
}

// projected is what the index holds of the item.
func (t *tableSchema) projected(x *indexSchema, item Item) Item {
	if x.Projection == "ALL" {
		return item
	}
	part := Item{}
	for name, value := range item {
		if t.projects(x, name) {
			part[name] = value
		}
	}
	return part
}

// checkKeyPaths refuses paths into key attributes, those of the indexes included.
func (t *tableSchema) checkKeyPaths(paths []path) error {
	for _, p := range paths {
		if len(p) == 1 {
			continue
		}
		sort := ""
		if t.isKey(p[0].name) {
			sort = "Key"
		} else if slices.ContainsFunc(t.Indexes, func(x indexSchema) bool { return x.Key.typeOf(p[0].name) != "" }) {
			sort = "IndexKey"
		}
		if sort != "" {
			return invalid("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: %s: %s", sort, p[0].name)
		}
	}
	return nil
}

// checkItem checks the keys of an item that is to be stored, those of the indexes included.
func (t *tableSchema) checkItem(item Item) error {
	for _, name := range t.Key.attributes() {
		value := item[name]
		if value == nil {
			return parameter("Missing the key %s in the item", name)
		}
		if expected := t.Key.typeOf(name); value.kind() != expected {
			return parameter("Type mismatch for key %s expected: %s actual: %s", name, expected, value.kind())
		}
		if err := t.checkKeyValue(name, value); err != nil {
			return err
		}
	}
	return t.checkIndexKeys(item, false)
}

func (t *tableSchema) checkIndexKeys(item Item, update bool) error {
	intro := "A value specified for a secondary index key is not supported. "
	if update {
		intro = "The update expression attempted to update a secondary index key to a value that is not supported. "
	}
	for i := range t.Indexes {
		x := &t.Indexes[i]
		for _, name := range x.Key.attributes() {
			value := item[name]
			if value == nil {
				continue
			}
			if expected := x.Key.typeOf(name); value.kind() != expected {
				if update {
					return invalid("The update expression attempted to update the secondary index key to unsupported type")
				}
				return parameter("Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", name, expected, value.kind(), x.Name)
			}
			if value.size() == 0 {
				return invalid("One or more parameter values are not valid. %sThe AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s",
					intro, longType(value), x.Name, name)
			}
		}
	}
	return nil
}

const (
	maxHashKey  = 2048
	maxRangeKey = 1024
	maxItem     = 400 * 1024
)

func (t *tableSchema) checkKeyValue(name string, value Value) error {
	switch size := value.size(); {
	case size == 0:
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s",
			longType(value), name)
	case name == t.Key.Hash && size > maxHashKey:
		return parameter("Size of hashkey has exceeded the maximum size limit of2048 bytes")
	case name != t.Key.Hash && size > maxRangeKey:
		return parameter("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	}
	return nil
}

func longType(v Value) string {
	if v.kind() == "B" {
		return "binary"
	}
	return "string"
}

var errKeySchema = invalid("The provided key element does not match the schema")

// checkKey checks a Key parameter: the key's attributes, and nothing else.
func (t *tableSchema) checkKey(key Item) error {
	names := t.Key.attributes()
	if len(key) != len(names) {
		return errKeySchema
	}
	for _, name := range names {
		value := key[name]
		if value == nil || value.kind() != t.Key.typeOf(name) {
			return errKeySchema
		}
		if err := t.checkKeyValue(name, value); err != nil {
			return err
		}
	}
	return nil
}
