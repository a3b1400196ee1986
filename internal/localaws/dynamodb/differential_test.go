package dynamodb

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestRandomCallsEndAsOnDynamoDBLocal makes the same random calls here and on AWS's own engine and compares the answers.
// It needs DynamoDB Local: STAMPMILL_DYNAMODB_LOCAL=http://127.0.0.1:8000.
func TestRandomCallsEndAsOnDynamoDBLocal(t *testing.T) {
	t.Parallel()
	url := os.Getenv("STAMPMILL_DYNAMODB_LOCAL")
	if url == "" {
		t.Skip("STAMPMILL_DYNAMODB_LOCAL does not name an endpoint")
	}
	for seed := range uint64(20) {
		random := caller{rand.New(rand.NewPCG(seed, 7))}
		table := fmt.Sprintf("random-%d-%d", os.Getpid(), seed)
		ours := newService(t, "")
		create := strings.ReplaceAll(tabDefinition, `"tab"`, `"`+table+`"`)
		must(t, ours, "CreateTable", create)
		if status, answer := postTo(t, url, "CreateTable", create); status != 200 {
			t.Fatalf("CreateTable: %s", answer)
		}
		for i := range 400 {
			action, text := random.call(table)
			status, answer := post(ours, action, text)
			theirStatus, theirAnswer := postTo(t, url, action, text)
			got, want := essence(t, answer), essence(t, theirAnswer)
			if status != theirStatus || !reflect.DeepEqual(got, want) {
				t.Errorf("seed %d, call %d: %s %s\n got %s\nwant %s", seed, i, action, text, answer, theirAnswer)
				break
			}
		}
		if status, answer := postTo(t, url, "DeleteTable", `{"TableName":"`+table+`"}`); status != 200 {
			t.Errorf("DeleteTable: %s", answer)
		}
	}
}

func postTo(t *testing.T, url, action, text string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "DynamoDB_20120810."+action)
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=key/20200101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=x")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// essence is the answer without what may differ: the words and namespaces of errors and the order of scans.
func essence(t *testing.T, answer string) any {
	t.Helper()
	var decoded map[string]any
	if err := json.Unmarshal([]byte(answer), &decoded); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if kind, ok := decoded["__type"].(string); ok {
		_, decoded["__type"], _ = strings.Cut(kind, "#")
	}
	delete(decoded, "message")
	delete(decoded, "Message")
	// DynamoDB Local tells of what a deletion of nothing consumed, though nobody asked.
	delete(decoded, "ConsumedCapacity")
	if reasons, ok := decoded["CancellationReasons"].([]any); ok {
		for _, r := range reasons {
			delete(r.(map[string]any), "Message")
			// AWS's service cancels with a reason where DynamoDB Local refuses the whole call.
			if r.(map[string]any)["Code"] == "ValidationError" {
				return map[string]any{"__type": "ValidationException"}
			}
		}
	}
	if items, ok := decoded["Items"].([]any); ok {
		slices.SortFunc(items, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return decoded
}

// caller draws calls.
type caller struct{ *rand.Rand }

func (r caller) pick(all ...string) string { return all[r.IntN(len(all))] }

func (r caller) key() string {
	return fmt.Sprintf(`"pk":{"S":%q},"sk":{"N":"%d"}`, r.pick("a", "b"), r.IntN(4)-1)
}

func (r caller) value() string {
	return r.pick(`{"S":"x"}`, `{"S":"xy"}`, `{"N":"1"}`, `{"N":"-2.5"}`, `{"N":"100"}`, `{"B":"AQI="}`, `{"BOOL":true}`, `{"NULL":true}`, `{"SS":["x","y"]}`, `{"NS":["1","2"]}`,
		`{"L":[{"N":"1"},{"S":"x"},{"L":[]}]}`, `{"M":{"a":{"N":"1"},"b":{"M":{"a":{"S":"x"}}}}}`, `{"L":[]}`, `{"M":{}}`)
}

func (r caller) path() string {
	return r.pick("a", "b", "c", "n", "l", "m", "#h", "m.a", "m.b.a", "l[0]", "l[2]", "l[5]", "m.#h", "a.b")
}

func (r caller) condition(depth int) string {
	if depth > 0 && r.IntN(3) == 0 {
		return r.pick("(%s) AND %s", "NOT (%s) OR %s", "%s OR NOT %s")
	}
	return r.pick("%p = :v", "%p <> :w", "%p < :n", ":n >= %p", "%p BETWEEN :m AND :n", "%p IN (:v, :w, :n)", "attribute_exists(%p)", "attribute_not_exists(%p)", "attribute_type(%p, :s)",
		"begins_with(%p, :x)", "contains(%p, :w)", "size(%p) > :m", "size(%p) <> :n", "%p = %p")
}

func (r caller) fill(text string, depth int) string {
	for strings.Contains(text, "%s") {
		text = strings.Replace(text, "%s", r.fill(r.condition(depth-1), depth-1), 1)
	}
	for strings.Contains(text, "%p") {
		text = strings.Replace(text, "%p", r.path(), 1)
	}
	return text
}

func (r caller) update() string {
	parts := []string{}
	for _, section := range []string{
		r.pick("", "SET %p = :v", "SET %p = %p, %p = :n", "SET %p = if_not_exists(%p, :m) + :n, %p = :w", "SET %p = list_append(%p, :l)", "SET %p = %p - :n", "SET gh = :x, gr = :n"),
		r.pick("", "", "REMOVE %p", "REMOVE %p, %p", "REMOVE gh"), r.pick("", "", "ADD %p :n", "ADD %p :ss"), r.pick("", "", "DELETE %p :ss"),
	} {
		if section != "" {
			parts = append(parts, r.fill(section, 0))
		}
	}
	if len(parts) == 0 {
		return "REMOVE zz"
	}
	return strings.Join(parts, " ")
}

// placeholders defines those that the expressions mention.
func (r caller) placeholders(expressions ...string) string {
	values := map[string]string{
		":v": r.value(), ":w": r.value(), ":n": `{"N":"2"}`, ":m": `{"N":"1"}`, ":s": `{"S":"` + r.pick("S", "N", "L") + `"}`, ":x": `{"S":"x"}`, ":l": `{"L":[{"S":"x"}]}`, ":ss": `{"SS":["x","z"]}`,
		":a": `{"S":"` + r.pick("a", "b") + `"}`,
	}
	var used []string
	names := ""
	for _, m := range lex(strings.Join(expressions, " ")).mentions().placeholders {
		if m == "#h" {
			names = `,"ExpressionAttributeNames":{"#h":"` + "hash" + `"}`
			continue
		}
		used = append(used, fmt.Sprintf("%q:%s", m, values[m]))
	}
	if used == nil {
		return names
	}
	return names + `,"ExpressionAttributeValues":{` + strings.Join(used, ",") + `}`
}

func (r caller) write(table, key string) (sort, text string) {
	condition, member := "", ""
	if r.IntN(2) == 0 {
		condition = r.fill(r.condition(2), 2)
		member = fmt.Sprintf(`,"ConditionExpression":%q,"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`, condition)
	}
	head := fmt.Sprintf(`"TableName":%q%s`, table, member)
	switch r.IntN(3) {
	case 0:
		attributes := ""
		for _, name := range []string{"a", "b", "c", "n", "l", "m", "hash"} {
			if r.IntN(2) == 0 {
				attributes += fmt.Sprintf(",%q:%s", name, r.value())
			}
		}
		if r.IntN(3) == 0 {
			attributes += `,"gh":{"S":"x"},"gr":{"N":"` + r.pick("1", "2") + `"}`
		}
		return "Put", head + `,"Item":{` + key + attributes + `}` + r.placeholders(condition)
	case 1:
		return "Delete", head + `,"Key":{` + key + `}` + r.placeholders(condition)
	}
	update := r.update()
	return "Update", head + `,"Key":{` + key + `},"UpdateExpression":"` + update + `"` + r.placeholders(condition, update)
}

func (r caller) call(table string) (action, text string) {
	switch r.IntN(8) {
	case 0:
		// Two actions on one item are refused at once by AWS's service, by DynamoDB Local only if nothing else is wrong.
		var actions []string
		for hash := range 1 + r.IntN(2) {
			sort, text := r.write(table, fmt.Sprintf(`"pk":{"S":%q},"sk":{"N":"%d"}`, []string{"a", "b"}[hash], r.IntN(4)-1))
			actions = append(actions, fmt.Sprintf("{%q:{%s}}", sort, text))
		}
		return "TransactWriteItems", `{"TransactItems":[` + strings.Join(actions, ",") + `]}`
	case 1:
		filter := r.fill(r.condition(2), 2)
		condition := r.pick("pk = :a", "pk = :a AND sk > :m", "pk = :a AND sk BETWEEN :m AND :n", "pk = :a AND sk < :n")
		return "Query", fmt.Sprintf(`{"TableName":%q,"ScanIndexForward":%t,"KeyConditionExpression":%q,"FilterExpression":%q%s}`, table, r.IntN(2) == 0, condition, filter, r.placeholders(condition, filter))
	case 2:
		filter := r.fill(r.condition(1), 1)
		return "Scan", fmt.Sprintf(`{"TableName":%q,"FilterExpression":%q%s}`, table, filter, r.placeholders(filter))
	case 3:
		projection := r.path() + ", " + r.path()
		return "GetItem", fmt.Sprintf(`{"TableName":%q,"Key":{%s},"ProjectionExpression":%q%s}`, table, r.key(), projection, r.placeholders(projection))
	case 4:
		return "Query", fmt.Sprintf(`{"TableName":%q,"IndexName":"gsi","KeyConditionExpression":"gh = :x"%s}`, table, r.placeholders(":x"))
	}
	sort, text := r.write(table, r.key())
	returned := r.pick("NONE", "ALL_OLD")
	if sort == "Update" {
		returned = r.pick("ALL_OLD", "ALL_NEW")
	}
	return sort + "Item", fmt.Sprintf(`{%s,"ReturnValues":%q}`, text, returned)
}
