package dynamodb

import (
	"fmt"
	"slices"
	"strings"
)

// member is an expression as a member of its call, seldom a spoiled one.
func (c *caller) member(name, expression string) string {
	if c.oneIn(30) {
		expression = c.spoiled(expression)
	}
	return fmt.Sprintf("%q:%q", name, expression)
}

// spoiled takes a word away from an expression, doubles one or puts a strange one in.
func (c *caller) spoiled(expression string) string {
	words := strings.Split(expression, " ")
	at := c.IntN(len(words))
	switch c.IntN(3) {
	case 0:
		words = slices.Delete(words, at, at+1)
	case 1:
		words = slices.Insert(words, at, words[at])
	default:
		words = slices.Insert(words, at, c.pick("(", ")", ",", "[", "]", ".", "=", "AND", "or", "not", "SET", "5", "%", "#", ":", "#none", ":none", "name", "\u00e9", "'", "size(", "[0]", "between"))
	}
	return strings.Join(words, " ")
}

// placeholders are the members that define what the expressions mention.
func (c *caller) placeholders() []string {
	var members []string
	if c.oneIn(100) {
		c.names["#unused"] = "unused"
	}
	if len(c.values) > 0 && c.oneIn(100) {
		c.placeholder(`{"S":"unused"}`)
	}
	if len(c.names) > 0 {
		var names []string
		for placeholder, name := range c.names {
			names = append(names, fmt.Sprintf("%q:%q", placeholder, name))
		}
		slices.Sort(names)
		members = append(members, `"ExpressionAttributeNames":{`+strings.Join(names, ",")+`}`)
	}
	if len(c.values) > 0 {
		values := make([]string, len(c.values))
		for i, value := range c.values {
			values[i] = fmt.Sprintf(`":v%d":%s`, i, value)
		}
		members = append(members, `"ExpressionAttributeValues":{`+strings.Join(values, ",")+`}`)
	}
	return members
}

// placeholder is the name of a new placeholder for the value.
func (c *caller) placeholder(value string) string {
	c.values = append(c.values, value)
	return fmt.Sprintf(":v%d", len(c.values)-1)
}

func (c *caller) path() string {
	switch {
	case c.oneIn(8):
		name := c.pick("hash", "a.b", "name", "l", "m")
		placeholder := "#" + strings.ReplaceAll(name, ".", "")
		c.names[placeholder] = name
		return placeholder + c.pick("", "", ".a", "[0]")
	case c.oneIn(300):
		return c.pick("name", "status", "size", "pk.a", "l[99999999999]", "a[0][0][0]", "_x", "9a", "a-b")
	case c.oneIn(20):
		return c.pick("pk", "sk", "gh", "gr", "id")
	}
	return c.pick("a", "b", "c", "n", "n", "l", "m", "s", "m.a", "m.b", "m.b.a", "l[0]", "l[1]", "l[2]", "l[5]", "l[0].a", "l[1][0]", "m.l[0]", "a.b")
}

func (c *caller) projection() string {
	paths := []string{c.path()}
	for c.oneIn(2) {
		paths = append(paths, c.path())
	}
	return strings.Join(paths, ", ")
}

func (c *caller) operand() string {
	switch c.IntN(8) {
	case 0, 1:
		return c.placeholder(c.value())
	case 2:
		return "size(" + c.path() + ")"
	}
	return c.path()
}

// comparable is an operand that < and BETWEEN may take.
func (c *caller) comparable() string {
	if c.oneIn(2) {
		return c.placeholder(c.scalar())
	}
	return c.operand()
}

