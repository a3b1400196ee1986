package store

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// change is a conditional write of one item. It is said in two ways: as an update of its own, and as a statement of a
// batch.
type change struct {
	id     string
	set    []attribute
	add    []attribute // to a number that stands there
	remove []string
	when   []anyOf // all of them
	// returns asks for the item as it stands after the change.
	returns bool
}

type attribute struct {
	name  string
	value types.AttributeValue
}

// anyOf is a condition of which one term must hold.
type anyOf []term

type term struct {
	operator string // =, <>, <, <=, >=, absent or contains
	name     string
	value    types.AttributeValue // none where it is absent
}

const (
	absent   = "absent"
	contains = "contains"
)

// where adds a condition.
func (c *change) where(terms ...term) { c.when = append(c.when, terms) }

func (c *change) equal(name string, value types.AttributeValue) { c.where(term{"=", name, value}) }

// update says it as an update of its own, whose failed condition shows what stands there.
func (c *change) update(table *string) *types.Update {
	u := saying{names: make(map[string]string, 16), values: make(item, 16)}
	for i, a := range c.set {
		u.say(between(i, "SET ", ", "), u.name(a.name), " = ", u.value(a.value))
	}
	for i, a := range c.add {
		u.say(between(i+len(c.set), "SET ", ", "), u.name(a.name), " = ", u.name(a.name), " + ", u.value(a.value))
	}
	for i, n := range c.remove {
		u.say(between(i, " REMOVE ", ", "), u.name(n))
	}
	update := u.text()
	for i, terms := range c.when {
		u.say(between(i, "", " AND "), between(len(terms)-1, "", "("))
		for j, t := range terms {
			u.say(between(j, "", " OR "))
			switch t.operator {
			case absent:
				u.say("attribute_not_exists(", u.name(t.name), ")")
			case contains:
				u.say("contains(", u.name(t.name), ", ", u.value(t.value), ")")
			default:
				u.say(u.name(t.name), " ", t.operator, " ", u.value(t.value))
			}
		}
		u.say(between(len(terms)-1, "", ")"))
	}
	condition := u.text()
	return &types.Update{
		TableName: table, Key: key(c.id), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// saying is an expression with the placeholders of its names and values.
type saying struct {
	b      strings.Builder
	names  map[string]string
	values item
}

func (s *saying) say(words ...string) {
	for _, word := range words {
		s.b.WriteString(word)
	}
}

func (s *saying) text() string {
	defer s.b.Reset()
	return s.b.String()
}

func (s *saying) name(name string) string {
	placeholder := "#" + name
	s.names[placeholder] = name
	return placeholder
}

func (s *saying) value(value types.AttributeValue) string {
	placeholder := ":" + strconv.Itoa(len(s.values))
	s.values[placeholder] = value
	return placeholder
}

// statement says it in PartiQL. The text depends on the attributes' names only.
func (c *change) statement(table string) types.BatchStatementRequest {
	var b strings.Builder
	parameters := make([]types.AttributeValue, 0, 16)
	say := func(words ...string) {
		for _, word := range words {
			b.WriteString(word)
		}
	}
	say(`UPDATE "`, table, `"`)
	for _, a := range c.set {
		say(` SET "`, a.name, `"=?`)
		parameters = append(parameters, a.value)
	}
	for _, a := range c.add {
		say(` SET "`, a.name, `"="`, a.name, `"+?`)
		parameters = append(parameters, a.value)
	}
	for _, n := range c.remove {
		say(` REMOVE "`, n, `"`)
	}
	say(` WHERE "id"=?`)
	parameters = append(parameters, text(c.id))
	for _, terms := range c.when {
		say(` AND `, between(len(terms)-1, "", "("))
		for j, t := range terms {
			say(between(j, "", " OR "))
			switch t.operator {
			case absent:
				say(`"`, t.name, `" IS MISSING`)
				continue
			case contains:
				say(`contains("`, t.name, `",?)`)
			default:
				say(`"`, t.name, `"`, t.operator, `?`)
			}
			parameters = append(parameters, t.value)
		}
		say(between(len(terms)-1, "", ")"))
	}
	if c.returns {
		say(` RETURNING ALL NEW *`)
	}
	said := b.String()
	return types.BatchStatementRequest{Statement: &said, Parameters: parameters}
}

// between is what stands before the i-th of a list.
func between(i int, first, others string) string {
	if i == 0 {
		return first
	}
	return others
}

// inserting says in PartiQL that the item is put where none stands.
func inserting(table string, full item) types.BatchStatementRequest {
	names := slices.Sorted(maps.Keys(full))
	parameters := make([]types.AttributeValue, 0, len(names))
	var b strings.Builder
	b.WriteString(`INSERT INTO "` + table + `" VALUE {`)
	for i, n := range names {
		b.WriteString(between(i, `'`, `, '`) + n + `': ?`)
		parameters = append(parameters, full[n])
	}
	b.WriteString(`}`)
	said := b.String()
	return types.BatchStatementRequest{Statement: &said, Parameters: parameters}
}
