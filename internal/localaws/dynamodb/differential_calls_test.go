package dynamodb

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

const (
	mainDefinition = `{"TableName":"@main","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],
"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"N"},{"AttributeName":"gh","AttributeType":"S"},{"AttributeName":"gr","AttributeType":"N"}],
"GlobalSecondaryIndexes":[
{"IndexName":"all","KeySchema":[{"AttributeName":"gh","KeyType":"HASH"},{"AttributeName":"gr","KeyType":"RANGE"}],"Projection":{"ProjectionType":"ALL"}},
{"IndexName":"keys","KeySchema":[{"AttributeName":"gh","KeyType":"HASH"}],"Projection":{"ProjectionType":"KEYS_ONLY"}},
{"IndexName":"some","KeySchema":[{"AttributeName":"gr","KeyType":"HASH"},{"AttributeName":"pk","KeyType":"RANGE"}],"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["a","m"]}}]}`
	sideDefinition = `{"TableName":"@side","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"id","KeyType":"HASH"},{"AttributeName":"ra","KeyType":"RANGE"}],
"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"B"},{"AttributeName":"ra","AttributeType":"S"}]}`
)

// caller draws calls. What an expression mentions is collected for the call's placeholders.
type caller struct {
	*rand.Rand
	names  map[string]string
	values []string
	// tokens are the transactions that were sent with a client token.
	tokens []operation
}

func (c *caller) oneIn(n int) bool { return c.IntN(n) == 0 }

func (c *caller) pick(all ...string) string { return all[c.IntN(len(all))] }

