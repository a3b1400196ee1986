package dynamodb

import (
	"maps"
	"slices"
	"time"
)

// describe is the TableDescription.
func (t *table) describe() map[string]any {
	now := time.Now()
	status := "ACTIVE"
	if !t.active(now) {
		status = "CREATING"
	}
	var indexes []map[string]any
	for _, x := range t.indexes {
		index := t.describeIndex(x, now)
		if status == "ACTIVE" && index["IndexStatus"] != "ACTIVE" {
			status = "UPDATING"
		}
		indexes = append(indexes, index)
	}
	description := map[string]any{
		"TableName":                 t.Name,
		"TableId":                   t.ID,
		"TableArn":                  t.arn(),
		"TableStatus":               status,
		"CreationDateTime":          seconds(t.Created),
		"AttributeDefinitions":      t.definitions(),
		"KeySchema":                 t.Key.describe(),
		"TableSizeBytes":            t.bytes,
		"ItemCount":                 t.rows.Len(),
		"ProvisionedThroughput":     t.describeThroughput(),
		"DeletionProtectionEnabled": t.DeletionProtection,
	}
	if indexes != nil {
		description["GlobalSecondaryIndexes"] = indexes
	}
	if t.OnDemand {
		description["BillingModeSummary"] = map[string]any{"BillingMode": "PAY_PER_REQUEST", "LastUpdateToPayPerRequestDateTime": seconds(t.Created)}
	}
	return description
}

func (t *table) describeIndex(x *index, now time.Time) map[string]any {
	index := map[string]any{
		"IndexName":             x.Name,
		"IndexArn":              t.arn() + "/index/" + x.Name,
		"IndexStatus":           "ACTIVE",
		"KeySchema":             x.Key.describe(),
		"Projection":            projectionInput{ProjectionType: x.Projection, NonKeyAttributes: x.Include},
		"IndexSizeBytes":        x.bytes,
		"ItemCount":             x.entries.Len(),
		"ProvisionedThroughput": t.describeThroughput(),
	}
	if now.Before(x.Active) {
		index["IndexStatus"] = "CREATING"
		if t.active(now) {
			index["Backfilling"] = true
		}
	}
	return index
}

func (t *table) describeThroughput() map[string]any {
	read, write := int64(0), int64(0)
	if t.Throughput != nil && !t.OnDemand {
		read, write = t.Throughput.ReadCapacityUnits, t.Throughput.WriteCapacityUnits
	}
	return map[string]any{"NumberOfDecreasesToday": 0, "ReadCapacityUnits": read, "WriteCapacityUnits": write}
}

func (k keySchema) describe() []keyElement {
	elements := []keyElement{{AttributeName: k.Hash, KeyType: "HASH"}}
	if k.Range != "" {
		elements = append(elements, keyElement{AttributeName: k.Range, KeyType: "RANGE"})
	}
	return elements
}

// types are the attributes of all keys with their types.
func (t *tableSchema) types() map[string]string {
	types := map[string]string{}
	keys := []keySchema{t.Key}
	for _, x := range t.Indexes {
		keys = append(keys, x.Key)
	}
	for _, k := range keys {
		for _, name := range k.attributes() {
			types[name] = k.typeOf(name)
		}
	}
	return types
}

func (t *tableSchema) definitions() []attributeDefinition {
	types := t.types()
	var definitions []attributeDefinition
	for _, name := range slices.Sorted(maps.Keys(types)) {
		definitions = append(definitions, attributeDefinition{AttributeName: name, AttributeType: types[name]})
	}
	return definitions
}

func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }
