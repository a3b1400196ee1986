package dynamodb

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// The files in testdata hold what DynamoDB Local 2.6.1, AWS's own engine, answers to each expression: a line with the
// expression, then one with the outcome. They are read with these placeholders and this item.
const recordedItem = `{"pk":{"S":"a"},"sk":{"N":"1"},"s":{"S":"str"},"n":{"N":"5"},"l":{"L":[{"N":"1"},{"S":"x"},{"M":{"q":{"N":"1"}}}]},
"m":{"M":{"a":{"N":"1"},"b":{"M":{"c":{"N":"2"}}}}},"ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]},"bs":{"BS":["AQ==","Ag=="]},
"b":{"B":"AQI="},"nul":{"NULL":true},"bo":{"BOOL":true}}`

const recordedValues = `{":s":{"S":"str"},":n":{"N":"5"},":m":{"N":"1"},":l":{"L":[{"N":"9"}]},":ss":{"SS":["a","z"]},":ns":{"NS":["2","3"]},
":map":{"M":{"a":{"N":"1"}}},":b":{"B":"AQI="},":nul":{"NULL":true},":t":{"BOOL":true},":e":{"S":""},":ty":{"S":"S"},":bs":{"BS":["AQ==","Aw=="]}}`

var recordedNames = map[string]string{"#s": "s", "#m": "m", "#pk": "pk", "#d": "a.b", "#st": "status"}

type recorded struct{ expression, outcome string }

func recordings(t *testing.T, name string) []recorded {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		if outcome, ok := strings.CutPrefix(entry, "\t"); ok && all[len(all)-1].outcome == "" {
			all[len(all)-1].outcome = outcome
			continue
		}
		if len(all) > 0 && all[len(all)-1].outcome == "" {
			all[len(all)-1].expression += "\n" + entry
			continue
		}
		all = append(all, recorded{expression: entry})
	}
	return all
}

func itemOf(t testing.TB, text string) Item {
	t.Helper()
	var item Item
	if err := item.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return item
}

// body is a request with the expression and the placeholders that it mentions.
func body(t *testing.T, member, expression, more string) string {
	t.Helper()
	values, names := Item{}, []string{}
	used := lex(expression).mentions().placeholders
	all := itemOf(t, recordedValues)
	for _, placeholder := range used {
		if value := all[placeholder]; value != nil {
			values[placeholder] = value
		}
	}
	for _, placeholder := range slices.Sorted(maps.Keys(recordedNames)) {
		if slices.Contains(used, placeholder) {
			names = append(names, fmt.Sprintf("%q:%q", placeholder, recordedNames[placeholder]))
		}
	}
	text := []byte(`{"TableName":"tab",`)
	text = appendString(append(appendString(text, member), ':'), expression)
	if len(values) > 0 && member != "ProjectionExpression" {
		text = appendItem(append(text, `,"ExpressionAttributeValues":`...), values)
	}
	if len(names) > 0 {
		text = append(text, `,"ExpressionAttributeNames":{`+strings.Join(names, ",")+`}`...)
	}
	return string(text) + more + "}"
}

const tabDefinition = `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],
"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"N"},{"AttributeName":"gh","AttributeType":"S"},{"AttributeName":"gr","AttributeType":"N"}],
"GlobalSecondaryIndexes":[{"IndexName":"gsi","KeySchema":[{"AttributeName":"gh","KeyType":"HASH"},{"AttributeName":"gr","KeyType":"RANGE"}],"Projection":{"ProjectionType":"KEYS_ONLY"}}]}`

// tab is a service with the recordings' table.
func tab(t testing.TB) *Service {
	t.Helper()
	s := newService(t, "")
	must(t, s, "CreateTable", tabDefinition)
	return s
}

func must(t testing.TB, s *Service, action, text string) string {
	t.Helper()
	status, answer := post(s, action, text)
	if status != 200 {
		t.Fatalf("%s %s: %s", action, text, answer)
	}
	return answer
}