// operation draws a call.
func (c *caller) operation() operation {
	c.names, c.values = map[string]string{}, nil
	switch c.IntN(16) {
	case 0, 1:
		return c.transaction()
	case 2, 3:
		return c.query()
	case 4:
		return c.scan()
	case 5:
		return c.get()
	case 6:
		return c.batchWrite()
	case 7:
		return c.batchGet()
	case 8:
		return c.transactGet()
	}
	table := c.table()
	sort, members := c.write(table, c.key(table))
	returned := c.pick("NONE", "ALL_OLD")
	if sort == "Update" {
		returned = c.pick("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
	}
	if c.oneIn(60) {
		returned = c.pick("ALL_NEW", "UPDATED_NEW", "EVERYTHING")
	}
	return operation{action: sort + "Item", text: object(members, fmt.Sprintf(`"ReturnValues":%q`, returned), c.capacity())}
}

// object joins the members that are not empty.
func object(members ...string) string {
	given := slices.DeleteFunc(members, func(m string) bool { return m == "" })
	return "{" + strings.Join(given, ",") + "}"
}

func (c *caller) capacity() string {
	if c.oneIn(6) {
		return fmt.Sprintf(`"ReturnConsumedCapacity":%q`, c.pick("TOTAL", "INDEXES", "NONE"))
	}
	return ""
}

func (c *caller) table() string {
	if c.oneIn(300) {
		return "no-such-table"
	}
	if c.oneIn(4) {
		return "@side"
	}
	return "@main"
}

func named(table string) string { return fmt.Sprintf(`"TableName":%q`, table) }

// key is the members of a key of the table, seldom a wrong one.
func (c *caller) key(table string) string {
	hash, sort := fmt.Sprintf(`"pk":{"S":%q}`, c.pick("a", "b", "ü")), fmt.Sprintf(`"sk":{"N":"%d"}`, c.IntN(4)-1)
	if table == "@side" {
		hash, sort = fmt.Sprintf(`"id":{"B":%q}`, c.pick("AQ==", "AgM=")), fmt.Sprintf(`"ra":{"S":%q}`, c.pick("x", "xy", "xyz", "y", "é"))
	}
	if !c.oneIn(80) {
		return hash + "," + sort
	}
	return c.pick(hash, sort, hash+`,"sk":{"S":"1"},"ra":{"N":"1"}`, `"pk":{"S":""},"id":{"B":""},`+sort, hash+","+sort+`,"zz":{"S":"x"}`, `"pk":{"N":"1"},`+sort, "")
}

// write draws the members of a put, an update or a delete that all its forms have.
func (c *caller) write(table, key string) (sort, members string) {
	all := []string{named(table)}
	if c.oneIn(2) {
		all = append(all, c.member("ConditionExpression", c.condition(3)))
		if c.oneIn(2) {
			all = append(all, `"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`)
		}
	}
	switch c.IntN(5) {
	case 0, 1:
		sort = "Put"
		all = append(all, `"Item":`+c.item(key))
	case 2:
		sort = "Delete"
		all = append(all, `"Key":{`+key+`}`)
	default:
		sort = "Update"
		all = append(all, `"Key":{`+key+`}`)
		if !c.oneIn(40) {
			all = append(all, c.member("UpdateExpression", c.update()))
		}
	}
	return sort, strings.Join(append(all, c.placeholders()...), ",")
}

// transaction draws a TransactWriteItems, or sends one again under its token, as it was or changed.
func (c *caller) transaction() operation {
	if len(c.tokens) > 0 && c.oneIn(6) {
		again := c.tokens[c.IntN(len(c.tokens))]
		if c.oneIn(3) {
			again.text = strings.Replace(again.text, `"x"`, `"changed"`, 1)
		}
		return again
	}
	var actions []string
	used := map[string]bool{}
	for range 1 + c.IntN(4) {
		c.names, c.values = map[string]string{}, nil
		table := c.table()
		key := c.key(table)
		// Two actions on one item are refused at once by AWS's service, by DynamoDB Local only if nothing else is wrong.
		if used[table+key] {
			continue
		}
		used[table+key] = true
		sort, members := c.write(table, key)
		if c.oneIn(5) {
			c.names, c.values = map[string]string{}, nil
			sort = "ConditionCheck"
			members = strings.Join(append([]string{named(table), `"Key":{` + key + `}`, c.member("ConditionExpression", c.condition(2))}, c.placeholders()...), ",")
		}
		actions = append(actions, fmt.Sprintf("{%q:{%s}}", sort, members))
	}
	o := operation{action: "TransactWriteItems"}
	token := ""
	if c.oneIn(3) {
		token = fmt.Sprintf(`"ClientRequestToken":"%d-@token"`, len(c.tokens))
	}
	o.text = object(`"TransactItems":[`+strings.Join(actions, ",")+`]`, token, c.capacity())
	if token != "" {
		c.tokens = append(c.tokens, o)
	}
	return o
}

func (c *caller) get() operation {
	table := c.table()
	members := []string{named(table), `"Key":{` + c.key(table) + `}`, c.capacity()}
	if c.oneIn(2) {
		members = append(members, c.member("ProjectionExpression", c.projection()))
	}
	if c.oneIn(3) {
		members = append(members, `"ConsistentRead":true`)
	}
	return operation{action: "GetItem", text: object(append(members, c.placeholders()...)...)}
}

func (c *caller) transactGet() operation {
	var gets []string
	for range 1 + c.IntN(4) {
		c.names, c.values = map[string]string{}, nil
		table := c.table()
		members := []string{named(table), `"Key":{` + c.key(table) + `}`}
		if c.oneIn(2) {
			members = append(members, c.member("ProjectionExpression", c.projection()))
		}
		gets = append(gets, `{"Get":`+object(append(members, c.placeholders()...)...)+`}`)
	}
	return operation{action: "TransactGetItems", text: object(`"TransactItems":[`+strings.Join(gets, ",")+`]`, c.capacity())}
}

func (c *caller) batchGet() operation {
	var tables []string
	for _, table := range []string{"@main", "@side"}[:1+c.IntN(2)] {
		c.names, c.values = map[string]string{}, nil
		var keys []string
		for range 1 + c.IntN(5) {
			key := "{" + c.key(table) + "}"
			if !slices.Contains(keys, key) || c.oneIn(8) {
				keys = append(keys, key)
			}
		}
		members := []string{`"Keys":[` + strings.Join(keys, ",") + `]`}
		if c.oneIn(2) {
			members = append(members, c.member("ProjectionExpression", c.projection()))
		}
		tables = append(tables, fmt.Sprintf("%q:%s", table, object(append(members, c.placeholders()...)...)))
	}
	return operation{action: "BatchGetItem", text: object(`"RequestItems":{`+strings.Join(tables, ",")+`}`, c.capacity())}
}

func (c *caller) batchWrite() operation {
	var tables []string
	for _, table := range []string{"@main", "@side"}[:1+c.IntN(2)] {
		var writes, used []string
		count := 1 + c.IntN(5)
		if c.oneIn(40) {
			count = 26
		}
		for range count {
			key := c.key(table)
			if slices.Contains(used, key) && !c.oneIn(8) {
				continue
			}
			used = append(used, key)
			if c.oneIn(3) {
				writes = append(writes, `{"DeleteRequest":{"Key":{`+key+`}}}`)
			} else {
				writes = append(writes, `{"PutRequest":{"Item":`+c.item(key)+`}}`)
			}
		}
		tables = append(tables, fmt.Sprintf("%q:[%s]", table, strings.Join(writes, ",")))
	}
	return operation{action: "BatchWriteItem", text: object(`"RequestItems":{`+strings.Join(tables, ",")+`}`, c.capacity())}
}