// condition draws a condition of at most that many levels.
func (c *caller) condition(depth int) string {
	if depth > 0 {
		switch c.IntN(8) {
		case 0:
			return c.condition(depth-1) + " AND " + c.condition(depth-1)
		case 1:
			return c.condition(depth-1) + " OR " + c.condition(depth-1)
		case 2:
			return "NOT " + c.condition(depth-1)
		case 3:
			return "( " + c.condition(depth-1) + " )" + c.pick(" AND ", " OR ") + c.condition(depth-1)
		case 4:
			return c.condition(depth-1) + c.pick(" AND ", " OR ", " and not ") + "( " + c.condition(depth-1) + " )"
		}
	}
	switch c.IntN(12) {
	case 0, 1:
		return c.operand() + c.pick(" = ", " <> ") + c.operand()
	case 2, 3:
		return c.comparable() + c.pick(" < ", " <= ", " > ", " >= ") + c.comparable()
	case 4:
		return c.comparable() + " BETWEEN " + c.comparable() + " AND " + c.comparable()
	case 5:
		list := []string{c.operand()}
		for c.oneIn(2) {
			list = append(list, c.operand())
		}
		return c.operand() + " IN ( " + strings.Join(list, " , ") + " )"
	case 6:
		return "attribute_exists( " + c.path() + " )"
	case 7:
		return "attribute_not_exists( " + c.path() + " )"
	case 8:
		return "attribute_type( " + c.path() + " , " + c.placeholder(fmt.Sprintf(`{"S":%q}`, c.pick("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M", "X"))) + " )"
	case 9:
		return "begins_with( " + c.path() + " , " + c.placeholder(c.pick(`{"S":"x"}`, `{"S":""}`, `{"S":"é"}`, `{"B":"AQ=="}`, c.value())) + " )"
	case 10:
		return "contains( " + c.operand() + " , " + c.operand() + " )"
	}
	return "size( " + c.path() + " )" + c.pick(" = ", " <> ", " < ", " >= ") + c.placeholder(c.number())
}

// update draws an update expression.
func (c *caller) update() string {
	var sections []string
	add := func(keyword string, clause func() string) {
		clauses := []string{clause()}
		for c.oneIn(3) {
			clauses = append(clauses, clause())
		}
		sections = append(sections, keyword+" "+strings.Join(clauses, " , "))
	}
	if !c.oneIn(4) {
		add("SET", c.set)
	}
	if c.oneIn(3) {
		add(c.pick("REMOVE", "remove"), c.path)
	}
	if c.oneIn(4) {
		add("ADD", func() string {
			return c.path() + " " + c.placeholder(c.pick(c.number(), c.number(), c.aSet(), c.aSet(), c.value()))
		})
	}
	if c.oneIn(4) {
		add("DELETE", func() string { return c.path() + " " + c.placeholder(c.pick(c.aSet(), c.aSet(), c.value())) })
	}
	if len(sections) == 0 || c.oneIn(80) {
		add("SET", c.set)
	}
	c.Shuffle(len(sections), func(i, j int) { sections[i], sections[j] = sections[j], sections[i] })
	return strings.Join(sections, " ")
}

// set draws a clause of SET.
func (c *caller) set() string {
	if c.oneIn(8) {
		return c.pick("gh = "+c.placeholder(c.pick(`{"S":"x"}`, `{"S":"y"}`, c.value())), "gr = "+c.placeholder(c.pick(`{"N":"1"}`, `{"N":"2"}`, c.value())))
	}
	left := c.path() + " = "
	switch c.IntN(6) {
	case 0:
		return left + c.setOperand() + c.pick(" + ", " - ") + c.setOperand()
	case 1:
		return left + "list_append( " + c.setOperand() + " , " + c.setOperand() + " )"
	case 2:
		return left + c.pick("n", "m.a", "if_not_exists(n, "+c.placeholder(`{"N":"0"}`)+")") + c.pick(" + ", " - ") + c.placeholder(c.number())
	}
	return left + c.setOperand()
}

func (c *caller) setOperand() string {
	switch c.IntN(5) {
	case 0:
		return c.path()
	case 1:
		return "if_not_exists( " + c.path() + " , " + c.pick(c.path(), c.placeholder(c.value())) + " )"
	}
	return c.placeholder(c.value())
}
