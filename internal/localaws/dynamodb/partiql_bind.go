package dynamodb

import "strings"

// bind gives the parsed statement its parameters: what comes of it is a write as PutItem and UpdateItem make them.
func (e *execution) bind(s *statement) error {
	e.sort, e.in.TableName, e.in.ReturnValues = s.sort, s.table, s.returning
	parameters := e.in.parameters
	if len(parameters) != s.parameters {
		return errParameterCount
	}
	if s.sort == "Put" {
		e.insert = true
		e.in.Item = make(Item, len(s.item))
		for _, a := range s.item {
			e.in.Item[a.name] = a.value.given(parameters)
		}
		return checkTableName(s.table)
	}
	b := &binder{parameters: parameters, space: make([]bound, s.nodes)}
	e.actions = make([]boundAction, len(s.actions))
	for i, a := range s.actions {
		e.actions[i] = boundAction{section: a.section, path: a.path}
		if a.value == nil {
			continue
		}
		value, err := b.bind(a.value, false)
		if err != nil {
			return err
		}
		e.actions[i].value = value
		if err := e.actions[i].check(); err != nil {
			return err
		}
	}
	where, err := b.bind(s.where, true)
	if err != nil {
		return err
	}
	e.condition, e.equalities = &where, s.equalities
	return checkTableName(s.table)
}

// binder binds the nodes of one statement, in memory that is taken once.
type binder struct {
	parameters []Value
	space      []bound
}

// bind resolves the parameters; in conditions it checks the operands too, part by part from the left.
func (b *binder) bind(n *node, condition bool) (bound, error) {
	one := bound{node: n, path: n.path}
	if n.kind == nodeValue {
		one.value = n.given(b.parameters)
		return one, nil
	}
	if len(n.arguments) == 0 {
		return one, nil
	}
	one.arguments = b.space[:len(n.arguments):len(n.arguments)]
	b.space = b.space[len(n.arguments):]
	for i, argument := range n.arguments {
		var err error
		if one.arguments[i], err = b.bind(argument, condition); err != nil {
			return one, err
		}
	}
	if condition {
		return one, one.check()
	}
	return one, nil
}

// given is the value of a parameter or a literal.
func (n *node) given(parameters []Value) Value {
	if n.value != nil {
		return n.value
	}
	return parameters[n.parameter]
}

// identify finds the statement's table, and its item's place by the key that it gives. The lock is held.
func (c *call) identify(e *execution) error {
	t, err := c.table(e.in.TableName)
	if err != nil {
		return err
	}
	e.table = t
	key := e.in.Item
	if !e.insert {
		if e.in.Key, err = e.keyOf(t); err != nil {
			return err
		}
		key = e.in.Key
	}
	for _, name := range t.Key.attributes() {
		switch value := key[name]; {
		case value == nil && e.insert:
			return expressionError("Key attribute should be present in the item: Key " + name)
		case value == nil:
			return errNoWholeKey
		case value.kind() != t.Key.typeOf(name):
			return expressionError("Key attribute's data type should match its data type in table's schema: Key " + name)
		}
	}
	e.place = t.placeOf(key)
	return nil
}

// keyOf is the key in a WHERE's equalities.
func (e *execution) keyOf(t *table) (Item, error) {
	key := make(Item, 2)
	for _, a := range e.equalities {
		if !t.isKey(a.name) {
			continue
		}
		value := a.value.given(e.in.parameters)
		if other := key[a.name]; other != nil && !equal(other, value) {
			return nil, expressionError("Multiple conditions on same key " + a.name + ". Only single item Update/Insert/Delete are supported")
		}
		key[a.name] = value
	}
	return key, nil
}

// isRead says whether a statement reads, whether or not the rest of it is understood.
func isRead(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return len(text) >= 6 && strings.EqualFold(text[:6], "SELECT")
}
