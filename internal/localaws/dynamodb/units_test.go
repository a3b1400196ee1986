package dynamodb

import (
	"fmt"
	"strings"
	"testing"
)

func TestWritesAreBilledAsAWSBillsThem(t *testing.T) {
	t.Parallel()
	s := tab(t)
	update := func(expression, values string) string {
		return `{"TableName":"tab"` + recordedKey + `,"UpdateExpression":"` + expression + `","ExpressionAttributeValues":{` + values + `}}`
	}
	long := func(bytes int) string { return `":v":{"S":"` + strings.Repeat("x", bytes) + `"}` }
	for _, c := range []struct {
		what, action, body string
		want               Units
	}{
		{"a new item of 2.5 KB", "UpdateItem", update("SET v = :v", long(2500)), Units{TableWrites: 3}},
		{"the larger of old and new", "UpdateItem", update("SET v = :v", long(10)), Units{TableWrites: 3}},
		{"an item that enters an index", "UpdateItem", update("SET gh = :h, gr = :r", `":h":{"S":"x"},":r":{"N":"1"}`), Units{TableWrites: 1, IndexWrites: 1}},
		{"an attribute that the index does not hold", "UpdateItem", update("SET v = :v", long(20)), Units{TableWrites: 1}},
		{"an index key that changes: delete and put", "UpdateItem", update("SET gr = :r", `":r":{"N":"2"}`), Units{TableWrites: 1, IndexWrites: 2}},
		{"a condition that fails", "UpdateItem", `{"TableName":"tab"` + recordedKey + `,"UpdateExpression":"REMOVE v","ConditionExpression":"attribute_not_exists(pk)"}`, Units{TableWrites: 1}},
		{"a transaction costs twice", "TransactWriteItems", `{"TransactItems":[{"Update":` + update("SET gr = :r", `":r":{"N":"3"}`) + `}]}`, Units{TableWrites: 2, IndexWrites: 4}},
		{"a read that may be stale", "GetItem", `{"TableName":"tab"` + recordedKey + `}`, Units{Reads: 0.5}},
		{"a consistent read", "GetItem", `{"TableName":"tab","ConsistentRead":true` + recordedKey + `}`, Units{Reads: 1}},
		{"a read in a transaction", "TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"tab"` + recordedKey + `}}]}`, Units{Reads: 2}},
		{"an item that leaves the index", "UpdateItem", `{"TableName":"tab"` + recordedKey + `,"UpdateExpression":"REMOVE gh"}`, Units{TableWrites: 1, IndexWrites: 1}},
		{"a delete", "DeleteItem", `{"TableName":"tab"` + recordedKey + `}`, Units{TableWrites: 1}},
		{"a delete of nothing", "DeleteItem", `{"TableName":"tab"` + recordedKey + `}`, Units{TableWrites: 1}},
	} {
		s.ResetUnits()
		status, answer := post(s, c.action, c.body)
		if status != 200 && !strings.Contains(answer, "ConditionalCheckFailed") {
			t.Fatalf("%s: %s", c.what, answer)
		}
		if got := s.Units(); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.what, got, c.want)
		}
	}
}

func TestConsumedCapacityIsToldInTheDetailAskedFor(t *testing.T) {
	t.Parallel()
	s := tab(t)
	for detail, want := range map[string]string{
		"NONE":    `{}`,
		"TOTAL":   `{"ConsumedCapacity":{"CapacityUnits":2,"TableName":"tab"}}`,
		"INDEXES": `{"ConsumedCapacity":{"CapacityUnits":2,"GlobalSecondaryIndexes":{"gsi":{"CapacityUnits":1}},"Table":{"CapacityUnits":1},"TableName":"tab"}}`,
	} {
		got := must(t, s, "PutItem", fmt.Sprintf(`{"TableName":"tab","ReturnConsumedCapacity":%q,"Item":{"pk":{"S":%q},"sk":{"N":"1"},"gh":{"S":"a"},"gr":{"N":"1"}}}`, detail, detail))
		if got != want {
			t.Errorf("%s: got %s, want %s", detail, got, want)
		}
	}
}

// The sizes were found with DynamoDB Local: the largest string that still fits beside the key.
func TestAnItemHoldsExactly400KB(t *testing.T) {
	t.Parallel()
	s := tab(t)
	putting := func(bytes int) string {
		return `{"TableName":"tab","Item":{"pk":{"S":"a"},"sk":{"N":"1"},"v":{"S":"` + strings.Repeat("x", bytes) + `"}}}`
	}
	must(t, s, "PutItem", putting(409600-8))
	if status, answer := post(s, "PutItem", putting(409600-7)); status != 400 || !strings.Contains(answer, "Item size has exceeded the maximum allowed size") {
		t.Errorf("got %d %.200s", status, answer)
	}
	grow := `{"TableName":"tab"` + recordedKey + `,"UpdateExpression":"SET w = :w","ExpressionAttributeValues":{":w":{"S":""}}}`
	if status, answer := post(s, "UpdateItem", grow); status != 400 || !strings.Contains(answer, "Item size to update has exceeded the maximum allowed size") {
		t.Errorf("got %d %.200s", status, answer)
	}
}
