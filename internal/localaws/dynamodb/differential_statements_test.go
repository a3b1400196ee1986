package dynamodb

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestDifferentialStatementsEndAsOnDynamoDBLocal runs random batches of INSERT and UPDATE statements here and on AWS's own engine
// and compares what each statement is answered, and what the tables hold.
func TestDifferentialStatementsEndAsOnDynamoDBLocal(t *testing.T) {
	t.Parallel()
	compareRandom(t, 8_000, (*caller).statementsOrLook)
}

func (c *caller) statementsOrLook() operation {
	c.names, c.values = map[string]string{}, nil
	switch c.IntN(12) {
	case 0, 1:
		return operation{action: "Scan", text: object(named(c.pick("@main", "@side")), `"ConsistentRead":true`), pages: true}
	case 2:
		return operation{action: "Query", text: object(named("@main"), `"IndexName":"all"`, `"KeyConditionExpression":"gh = :x"`, `"ExpressionAttributeValues":{":x":{"S":"x"}}`), pages: true}
	case 3, 4:
		return c.batchWrite()
	}
	return c.statements()
}

// statements draws a batch.
func (c *caller) statements() operation {
	var all, used []string
	count := 1 + c.IntN(4)
	if c.oneIn(200) {
		count = c.IntN(2) * 26
	}
	for range count {
		c.values = nil
		table := c.table()
		key := c.statementKey(table)
		item := table + strings.Join(key, " ")
		if slices.Contains(used, item) && !c.oneIn(8) {
			continue
		}
		used = append(used, item)
		var text string
		if c.oneIn(3) {
			text = c.insertStatement(table, key)
		} else {
			text = c.updateStatement(table, key)
		}
		if c.oneIn(40) {
			text = c.spoiledStatement(text)
		}
		members := []string{fmt.Sprintf(`"Statement":%q`, text)}
		if c.oneIn(80) && len(c.values) > 0 {
			c.values = c.values[1:]
		}
		if len(c.values) > 0 {
			members = append(members, `"Parameters":[`+strings.Join(c.values, ",")+`]`)
		}
		if c.oneIn(2) {
			members = append(members, `"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`)
		}
		all = append(all, object(members...))
	}
	return operation{action: "BatchExecuteStatement", text: object(`"Statements":[`+strings.Join(all, ",")+`]`, c.capacity())}
}

// statementKey gives the key's names and values by turns; the values are DynamoDB's JSON.
func (c *caller) statementKey(table string) []string {
	if table == "@side" {
		return []string{"id", fmt.Sprintf(`{"B":%q}`, c.pick("AQ==", "AgM=")), "ra", fmt.Sprintf(`{"S":%q}`, c.pick("x", "xy", "y", "é"))}
	}
	key := []string{"pk", fmt.Sprintf(`{"S":%q}`, c.pick("a", "b", "ü")), "sk", fmt.Sprintf(`{"N":"%d"}`, c.IntN(4)-1)}
	if c.oneIn(100) {
		key[3] = c.pick(`{"S":"1"}`, `{"N":"1.0"}`, `{"BOOL":true}`, `{"L":[]}`)
	}
	if c.oneIn(100) {
		key[1] = c.pick(`{"S":""}`, `{"N":"1"}`, fmt.Sprintf(`{"S":%q}`, strings.Repeat("x", 2049)))
	}
	if c.oneIn(100) {
		return key[:2]
	}
	return key
}

// given is the value as a parameter, or as a literal if it has one.
func (c *caller) given(value string) string {
	if c.oneIn(3) {
		if text, ok := strings.CutPrefix(value, `{"S":"`); ok && !strings.Contains(text, `\`) && len(text) < 100 {
			return "'" + strings.TrimSuffix(text, `"}`) + "'"
		}
		if text, ok := strings.CutPrefix(value, `{"N":"`); ok && strings.Trim(text, `-0123456789"}`) == "" && !strings.HasPrefix(text, "0") && !strings.HasPrefix(text, "-0") {
			return strings.TrimSuffix(text, `"}`)
		}
		switch value {
		case `{"BOOL":true}`:
			return c.pick("true", "TRUE")
		case `{"NULL":true}`:
			return c.pick("null", "NULL")
		}
	}
	c.values = append(c.values, value)
	return "?"
}

func (c *caller) insertStatement(table string, key []string) string {
	var members []string
	for i := 0; i < len(key); i += 2 {
		members = append(members, "'"+key[i]+"': "+c.given(key[i+1]))
	}
	for _, name := range []string{"a", "b", "n", "l", "m", "s", "a.b", "value"} {
		if c.oneIn(3) {
			members = append(members, "'"+name+"': "+c.given(c.good(func() string { return c.valueFor(name) })))
		}
	}
	if c.oneIn(2) {
		members = append(members, "'gh': "+c.given(c.pick(`{"S":"x"}`, `{"S":"y"}`)), "'gr': "+c.given(c.pick(`{"N":"1"}`, `{"N":"2"}`)))
	} else if c.oneIn(40) {
		members = append(members, "'gh': "+c.given(c.pick(`{"N":"1"}`, `{"S":""}`)))
	}
	if c.oneIn(100) {
		members = append(members, c.pick("'a': 1", "'': 1", "'large': '"+strings.Repeat("x", 100)+"'", "b: 1", "\"c\": 1", "'c': pk"))
	} else if c.oneIn(100) {
		members = append(members, "'large': "+c.given(`{"S":"`+strings.Repeat("x", 410_000)+`"}`))
	}
	return c.pick("INSERT INTO", "insert into") + ` "` + table + `" ` + c.pick("VALUE", "value") + " {" + strings.Join(members, ", ") + "}"
}

func (c *caller) valueFor(name string) string {
	switch {
	case name == "n":
		return c.number()
	case name == "l":
		return c.list()
	case name == "m":
		return c.object()
	case name == "s":
		return c.aSet()
	}
	return c.value()
}

func (c *caller) updateStatement(table string, key []string) string {
	text := c.pick("UPDATE", "update") + ` "` + table + `"`
	for first := true; first || c.oneIn(2); first = false {
		if c.oneIn(4) {
			text += c.pick(" REMOVE ", " remove ") + c.statementPath()
			continue
		}
		text += c.pick(" SET ", " set ") + c.setPart()
		for c.oneIn(4) {
			text += ", " + c.setPart()
		}
	}
	var conditions []string
	for i := 0; i < len(key); i += 2 {
		if c.oneIn(10) {
			conditions = append(conditions, c.given(key[i+1])+" = "+key[i])
		} else {
			conditions = append(conditions, key[i]+" = "+c.given(key[i+1]))
		}
	}
	if c.oneIn(60) {
		conditions = append(conditions, conditions[0])
		if c.values != nil && strings.Contains(conditions[0], "?") {
			c.values = append(c.values, key[1])
		}
	}
	for c.oneIn(2) {
		conditions = append(conditions, c.statementCondition(2))
	}
	where := strings.Join(conditions, c.pick(" AND ", " and "))
	if c.oneIn(100) {
		where = strings.Replace(where, "AND", "OR", 1)
	}
	return text + c.pick(" WHERE ", " where ") + where
}

func (c *caller) setPart() string {
	if c.oneIn(8) {
		if c.oneIn(2) {
			return "gh = " + c.given(c.pick(`{"S":"x"}`, `{"S":"y"}`, c.goodValue()))
		}
		return "gr = " + c.given(c.pick(`{"N":"1"}`, `{"N":"2"}`, c.goodValue()))
	}
	path := c.statementPath()
	switch c.IntN(8) {
	case 0:
		return path + " = " + c.statementPath()
	case 1:
		return path + " = n" + c.pick(" + ", " - ") + c.given(c.good(c.number))
	case 2:
		return path + " = " + c.statementOperand() + c.pick(" + ", " - ") + c.statementOperand()
	}
	return path + " = " + c.given(c.goodValue())
}

// goodValue draws a value that is well formed: of a wrong one and a wrong statement in one batch, AWS documents no order in which
// they are found.
func (c *caller) goodValue() string { return c.good(c.value) }

func (c *caller) good(draw func() string) string {
	for {
		value := draw()
		if _, err := (&reader{data: []byte(value)}).value(); err == nil {
			return value
		}
	}
}

func (c *caller) statementPath() string {
	switch {
	case c.oneIn(200):
		return c.pick("value", "user", "a..b", "l[x]", "'a'", "pk.a", "\"\"")
	case c.oneIn(30):
		return c.pick("pk", "sk", "gh", "gr", "id")
	}
	return c.pick("a", "b", "c", "n", "n", "l", "m", "s", "m.a", "m.b", "m.b.a", "l[0]", "l[1]", "l[5]", "l[0].a", "m.l[0]", `"a.b"`, `"value"`, `"m"."a"`, "A", "a_b", "name")
}

func (c *caller) statementOperand() string {
	if c.oneIn(2) {
		return c.statementPath()
	}
	return c.given(c.goodValue())
}

// statementCondition draws a condition of at most that many levels.
func (c *caller) statementCondition(depth int) string {
	if depth > 0 {
		switch c.IntN(7) {
		case 0:
			return "(" + c.statementCondition(depth-1) + c.pick(" AND ", " OR ") + c.statementCondition(depth-1) + ")"
		case 1:
			return "NOT " + c.statementCondition(depth-1)
		case 2:
			return "NOT (" + c.statementCondition(depth-1) + c.pick(" OR ", " and ") + c.statementCondition(depth-1) + ")"
		}
	}
	switch c.IntN(6) {
	case 0:
		return c.statementPath() + c.pick(" IS MISSING", " is missing", " IS NOT MISSING")
	case 1, 2:
		return c.statementPath() + c.pick(" = ", " <> ", " != ") + c.statementOperand()
	case 3:
		return c.pick("n", "a", "m.a") + c.pick(" < ", " <= ", " > ", " >= ") + c.given(c.good(c.scalar))
	case 4:
		return c.statementOperand() + c.pick(" < ", " <= ", " > ", " >= ", " = ") + c.statementOperand()
	}
	return c.pick("n", "a", "b") + " = " + c.given(c.good(c.scalar))
}

// spoiledStatement takes a word away from a statement, doubles one or puts a strange one in.
func (c *caller) spoiledStatement(text string) string {
	words := strings.Split(text, " ")
	at := c.IntN(len(words))
	switch c.IntN(3) {
	case 0:
		words = slices.Delete(words, at, at+1)
	case 1:
		words = slices.Insert(words, at, words[at])
	default:
		words = slices.Insert(words, at, c.pick("(", ")", ",", "[", "]", ".", "=", "AND", "or", "not", "SET", "REMOVE", "5", "%", "#", ":a", "value", "é", "'", "\"", "IS MISSING", "--", "/*", ";"))
	}
	return strings.Join(words, " ")
}

// statementDifferences are those of single statements, by what this endpoint says of one.
var statementDifferences = []struct{ word, message string }{{
	"Stricter on purpose: a parameter too many is a mistake. DynamoDB Local takes it.",
	"Number of parameters in request and statement don't match.",
}, {
	"Stricter on purpose: a list's index is a number. DynamoDB Local takes any expression, and then finds no such path.",
	"expected a list's index",
}, {
	"Of a path into a key and a condition that fails, AWS documents no order in which they are found.",
	"Key attributes must be scalars",
}}

// statementsHalfRun says whether DynamoDB Local has refused a batch for two statements on one item: it has run them all the same.
// A ValidationException is of a request that was not carried out (developer guide, Error handling), so this endpoint writes nothing.
func statementsHalfRun(o operation, want outcome) bool {
	return o.action == "BatchExecuteStatement" && want.status != 200 && strings.Contains(want.text, "contains duplicates")
}

// statementsListed says whether each statement that is answered differently is so in a known way.
func statementsListed(o operation, got, want outcome) bool {
	ours, answered := statementAnswers(got)
	theirs, both := statementAnswers(want)
	if o.action == "BatchExecuteStatement" && got.status != 200 && strings.Contains(got.text, "contains duplicates") {
		// Of two statements on one item and another fault of one of them, AWS documents no order in which they are found.
		return slices.ContainsFunc(theirs, func(e map[string]any) bool { return e["Code"] == "ValidationError" })
	}
	if o.action != "BatchExecuteStatement" || !answered || !both || len(ours) != len(theirs) {
		return false
	}
	for i := range ours {
		if fmt.Sprint(ours[i]["Code"]) == fmt.Sprint(theirs[i]["Code"]) {
			continue
		}
		message := fmt.Sprint(ours[i]["Message"])
		if !slices.ContainsFunc(statementDifferences, func(d struct{ word, message string }) bool { return strings.Contains(message, d.message) }) {
			return false
		}
	}
	return true
}

// statementAnswers are the errors of a batch's statements, nil for those that succeeded.
func statementAnswers(o outcome) ([]map[string]any, bool) {
	var answer struct {
		Responses []struct{ Error map[string]any }
	}
	if o.status != 200 || json.Unmarshal([]byte(o.text), &answer) != nil {
		return nil, false
	}
	all := make([]map[string]any, len(answer.Responses))
	for i, r := range answer.Responses {
		all[i] = r.Error
	}
	return all, true
}
