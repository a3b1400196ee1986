package dynamodb

import (
	"fmt"
	"strings"
)

// query draws a Query of a table or an index.
func (c *caller) query() operation {
	table := c.table()
	members := []string{named(table)}
	index := ""
	if table == "@main" && c.oneIn(2) {
		index = c.pick("all", "keys", "some")
		if c.oneIn(40) {
			index = "none"
		}
		members = append(members, fmt.Sprintf(`"IndexName":%q`, index))
	}
	if !c.oneIn(100) {
		members = append(members, c.member("KeyConditionExpression", c.keyCondition(table, index)))
	}
	if c.oneIn(2) {
		members = append(members, fmt.Sprintf(`"ScanIndexForward":%t`, c.oneIn(2)))
	}
	return c.reading("Query", table, index, members)
}

// scan draws a Scan of a table or an index.
func (c *caller) scan() operation {
	table := c.table()
	members := []string{named(table)}
	index := ""
	if table == "@main" && c.oneIn(3) {
		index = c.pick("all", "keys", "some")
		members = append(members, fmt.Sprintf(`"IndexName":%q`, index))
	}
	return c.reading("Scan", table, index, members)
}

func (c *caller) reading(action, table, index string, members []string) operation {
	o := operation{action: action}
	if c.oneIn(2) {
		members = append(members, c.member("FilterExpression", c.condition(2)))
	}
	switch c.IntN(6) {
	case 0:
		members = append(members, c.member("ProjectionExpression", c.projection()))
	case 1:
		members = append(members, `"Select":"COUNT"`)
	case 2:
		members = append(members, fmt.Sprintf(`"Select":%q`, c.pick("ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "SPECIFIC_ATTRIBUTES")))
	}
	if c.oneIn(10) {
		members = append(members, `"ConsistentRead":true`)
	}
	switch {
	case c.oneIn(3):
		members = append(members, fmt.Sprintf(`"Limit":%d`, 1+c.IntN(3)))
		o.pages = true
	case c.oneIn(12):
		members = append(members, `"Limit":`+c.pick("0", "-1", "1000"))
	}
	// Pages of a scan and of equal keys in an index have no order to compare, so only all of them are.
	if action == "Query" && index == "" && !o.pages && c.oneIn(4) {
		members = append(members, `"ExclusiveStartKey":{`+c.key(table)+`}`)
		if c.oneIn(2) {
			members = append(members, `"Limit":1`)
		}
	}
	members = append(members, c.capacityOnOnePage(o))
	o.text = object(append(members, c.placeholders()...)...)
	return o
}

func (c *caller) capacityOnOnePage(o operation) string {
	if o.pages {
		return ""
	}
	return c.capacity()
}

// keyCondition draws a key condition, seldom one that is not allowed.
func (c *caller) keyCondition(table, index string) string {
	hash, sort, hashValue, sortValue := "pk", "sk", func() string { return fmt.Sprintf(`{"S":%q}`, c.pick("a", "b", "ü")) }, c.number
	text := func() string { return fmt.Sprintf(`{"S":%q}`, c.pick("x", "xy", "a", "b", "é", "")) }
	switch {
	case table == "@side":
		hash, sort, hashValue, sortValue = "id", "ra", func() string { return fmt.Sprintf(`{"B":%q}`, c.pick("AQ==", "AgM=")) }, text
	case index == "all", index == "keys":
		hash, sort, hashValue = "gh", "gr", func() string { return fmt.Sprintf(`{"S":%q}`, c.pick("x", "y")) }
	case index == "some":
		hash, sort, hashValue, sortValue = "gr", "pk", func() string { return fmt.Sprintf(`{"N":%q}`, c.pick("1", "2")) }, text
	}
	if c.oneIn(80) {
		hashValue = c.value
	}
	if c.oneIn(80) {
		sortValue = c.value
	}
	first := hash + " = " + c.placeholder(hashValue())
	if c.oneIn(10) {
		first = c.placeholder(hashValue()) + " = " + hash
	}
	if c.oneIn(60) {
		first = hash + c.pick(" > ", " <> ", " IN ") + c.placeholder(hashValue())
	}
	if index == "keys" && !c.oneIn(50) || c.oneIn(2) {
		return first
	}
	value := func() string { return c.placeholder(sortValue()) }
	var second string
	switch c.IntN(8) {
	case 0:
		second = sort + " BETWEEN " + value() + " AND " + value()
	case 1:
		second = "begins_with(" + sort + ", " + value() + ")"
	case 2:
		second = value() + c.pick(" < ", " >= ") + sort
	default:
		second = sort + c.pick(" = ", " < ", " <= ", " > ", " >= ") + value()
	}
	if c.oneIn(60) {
		second = c.pick("NOT "+second, "a = "+value(), second+" AND "+second, hash+" = "+value(), sort+" <> "+value(), "m.a = "+value(), "size("+sort+") = "+value(), "contains("+sort+", "+value()+")")
	}
	joint := " AND "
	if c.oneIn(60) {
		joint = " OR "
	}
	if c.oneIn(3) {
		return second + joint + first
	}
	return strings.Join([]string{first, second}, joint)
}