func message(t *testing.T, answer string) string {
	t.Helper()
	r := &reader{data: []byte(answer)}
	found := ""
	err := r.object(func(name string) error {
		text, err := r.string()
		if name == "message" {
			found = text
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return found
}

const recordedKey = `,"Key":{"pk":{"S":"a"},"sk":{"N":"1"}}`

func TestConditionsHaveTheOutcomesOfAWS(t *testing.T) {
	t.Parallel()
	s := tab(t)
	for _, r := range recordings(t, "conditions") {
		must(t, s, "PutItem", `{"TableName":"tab","Item":`+recordedItem+`}`)
		status, answer := post(s, "DeleteItem", body(t, "ConditionExpression", r.expression, recordedKey))
		outcome := "true"
		switch {
		case strings.Contains(answer, "ConditionalCheckFailedException"):
			outcome = "false"
		case status != 200:
			outcome = "error: " + message(t, answer)
		}
		if outcome != r.outcome {
			t.Errorf("%s\n got %s\nwant %s", r.expression, outcome, r.outcome)
		}
	}
}

func TestUpdatesHaveTheOutcomesOfAWS(t *testing.T) {
	t.Parallel()
	s := tab(t)
	for _, r := range recordings(t, "updates") {
		must(t, s, "PutItem", `{"TableName":"tab","Item":`+recordedItem+`}`)
		status, answer := post(s, "UpdateItem", body(t, "UpdateExpression", r.expression, recordedKey))
		if status != 200 {
			if outcome := "error: " + message(t, answer); outcome != r.outcome {
				t.Errorf("%s\n got %s\nwant %s", r.expression, outcome, r.outcome)
			}
			continue
		}
		if strings.HasPrefix(r.outcome, "error") {
			t.Errorf("%s is accepted, want %s", r.expression, r.outcome)
			continue
		}
		// DynamoDB Local answers UPDATED_NEW with whole attributes: so each of them must stand in the item like this.
		after := itemOf(t, strings.TrimSuffix(strings.TrimPrefix(must(t, s, "GetItem", `{"TableName":"tab"`+recordedKey+`}`), `{"Item":`), "}"))
		for name, want := range itemOf(t, r.outcome) {
			if !equal(after[name], want) {
				t.Errorf("%s\n got %s = %s\nwant %s", r.expression, name, appendItem(nil, Item{name: after[name]}), r.outcome)
			}
		}
	}
}

func TestProjectionsHaveTheOutcomesOfAWS(t *testing.T) {
	t.Parallel()
	s := tab(t)
	must(t, s, "PutItem", `{"TableName":"tab","Item":`+recordedItem+`}`)
	for _, r := range recordings(t, "projections") {
		status, answer := post(s, "GetItem", body(t, "ProjectionExpression", r.expression, recordedKey))
		want := `{"Item":` + r.outcome + `}`
		if status != 200 {
			answer, want = "error: "+message(t, answer), r.outcome
		}
		if answer != want {
			t.Errorf("%s\n got %s\nwant %s", r.expression, answer, want)
		}
	}
}

// betterWords are messages in which AWS's service and its DynamoDB Local differ.
var betterWords = map[string]string{
	"sk = :n":            "Query condition missed key schema element: pk",
	"pk = :s and n = :n": "Query condition missed key schema element: sk",
	"pk.a = :s":          "KeyConditionExpressions cannot have conditions on nested attributes",
}

func TestKeyConditionsHaveTheOutcomesOfAWS(t *testing.T) {
	t.Parallel()
	s := tab(t)
	for _, r := range recordings(t, "keyconditions") {
		status, answer := post(s, "Query", body(t, "KeyConditionExpression", r.expression, ""))
		outcome := "accepted"
		if status != 200 {
			outcome = "error: " + message(t, answer)
		}
		want := r.outcome
		if better := betterWords[r.expression]; better != "" {
			want = "error: " + better
		}
		if outcome != want {
			t.Errorf("%s\n got %s\nwant %s", r.expression, outcome, want)
		}
	}
}
